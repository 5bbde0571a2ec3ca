"""The bot's pull request: its branch, its page, opening it, dropping an edit, and what reviewers taught.

Read `deliver.py` first (a finished run becomes a pull request), then `branch.py` (one commit an edit), `publish.py`
(opened once, then kept up to date), `page.py`, `edit_rows.py` and `templates/` (its words). Then what people ask of it:
`drop.py` takes an edit out, `again.py` rebases, measures, ignores and pauses, and `proposal.py` makes the branch anew
for both. `review_lessons.py` reads what became of earlier ones.
"""
