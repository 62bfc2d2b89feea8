"""The LR images must be those that BasicSR's users have always trained on."""
import math

import numpy as np
import pytest
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.data.bicubic import SHRINKING, bicubic, official_shrinking, shrink
from deconas_plugin.errors import DataError


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


def matrix(length, scale, replicate=False):
    """Dense bicubic resampling matrix in double precision, mirrored at the ends, or their pixels repeated; written from
    the definition."""
    shrink = min(scale, 1)
    rows = np.zeros((math.ceil(length * scale), length))
    for out, row in enumerate(rows):
        centre = (out + .5) / scale - .5
        for source in range(math.floor(centre - 2 / shrink), math.ceil(centre + 2 / shrink) + 1):
            mirrored = source % (2 * length)
            place = min(max(source, 0), length - 1) if replicate else min(mirrored, 2 * length - 1 - mirrored)
            row[place] += kernel((centre - source) * shrink)
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


@pytest.mark.parametrize('factor', [2, 3, 4])
@pytest.mark.parametrize('method', ['matlab', 'matlab-replicate'])
def test_shrinking_rounds_after_each_of_two_passes(factor, method):
    img = photo(24, 36, 5)
    rows, columns = (matrix(length, 1 / factor, method == 'matlab-replicate') for length in img.shape[:2])
    passed = np.floor(np.einsum('yh,hwc->ywc', rows, img.astype(np.float64)) + 0.5).clip(0, 255)
    expected = np.floor(np.einsum('xw,ywc->yxc', columns, passed) + 0.5).clip(0, 255)
    assert np.array_equal(shrink(img, factor, method), expected)


def test_ways_of_shrinking_differ_where_they_should():
    img = photo(120, 96, 7)
    once, mirrored, replicated = (shrink(img, 2, method).astype(int) for method in SHRINKING)
    assert np.array_equal(once, bicubic(img, 1 / 2))
    differing = np.abs(mirrored - once)
    assert differing.max() == 1 and 0.1 < differing.mean() < 0.2
    assert np.array_equal(mirrored[3:-3, 3:-3], replicated[3:-3, 3:-3]) and not np.array_equal(mirrored, replicated)
    with pytest.raises(DataError, match='expected one of basicsr, matlab, matlab-replicate, got .lanczos.'):
        shrink(img, 2, 'lanczos')


def test_published_test_sets_were_made_in_two_ways():
    methods = {name: official_shrinking(name) for name in ('Set5', 'Set14', 'B100', 'BSD100', 'Urban100', 'mine')}
    assert [name for name, method in methods.items() if method == 'matlab'] == ['Urban100', 'mine']
