"""The parameter: a skill package, its Markdown, the edits that change it, its rules. Start at `skill.py`."""
