"""The weights of the reference implementation, which is written for TensorFlow 1.

What it calls layers are the blocks here; what it calls cells, the layers.
"""
