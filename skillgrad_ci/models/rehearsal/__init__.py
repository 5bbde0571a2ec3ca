"""The rehearsal: a deterministic stand-in for a model. Start at `register.py`; `script.py` is what it plays from,
`executor.py`, `optimizer.py`, `judge.py` and `proposer.py` are its parts, `provider.py` is how litellm sees it.
"""
