"""The bot's pull request: its branch, its page, opening it, dropping an edit, and what reviewers taught.

Read `deliver.py` first (a finished run becomes a pull request), then `branch.py` (one commit an edit), `publish.py`
(opened once, then kept up to date), `page.py` and `edit_rows.py` (its words), `drop.py` and `review_lessons.py`.
"""
