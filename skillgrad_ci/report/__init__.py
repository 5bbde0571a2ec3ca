"""What a run tells people. `document.py` is the report as data, `report.py` makes it from a run, `headline.py` says
what may be claimed, `statistics.py` and `power.py` how sure it is, `diff.py` the patch, `pages.py` and `templates/`
the pages.
"""
