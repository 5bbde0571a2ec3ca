"""A suite that grows. Start at `grow.py`, the loop.

`material.py` finds what tasks are proposed from: the skill's text, a run's failures, issues, and recorded sessions
(`recorded.py` is their one form, `logs.py` reads them). `proposal.py` is what a model is asked and replies,
`making.py` turns a proposal into files, `admission.py` decides about it (`personal.py` scans, `likeness.py` compares),
`written.py` puts it on disk.
"""
