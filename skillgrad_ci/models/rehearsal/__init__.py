"""The rehearsal: a deterministic stand-in for a model. Start at `register.py`; `script.py` is what it plays from, or
`generic.py` where a suite has no script. Its parts: `executor.py` and `chat.py` work on tasks, `optimizer.py` and
`other_optimizers.py` improve the skill, `judge.py` grades, `proposer.py` proposes tasks. `provider.py` is how litellm
sees it.
"""
