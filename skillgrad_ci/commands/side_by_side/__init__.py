"""Commands that measure several settings and print one table. `compare.py` sets optimizers side by side; `setups.py`
measures one skill under several agents and models, for `evaluate` and `transfer.py`.
"""
