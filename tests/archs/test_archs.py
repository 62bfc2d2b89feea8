"""Derived network and supernet: the numbers of the paper, and that both compute the same."""
import random

import pytest
import torch
from basicsr.archs import build_network
from helpers import built_mult_adds, genotypes, num_params

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import DeCoNASError, OptionError, WeightsError
from deconas_plugin.space.genotype import Genotype, SearchSpace


@pytest.mark.parametrize('upscale, params, printed', [(2, 1_693_251, 1_713_795), (3, 1_877_891, 1_898_435),
                                                      (4, 1_840_963, 1_861_507)])
def test_published_network(upscale, params, printed):
    net = DeCoNASNet('DeCoNASNet_x2', upscale=upscale)
    cost = ComplexityCounter.of(net).count(net.genotype)
    assert num_params(net) == cost.params == params
    dead_transition = 5 * 64 * 64 + 64
    assert params + dead_transition == printed
    assert built_mult_adds(net) == cost.mult_adds


def test_published_x2_mult_adds_and_searchable_weights():
    net = DeCoNASNet()
    counter = ComplexityCounter.of(net)
    assert round(counter.count(net.genotype).mult_adds / 1e9, 1) == 382.7
    assert (counter.searched_params(net.genotype), counter.searchable_params) == (322_944, 784_000)
    assert (counter.paper_params(net.genotype), counter.paper_params(counter.everything)) == (298_752, 743_680)


def test_supernet_params():
    assert num_params(DeCoNASSuperNet()) == 3_537_987


@pytest.mark.parametrize('fusion', [False, True])
@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_counted_cost_is_that_of_the_built_network(fusion, upscale):
    rng = random.Random(upscale)
    for _ in range(9):
        space = SearchSpace(rng.randint(1, 4), rng.randint(1, 5), search_fusion=fusion)
        genotype = space.sample(rng)
        net = DeCoNASNet(genotype, num_feat=rng.choice([2, 8, 12]), num_block=space.num_block,
                         num_layer=space.num_layer, upscale=upscale)
        cost = ComplexityCounter.of(net).count(genotype)
        assert (num_params(net), built_mult_adds(net)) == (cost.params, cost.mult_adds)


@pytest.mark.parametrize('fusion', [False, True])
@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_supernet_equals_the_derived_network(fusion, upscale):
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(num_feat=8, num_block=2, upscale=upscale, search_fusion=fusion)
    images = torch.rand(2, 3, 7, 9)
    with torch.no_grad():
        for genotype in genotypes(supernet.space, 50):
            derived = supernet.derive(genotype)(images)
            assert derived.shape == (2, 3, 7 * upscale, 9 * upscale)
            assert (supernet(images, genotype) - derived).abs().max() <= 1e-5


def test_published_network_from_a_whole_supernet():
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet()
    genotype = Genotype.parse('DeCoNASNet_x2')
    images = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert (supernet(images, genotype) - supernet.derive(genotype)(images)).abs().max() <= 1e-5


@pytest.mark.parametrize('fusion', [False, True])
def test_every_parameter_of_a_derived_network_learns(fusion):
    torch.manual_seed(0)
    space = SearchSpace(num_block=2, num_layer=4, search_fusion=fusion)
    for genotype in genotypes(space, 20):
        net = DeCoNASNet(genotype, num_feat=8, num_block=2)
        net(torch.rand(2, 3, 8, 8)).square().sum().backward()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None, (str(genotype), name)


def test_a_step_leaves_what_only_another_genotype_uses_untouched():
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(num_feat=8, num_block=2, search_fusion=True)
    optimizer = torch.optim.Adam(supernet.parameters(), lr=1e-2)
    rng = random.Random(0)
    images = torch.rand(2, 3, 8, 8)

    def step(genotype):
        optimizer.zero_grad()
        supernet(images, genotype).square().mean().backward()
        used = {name for name, parameter in supernet.named_parameters() if parameter.grad is not None}
        optimizer.step()
        return used

    for _ in range(10):
        first, second = supernet.space.sample(rng), supernet.space.sample(rng)
        uses_second = step(second)  # gives the weights of the second genotype a momentum that could move them later
        before = {name: parameter.detach().clone() for name, parameter in supernet.named_parameters()}
        uses_first = step(first)
        only_second = uses_second - uses_first
        assert only_second
        for name, parameter in supernet.named_parameters():
            assert torch.equal(parameter, before[name]) == (name not in uses_first) or name in uses_first
            if name in only_second:
                assert torch.equal(parameter, before[name])


def test_the_mean_colour_is_inside_the_network():
    net = DeCoNASNet(num_feat=8)
    torch.nn.init.zeros_(net.conv_last.weight)
    torch.nn.init.zeros_(net.conv_last.bias)
    mean = torch.tensor([114.356, 111.561, 103.154]) / 255
    assert torch.allclose(net(torch.rand(1, 3, 4, 4)), mean.view(1, 3, 1, 1).expand(1, 3, 8, 8))


def test_weights_tell_their_genotype_and_refuse_another():
    torch.manual_seed(0)
    # The same number of inputs everywhere, so that all shapes agree.
    one, other = '100' * 10, '010' * 10
    net = DeCoNASNet('100 100100', num_feat=8, num_layer=2)
    with pytest.raises(WeightsError, match='genotype 100 100100.*this network has 100 000100'):
        DeCoNASNet('100 000100', num_feat=8, num_layer=2).load_state_dict(net.state_dict())
    with pytest.raises(WeightsError, match=f'genotype {Genotype.parse(one)}'):
        DeCoNASNet(other, num_feat=8).load_state_dict(DeCoNASNet(one, num_feat=8).state_dict())
    again = DeCoNASNet('100 100100', num_feat=8, num_layer=2)
    again.load_state_dict(net.state_dict())
    images = torch.rand(1, 3, 5, 5)
    assert torch.equal(again(images), net(images))


def test_built_through_basicsr():
    net = build_network({'type': 'DeCoNASNet', 'genotype': 'DeCoNASNet_x2', 'num_feat': 8, 'upscale': 4})
    assert net(torch.rand(1, 3, 6, 5)).shape == (1, 3, 24, 20)


def test_grey_images_and_other_means():
    net = DeCoNASNet(num_feat=8, num_in_ch=1, num_out_ch=1, rgb_mean=(0.5, ))
    assert net(torch.rand(1, 1, 6, 5)).shape == (1, 1, 12, 10)


@pytest.mark.parametrize('kwargs, message', [
    ({'upscale': 5}, 'upscale: expected 2, 3 or 4, got 5'),
    ({'genotype': '1'}, 'expected 30 bits'),
    ({'operations': ('conv3x3', 'sep_conv3x3', 'conv7x7')}, "got 'conv7x7'"),
    ({'num_in_ch': 1}, 'num_in_ch, num_out_ch, rgb_mean'),
])
def test_impossible_networks(kwargs, message):
    with pytest.raises(DeCoNASError, match=message):
        DeCoNASNet(**{'num_feat': 8, **kwargs})


def test_operations_are_a_choice_of_the_options():
    net = DeCoNASSuperNet(num_feat=8, num_block=1, num_layer=2, operations=['conv1x1', 'conv3x3'])
    assert net.space.num_bits == 6
    genotype = Genotype(net.space, (1, 0, 0, 1, 1, 1))
    images = torch.rand(1, 3, 5, 5)
    assert torch.equal(net(images, genotype), net.derive(genotype)(images))
    with pytest.raises(OptionError, match='conv9x9'):
        DeCoNASSuperNet(operations=['conv9x9'])


@torch.no_grad()
def test_half_precision_of_a_large_image():
    torch.manual_seed(0)
    net = DeCoNASNet('100', num_block=1, num_layer=1, num_feat=8).eval()
    # Features of 3, of which the sum over 300 x 400 pixels is beyond the numbers of fp16.
    net.blocks[0].layers['0'].operations['conv3x3'].bias.fill_(3)
    x = torch.rand(1, 3, 300, 400)
    expected = net(x)
    assert (net.half()(x.half()).float() - expected).abs().max() < 5e-3
