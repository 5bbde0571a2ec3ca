"""Outputs that no agent of this run made: `grade_outputs.py` grades what lies in a folder, `variants.py` makes outputs
of right results, `agreement.py` asks two graders about them, and `initial.py` keeps the initial skill's for judges.
"""
