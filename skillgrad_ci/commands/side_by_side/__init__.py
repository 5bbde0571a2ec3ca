"""Commands that measure several settings and print one table. `setups.py` measures one skill under several agents and
models.
"""
