"""The rehearsal: a deterministic stand-in for a model, played from a script. Start at `register.py`."""
