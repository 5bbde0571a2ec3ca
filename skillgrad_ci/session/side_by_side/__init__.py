"""Several measurements under one cap. Start at `setups.py`: one skill, several agents and models."""
