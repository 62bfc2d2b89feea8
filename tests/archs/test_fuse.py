"""The fused network: the same output with fewer multiply-adds."""
import random

import pytest
import torch
from helpers import mult_adds
from torch.nn import functional as F

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.operations import OPERATIONS, DenseConv
from deconas_plugin.space.choices import PAPER_OPERATIONS
from deconas_plugin.space.genotype import Genotype, SearchSpace


def make_net(genotype='DeCoNASNet_x2', num_feat=16, seed=0, **options):
    torch.manual_seed(seed)
    return DeCoNASNet(genotype, num_feat=num_feat, **options).eval()


@torch.no_grad()
def largest_difference(net, height=11, width=9, num_images=2):
    x = torch.rand(num_images, 3, height, width, generator=torch.Generator().manual_seed(1))
    fused, plain = net.fuse()(x), net(x)
    assert fused.shape == plain.shape
    return (fused - plain).abs().max().item()


@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_output_is_the_same_at_every_pixel(upscale):
    assert largest_difference(make_net(num_feat=64, upscale=upscale)) < 1e-5


@pytest.mark.parametrize('upscale', [2, 3, 4])
@pytest.mark.parametrize('size', [(1, 1), (1, 6), (2, 2), (2, 5), (3, 4), (4, 4), (5, 1)])
def test_small_images_are_all_border(upscale, size):
    assert largest_difference(make_net(upscale=upscale), *size) < 1e-5


@pytest.mark.parametrize('search_fusion', [False, True])
@pytest.mark.parametrize('seed', range(6))
def test_any_genotype(search_fusion, seed):
    space = SearchSpace(num_block=2, num_layer=3, search_fusion=search_fusion)
    genotype = space.sample(random.Random(seed))
    assert largest_difference(make_net(genotype, num_block=2, num_layer=3, seed=seed)) < 1e-5


def test_layers_without_operations_and_dead_layers():
    space = SearchSpace(num_block=2, num_layer=3, search_fusion=True)
    nothing = Genotype(space, (0, ) * space.num_bits)
    dead_first_layer = Genotype(space, (1, 1, 1) + (0, ) * 12 + (1, 0, 0) + (0, ) * 5)
    for genotype in (nothing, dead_first_layer):
        assert largest_difference(make_net(genotype, num_block=2, num_layer=3)) < 1e-5


def test_merging_operations_saves_exactly_the_separable_part():
    # Layer 0: both operations read feature 0. Layer 1: conv3x3 reads 0, sep_conv3x3 reads 0 and 1.
    together = make_net('110 110010', num_layer=2, num_block=1)
    apart = make_net('100 100010', num_layer=2, num_block=1)
    x = torch.rand(1, 3, 8, 8)
    assert mult_adds(together.fuse(), x) == mult_adds(apart.fuse(), x)


@pytest.mark.parametrize(('upscale', 'channels'), [(2, 12), (3, 27), (4, 48)])
def test_upsampler_and_last_convolution_become_one_5x5(upscale, channels):
    shapes = {tuple(parameter.shape) for parameter in make_net(upscale=upscale).fuse().parameters()}
    assert (channels, 16, 5, 5) in shapes


@pytest.mark.parametrize(('upscale', 'saved'), [(2, 0.12), (3, 0.20), (4, 0.33)])
def test_the_published_network_saves_mult_adds(upscale, saved):
    net = make_net(num_feat=64, upscale=upscale)
    x = torch.rand(1, 3, 720 // upscale, 1280 // upscale, device='meta')
    assert 1 - mult_adds(net.fuse().to('meta'), x) / mult_adds(net.to('meta'), x) == pytest.approx(saved, abs=0.02)


def test_unknown_operation_is_kept():

    @OPERATIONS.register_module(name='tanh_conv3x3')
    class TanhConv3x3(DenseConv):

        def forward(self, x, weights, bias):
            return torch.tanh(super().forward(x, weights, bias))

        def as_dense(self, weights):
            return None

    try:
        operations = (*PAPER_OPERATIONS, 'tanh_conv3x3')
        net = make_net('1101 11111011', num_block=2, num_layer=2, operations=operations)
        assert largest_difference(net) < 1e-5
    finally:
        OPERATIONS.module_dict.pop('tanh_conv3x3')


def test_convolutions_with_the_same_dilation_and_pointwise_ones_merge():

    @OPERATIONS.register_module(name='sep_dil_conv3x3')
    class SepDilConv3x3(OPERATIONS.get('sep_conv3x3')):
        dilation = 3

    try:
        operations = ('conv3x3', 'dil_conv3x3', 'sep_dil_conv3x3', 'conv1x1')
        net = make_net('1111', num_block=1, num_layer=1, operations=operations)
        assert list(net.fuse().blocks[0].layers['0'].operations) == ['conv3x3', 'dil_conv3x3']
        assert largest_difference(net) < 1e-5
    finally:
        OPERATIONS.module_dict.pop('sep_dil_conv3x3')


@pytest.mark.parametrize('num_images', [1, 2])
def test_the_memory_layout_stays_channels_last(num_images):
    fused = make_net(upscale=4).fuse().to(memory_format=torch.channels_last)
    x = torch.rand(num_images, 3, 12, 10).contiguous(memory_format=torch.channels_last)
    shallow, feature = fused.head(x)
    assert feature.is_contiguous(memory_format=torch.channels_last)
    assert fused.tail(feature).is_contiguous(memory_format=torch.channels_last)


def test_the_trained_network_is_left_alone():
    net = make_net()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    x = torch.rand(1, 3, 8, 8)
    fused = net.fuse()
    output = fused(x)
    assert not any(parameter.requires_grad for parameter in fused.parameters())
    torch.optim.SGD(net.parameters(), 0.1).zero_grad()
    F.l1_loss(net(x), torch.rand(1, 3, 16, 16)).backward()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(parameter.grad)
    assert torch.equal(fused(x), output)
    assert before.keys() == net.state_dict().keys()


def test_height_and_width_stay_dynamic_in_an_exported_program():
    fused = make_net(num_block=1, num_layer=2, genotype='110 110011').fuse()
    size = {2: torch.export.Dim('height', min=4, max=4096), 3: torch.export.Dim('width', min=4, max=4096)}
    program = torch.export.export(fused, (torch.rand(1, 3, 12, 10), ), dynamic_shapes=(size, ))
    x = torch.rand(1, 3, 7, 17)
    assert torch.allclose(program.module()(x), fused(x), atol=1e-6)
