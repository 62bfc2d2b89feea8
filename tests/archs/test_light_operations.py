"""The operations of the light space: what they compute, what they cost, what becomes of them in use."""
import random

import pytest
import torch
from helpers import mult_adds
from torch.nn import functional as F

from deconas_plugin.archs.attention import activate
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.forward import Features
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.archs.operations import OPERATIONS, build_operation
from deconas_plugin.space.genotype import Genotype, SearchSpace

LIGHT = ('rep_conv3x3', 'bs_conv3x3', 'bs_conv7x7', 'gate_conv3x3')
FEAT = 6


def weights_of(name, inputs=(0, 1)):
    torch.manual_seed(0)
    return JoinedWeights(name, FEAT, inputs)


@torch.no_grad()
@pytest.mark.parametrize('name', ['rep_conv3x3', 'bs_conv3x3', 'bs_conv7x7'])
def test_linear_operations_are_dense_convolutions(name):
    weights, x = weights_of(name), torch.rand(2, 2 * FEAT, 9, 8)
    dense = weights.operation.as_dense(weights.weights(weights.inputs))
    size = weights.operation.kernel_size
    assert dense.shape == (FEAT, 2 * FEAT, size, size)
    expected = F.conv2d(x, dense, weights.bias, padding=size // 2)
    assert torch.allclose(weights(x, weights.inputs), expected, atol=1e-5)


@torch.no_grad()
def test_a_reparameterised_convolution_is_the_sum_of_its_branches():
    weights, x = weights_of('rep_conv3x3'), torch.rand(1, 2 * FEAT, 7, 9)
    expected = F.conv2d(x, weights.weight, weights.bias, padding=1) + F.conv2d(x, weights.pointwise)
    sobel = [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    for name, rows in (('sobel_x', sobel), ('sobel_y', list(zip(*sobel, strict=True))),
                       ('laplacian', [[0, 1, 0], [1, -4, 1], [0, 1, 0]])):
        edges = torch.tensor(rows, dtype=torch.float32).expand(FEAT, 1, 3, 3)
        expected += F.conv2d(F.conv2d(x, getattr(weights, name)), edges, padding=1, groups=FEAT)
    assert torch.allclose(weights(x, weights.inputs), expected, atol=1e-5)
    assert weights.num_training_only == 2 * 4 * FEAT**2


@torch.no_grad()
def test_a_gate_weighs_values():
    weights, x = weights_of('gate_conv3x3'), torch.rand(1, 2 * FEAT, 7, 9)
    value, gate = (F.conv2d(F.conv2d(x, getattr(weights, name)), getattr(weights, f'{name}_depthwise'), padding=1,
                            groups=FEAT) for name in ('value', 'gate'))
    expected = value * torch.sigmoid(gate) + weights.bias.view(1, -1, 1, 1)
    assert torch.allclose(weights(x, weights.inputs), expected, atol=1e-6)
    assert weights.operation.as_dense(weights.weights(weights.inputs)) is None


@torch.no_grad()
@pytest.mark.parametrize('attention', ['none', 'channel'])
def test_a_sharpened_gelu_is_the_plain_one_in_other_units(attention):
    x = torch.linspace(-1, 1, 41)
    assert torch.allclose(activate(x, 'gelu8'), F.gelu(8 * x) / 8, atol=1e-7)
    # Far closer to ReLU, at the size that features have, than the plain one, which is next to linear there.
    small = 0.1 * x
    bend = [(values + values.flip(0)).max() for values in (activate(small, 'gelu8'), F.gelu(small))]
    assert bend[0] > 4 * bend[1]
    torch.manual_seed(0)
    net = DeCoNASNet(f'v2 {attention} gelu8 11', num_feat=FEAT, num_block=1, num_layer=1,
                     operations=('conv3x3', 'bs_conv3x3'))
    features, layer = [torch.rand(2, FEAT, 5, 6) - 0.5], net.blocks[0].layers['0']
    mean = sum(operation(features[0], (0, )) for operation in layer.operations.values()) / 2
    expected = F.gelu(8 * mean) / 8
    expected = layer.attention(expected) if attention == 'channel' else expected / 2
    layer_inputs = net.genotype.blocks[0].layer_inputs[0]
    assert torch.allclose(layer(Features(features), layer_inputs, attention, 'gelu8'), expected, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize('name', OPERATIONS.module_dict)
def test_no_operation_reaches_beyond_its_radius(name):
    weights, radius = weights_of(name), build_operation(name).radius
    x = torch.rand(1, 2 * FEAT, 21, 21)
    changed = x.clone()
    changed[..., 10, 10] += 1
    rows = (weights(changed, weights.inputs) != weights(x, weights.inputs)).any(1)[0].any(1).nonzero().flatten()
    assert (rows.min(), rows.max()) == (10 - radius, 10 + radius)


@torch.no_grad()
@pytest.mark.parametrize('seed', range(4))
def test_fused_networks_compute_the_same(seed):
    torch.manual_seed(seed)
    operations = (*LIGHT, 'conv3x3')
    genotype = SearchSpace(2, 3, operations).sample(random.Random(seed))
    net = DeCoNASNet(genotype, num_feat=8, num_block=2, num_layer=3, operations=operations).eval()
    x = torch.rand(2, 3, 9, 7)
    assert (net.fuse()(x) - net(x)).abs().max() < 1e-5


@torch.no_grad()
def test_what_reads_the_same_becomes_one_3x3_convolution():
    space = SearchSpace(1, 1, (*LIGHT, 'conv3x3'))
    together = DeCoNASNet(Genotype(space, (1, 1, 0, 0, 1)), num_feat=8, num_block=1, num_layer=1,
                          operations=space.operations).eval()
    fused = together.fuse()
    operation, = fused.blocks[0].layers['0'].operations.values()
    assert sum(parameter.numel() for parameter in operation.parameters()) == 9 * 8 * 8 + 8
    x = torch.rand(1, 3, 6, 6)
    assert (fused(x) - together(x)).abs().max() < 1e-5
    alone = DeCoNASNet('1', num_feat=8, num_block=1, num_layer=1, operations=('conv3x3', )).fuse()
    assert mult_adds(fused, x) == mult_adds(alone, x)
    # A large kernel is not merged into a small one, and a gate not at all.
    apart = DeCoNASNet(Genotype(space, (1, 0, 1, 1, 0)), num_feat=8, num_block=1, num_layer=1,
                       operations=space.operations).fuse()
    assert list(apart.blocks[0].layers['0'].operations) == ['rep_conv3x3', 'bs_conv7x7', 'gate_conv3x3']
