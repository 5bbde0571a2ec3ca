"""Several measurements of one suite. `setups.py`: one skill under several agents and models; `optimizers.py`: several
optimizers, begun by `on_shares.py` or, where no task can be held out, `on_folds.py`; `cross_fitting.py`: one skill and
an estimate, from the runs of `folds.py` that each leave some tasks out. `shared_base.py` gives them one base run.
`confusion.py`: all skills of a repository before one agent.
"""
