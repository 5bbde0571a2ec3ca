"""What a run tells people. `document.py` is the report as data, and `report.py` makes it from a run: `task_rows.py` are
its tasks, `flagged.py` its warnings about added lines, `headline.py` what may be claimed, `statistics.py` and
`power.py` how sure it is, `provenance/` where words come from.

`pages.py` writes a run folder's files, with `diff.py` (the patch) and `page.py` (`report.html`, which shows what
`executions.py` reads back), by `templates/` and `templating.py`. `forms.py` is the report for other tools, `shelf.py`
finds run folders. `comparison.py` and `comparison_pages.py` set several settings side by side.
"""
