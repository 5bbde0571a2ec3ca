"""Where a skill's words come from: `edits.py` of one edit in a run, `blame.py` of every line of a skill, by run folders
and by what `history.py` finds in the bot's commits.
"""
