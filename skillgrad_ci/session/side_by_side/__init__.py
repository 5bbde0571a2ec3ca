"""Several measurements of one suite. `setups.py`: one skill under several agents and models; `optimizers.py`: several
optimizers from one base run.
"""
