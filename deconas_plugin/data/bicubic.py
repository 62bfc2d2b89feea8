"""MATLAB-style bicubic resizing of 8-bit images."""
import numpy as np
from basicsr.utils.matlab_functions import imresize


def bicubic(img, scale):
    """Resize as MATLAB's imresize does (antialiased when shrinking).

    BasicSR's `imresize` itself does the work: the result is its result, rounded to 8 bits. It is separable and computes
    its weights once per side; halving a 2040x1400 image takes it 0.06 to 0.1 s, a quarter of what encoding the
    sub-images takes.

    Args:
        img (ndarray): (h, w, c), uint8, at least 12 pixels a side.
        scale (float): Factor for both sides: 1 / 2 halves them, 2 doubles them.

    Returns:
        ndarray: (ceil(h * scale), ceil(w * scale), c), uint8.
    """
    resized = imresize(img.astype(np.float32) / 255., scale)
    return (resized * 255.).round().clip(0, 255).astype(np.uint8)
