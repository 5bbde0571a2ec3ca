"""The parts that optimizers are made of, and the presets that choose them.

`optimizer.py` is the seam, `choices.py` what may be chosen, `presets.py` the functions behind a choice. Evidence:
`draw.py`. Gradient: `diagnosis.py`, or `reflection.py`. Aggregation: `momentum.py` steps the pattern memory and
`update.py` writes edits by pattern; or `merge.py`; or `plain.py`, which needs no evidence. `slow.py` ends an epoch,
`notes.py` is what all of them are told of the run so far.
"""
