"""The command line: one file a command. Start at `cli.py`, the grammar; `flags.py` makes flags of settings and
`jobs.py` a job of arguments. `optimize.py`, `evaluate.py` and `lint.py` are commands, `start/` holds those that come
first, `suite/` those on a suite and `side_by_side/` those that compare; `progress.py` shows events while they work,
`terminal.py` what they end with.
"""
