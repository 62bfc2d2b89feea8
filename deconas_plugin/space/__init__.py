"""Which networks there are: choices, genotypes and their text, blocks, and search spaces.

Whoever asks what a bit means is answered here. It is plain Python: no torch, and nothing of what builds, counts or
searches networks.
"""
