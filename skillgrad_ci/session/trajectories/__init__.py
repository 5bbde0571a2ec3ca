"""Trajectories in a run folder: `kept.py` writes them, `atif.py` makes the form that viewers read."""
