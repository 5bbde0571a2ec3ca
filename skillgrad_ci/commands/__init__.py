"""The command line: one file a command. Start at `cli.py`, the grammar; `flags.py` makes flags of settings and
`jobs.py` a job of arguments. `optimize.py`, `evaluate.py` and `shards.py` run; `report.py`, `view.py` and `blame.py`
show what runs left; `lint.py` checks, in the forms of `lint_formats.py`. `start/` holds the commands that come first,
`suite/` those on a suite, `side_by_side/` those that compare. `progress.py` shows events while a command works,
`terminal.py` what it ends with.
"""
