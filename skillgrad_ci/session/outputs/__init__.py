"""Outputs that no agent of this run made: `grade_outputs.py` grades what lies in a folder."""
