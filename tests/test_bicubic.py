"""The LR images must be those that BasicSR's users have always trained on."""
import math

import numpy as np
import pytest
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.data.bicubic import bicubic


def photo(height, width, seed):
    """A picture with edges, slopes and texture."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = sum(np.sin((a * x + b * y) / 30 + c) for a, b, c in rng.uniform(-6, 6, (6, 3)))
    channels = [waves * k + 40 * (x * a + y * b > 30) for k, a, b in rng.uniform(-1, 1, (3, 3)) * (25, 1, 1)]
    img = 128 + np.stack(channels, 2) + rng.normal(0, 4, (height, width, 3))
    return img.clip(0, 255).astype(np.uint8)


def kernel(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x ** 3 - 2.5 * x ** 2 + 1
    return -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 if x < 2 else 0.


def matrix(length, scale):
    """Dense bicubic resampling matrix in double precision, mirrored at the ends, written from the definition."""
    shrink = min(scale, 1)
    rows = np.zeros((math.ceil(length * scale), length))
    for out, row in enumerate(rows):
        centre = (out + .5) / scale - .5
        for source in range(math.floor(centre - 2 / shrink), math.ceil(centre + 2 / shrink) + 1):
            mirrored = source % (2 * length)
            row[min(mirrored, 2 * length - 1 - mirrored)] += kernel((centre - source) * shrink)
        row /= row.sum()
    return rows


SIZES = [(12, 12), (13, 29), (48, 64), (71, 60), (97, 131), (120, 84)]


@pytest.mark.parametrize('scale', [1 / 2, 1 / 3, 1 / 4, 2, 3, 4])
def test_equals_imresize_rounded_to_8_bits(scale):
    for seed in range(20):
        img = photo(*SIZES[seed % len(SIZES)], seed)
        expected = imresize(img.astype(np.float32) / 255., scale)
        assert np.array_equal(bicubic(img, scale), np.clip((expected * 255.).round(), 0, 255).astype(np.uint8))


@pytest.mark.parametrize('scale', [1 / 2, 1 / 3, 1 / 4, 2, 3, 4])
def test_is_bicubic_by_definition(scale):
    img = photo(24, 36, 3)
    expected = np.einsum('yh,xw,hwc->yxc', matrix(24, scale), matrix(36, scale), img.astype(np.float64)).clip(0, 255)
    assert np.abs(bicubic(img, scale) - expected).max() < .501


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_sizes_divide_exactly(scale):
    for side in range(12, 100, 12):
        assert bicubic(np.zeros((side, side + 12, 3), np.uint8), 1 / scale).shape == (
            side // scale, (side + 12) // scale, 3)


def test_range_is_kept_at_hard_edges():
    img = np.zeros((48, 48, 3), np.uint8)
    img[:, 24:] = 255  # bicubic overshoots here; a cast without clipping would wrap round
    wide = bicubic(img, 2)
    assert (wide[:, :40] < 64).all() and (wide[:, 56:] > 192).all()
