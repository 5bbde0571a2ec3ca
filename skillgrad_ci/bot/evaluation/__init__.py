"""A person's pull request, measured: the words about base and head (`comparison.py`) and their check (`check.py`), and
the bot's own edits on top of it (`offer.py`), as suggestions on lines of its diff (`suggestions.py`) or as a pull
request into its branch (`apply.py`).
"""
