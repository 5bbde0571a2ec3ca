"""The parts that optimizers are made of, and the presets that choose them. Start at `presets.py`."""
