"""The parts that optimizers are made of, and the presets that choose them: `momentum.py` steps the pattern memory,
`update.py` writes edits by pattern.
"""
