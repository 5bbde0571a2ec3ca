"""Outputs that no agent of this run made: `grade_outputs.py` grades what lies in a folder, `variants.py` makes outputs
of right results, and `agreement.py` asks two graders about them.
"""
