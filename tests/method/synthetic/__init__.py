"""A world without a model, to test optimizers in: `nature.py` is the world, the tests hold what the algorithms promise.

What holds here is about the algorithm, not about any model: the loop and its presets are the real ones, what stands
at the ports is made up.
"""
