"""SkillGrad itself: the loop and its parts; knows no provider, no GitHub, no environment. Start at `optimize.py`."""
