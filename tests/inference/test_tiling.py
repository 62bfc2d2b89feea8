"""Tiles: the result is that of the whole image, whatever the tile."""
import math
import random

import pytest
import torch
from helpers import make_image, make_net

from deconas_plugin.errors import OptionError
from deconas_plugin.inference.tiling import ALL_VIEWS, receptive_radius, upscale_tiled
from deconas_plugin.space.genotype import SearchSpace

GREY_LEVEL = 1 / 255


def assert_close(one, other, grey_levels):
    assert one.shape == other.shape
    assert (one - other).abs().max() < grey_levels * GREY_LEVEL


def test_the_attentions_make_naive_tiles_visible():
    net, image = make_net(), make_image()
    parts = torch.cat([net(part) for part in image.split(45, dim=2)], dim=2)
    assert (parts - net(image)).abs().max() > 2 * GREY_LEVEL


@pytest.mark.parametrize('upscale', [2, 3, 4])
@pytest.mark.parametrize('fused', [False, True])
def test_tiles_equal_the_whole_image(upscale, fused):
    net, image = make_net(upscale=upscale), make_image()
    tiled = upscale_tiled(net.fuse() if fused else net, image, 24)
    assert_close(tiled, net(image), 0.5)


@pytest.mark.parametrize('size', [(90, 130), (7, 300), (300, 7), (33, 200), (1, 500)])
def test_zero_tolerance_is_exact(size):
    net, image = make_net(), make_image(*size)
    assert_close(upscale_tiled(net, image, 16, tolerance=0), net(image), 0.01)


@pytest.mark.parametrize('seed', range(5))
def test_the_default_overlap_is_all_that_matters_to_a_tile(seed):
    space = SearchSpace(2, 3, ('conv3x3', 'sep_conv3x3', 'dil_conv3x3', 'conv1x1'), search_fusion=True)
    options = dict(num_block=2, num_layer=3, operations=space.operations, attention_gain=0)
    net = make_net(genotype=space.sample(random.Random(seed)), **options)
    image = make_image(110, 110)
    changed = image.clone()
    changed[..., :10, :] = 1 - changed[..., :10, :]
    first_untouched = 2 * (10 + receptive_radius(net))
    difference = (net(image) - net(changed)).abs().amax((0, 1, 3))
    assert difference[first_untouched:].max() == 0
    assert difference[:20].max() > 0
    assert_close(upscale_tiled(net, image, 16), net(image), 0.001)


@pytest.mark.parametrize(('genotype', 'radius'), [
    # Five pixels outside of the blocks; two blocks.
    ('100 000000', 5 + 2 * 1),
    ('001 001001', 5 + 2 * 6),
    ('001 100000', 5 + 2 * 3),
    ('000 000000', 5),
])
def test_receptive_radius(genotype, radius):
    assert receptive_radius(make_net(genotype=genotype)) == radius


def test_images_of_a_batch_do_not_mix():
    net = make_net()
    images = torch.cat([make_image(), make_image(seed=1).flip(2)])
    assert_close(upscale_tiled(net, images, 24, tolerance=0), torch.cat([net(image[None]) for image in images]), 0.01)


def test_an_image_of_one_tile_is_upscaled_whole_and_once():
    net, image, calls = make_net(), make_image(40, 40), []
    net.register_forward_hook(lambda *_: calls.append(1))
    assert_close(upscale_tiled(net, image, 40), net(image), 0.001)
    assert len(calls) == 2


@pytest.mark.parametrize(('gain', 'tolerance', 'passes'), [(8, 1, 1), (1, 0.002, 1), (8, 4e-4, 2), (8, 4e-6, 3)])
def test_as_many_passes_as_the_tolerance_takes(gain, tolerance, passes):
    net, image, calls = make_net(gain), make_image(200, 200), []
    upscale_tiled(net, image, 64, tolerance=tolerance, on_tile=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 16 * math.ceil(done / 16)) for done in range(1, 16 * passes + 1)]


def test_the_network_is_left_as_it_was():
    net, image = make_net(), make_image()
    before = net(image)
    upscale_tiled(net, image, 24)
    assert torch.equal(net(image), before)


@pytest.mark.parametrize('view', ALL_VIEWS)
def test_views(view):
    image = torch.arange(2 * 5 * 7).view(1, 2, 5, 7)
    seen = view.apply(image)
    assert torch.equal(view.undo(seen), image)
    rows, columns = view.window(slice(1, 3), slice(4, 7), 5, 7)
    assert torch.equal(seen[..., rows, columns], view.apply(image[..., 1:3, 4:7]))


def test_the_views_are_all_different():
    image = torch.arange(9).view(1, 1, 3, 3)
    assert len({tuple(view.apply(image).flatten().tolist()) for view in ALL_VIEWS}) == 8


def test_self_ensemble_in_tiles_averages_the_whole_views():
    net, image = make_net(), make_image()
    expected = sum(view.undo(net(view.apply(image))) for view in ALL_VIEWS) / 8
    assert_close(upscale_tiled(net, image, 24, self_ensemble=True, tolerance=0), expected, 0.01)
    assert_close(upscale_tiled(net, image, 999, self_ensemble=True), expected, 0.001)


@pytest.mark.parametrize(('dtype', 'largest'), [(torch.uint8, 255), (torch.uint16, 65535)])
def test_whole_numbers_are_rounded_and_clipped(dtype, largest):
    net, image = make_net(), make_image()
    net.conv_last.weight *= 20
    expected = (net(image).clamp(0, 1) * largest).round().int()
    result = upscale_tiled(net, image, 24, tolerance=0, dtype=dtype)
    assert result.dtype == dtype
    assert (result.int() - expected).abs().max() <= largest / 255 * 0.02 + 1
    assert expected.min() == 0 and expected.max() == largest


def test_bfloat16():
    net, image = make_net(attention_gain=1), make_image()
    with torch.autocast('cpu', torch.bfloat16):
        tiled = upscale_tiled(net, image, 24)
    assert tiled.dtype == torch.float32
    assert_close(tiled, net(image), 3)


@pytest.mark.parametrize(('tile', 'overlap'), [(0, None), (16, -1)])
def test_sizes_out_of_range(tile, overlap):
    with pytest.raises(OptionError, match='tile, overlap'):
        upscale_tiled(make_net(), make_image(), tile, overlap)
