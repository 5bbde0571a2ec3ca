"""A run opened: from inputs to executions, journal and run folder. Start at `optimize_skill.py`."""
