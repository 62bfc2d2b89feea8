"""Training runs: built from BasicSR's functions, exact where they restart, several processes where they need CUDA.

Which model is trained, and why, is no concern of this room.
"""
