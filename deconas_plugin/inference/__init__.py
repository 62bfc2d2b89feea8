"""Running a trained network: in PyTorch or another runtime, whole images or tiles, arrays or files.

Nothing here trains, and nothing imports BasicSR, whose start would take longer than a small image.
"""
