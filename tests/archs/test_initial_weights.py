"""Initial weights: layers keep the size of what they read, whatever their operations are."""
import random

import pytest
import torch
import yaml
from helpers import run
from small_run import small_search, write_options
from torch import nn
from torch.nn import functional as F

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.errors import OptionError
from deconas_plugin.search.alone import reset_in_common

SPACES = {
    'paper': dict(num_feat=16, num_block=2, num_layer=3),
    'light': dict(space='light', num_feat=[8, 16], num_block=2, num_layer=3),
}


def sizes(net):
    """dict: By how much what every block reads, its layers and its fusion differ between pixels, in the mean over
    genotypes."""
    found = {}

    def record(name):
        def hook(module, arguments, output):
            output = output.detach() - output.detach().mean((0, 2, 3), keepdim=True)
            found.setdefault(name, []).append(output.square().mean().sqrt().item())
        return hook

    for index, block in enumerate(net.blocks):
        block.register_forward_pre_hook(
            lambda module, arguments, index=index: record((index, 'input'))(module, arguments, arguments[0]))
        for layer, module in block.layers.items():
            module.register_forward_hook(record((index, layer)))
        block.local_fusion.register_forward_hook(record((index, 'fusion')))
    rng = random.Random(0)
    image = F.avg_pool2d(torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)), 3, 1, 1)
    with torch.no_grad():
        for _ in range(20):
            bits = [1] * net.space.num_choice_bits + [rng.getrandbits(1) for _ in range(
                net.space.num_bits - net.space.num_choice_bits)]
            net.run(image, net.space.genotype(bits))
    return {name: sum(values) / len(values) for name, values in found.items()}


@pytest.mark.parametrize('space', SPACES)
def test_layers_keep_the_size_of_what_they_read(space):
    torch.manual_seed(0)
    usual, kept = (sizes(DeCoNASSuperNet(**SPACES[space], init=init)) for init in ('torch', 'he'))
    for block in (0, 1):
        shares = [[found[block, part] / found[block, 'input'] for part in ('0', '1', '2', 'fusion')]
                  for found in (usual, kept)]
        assert 0.2 < min(shares[1]) and max(shares[1]) < 1.2
        assert max(shares[0]) < 0.35 and all(two > 2 * one for one, two in zip(*shares, strict=True))


def test_a_derived_network_begins_in_the_same_way():
    torch.manual_seed(0)
    options = dict(genotype='111 110100 011000010', num_feat=16, num_block=2, num_layer=3)
    net = DeCoNASNet(**options, init='he')
    operation = net.blocks[0].layers['0'].operations['conv3x3']
    noise = F.relu(torch.randn(1, 16, 40, 40)) * 2**0.5
    with torch.no_grad():
        assert operation(noise, (0, )).square().mean().sqrt().item() == pytest.approx(8**0.5, rel=0.25)
    assert not any(module.bias.any() for module in net.modules() if isinstance(module, JoinedWeights))
    before = operation.weight.detach().clone()
    reset_in_common(net, seed=1)
    assert not torch.equal(operation.weight, before)
    assert operation.weight.detach().std() == pytest.approx(before.std().item(), rel=0.2)


def test_usual_networks_stay_as_they_were():
    def weights(**options):
        torch.manual_seed(3)
        return DeCoNASNet(num_feat=8, **options).state_dict()

    usual, same, scaled = weights(), weights(init='torch'), weights(init='he')
    assert all(torch.equal(usual[name], same[name]) for name in usual)
    assert usual.keys() == scaled.keys()
    # Nothing but operations and fusions is scaled, and no random number more is drawn.
    assert all(torch.equal(usual[name], scaled[name]) for name in usual if 'conv_' in name.split('.')[0])
    with pytest.raises(OptionError, match="init: expected one of torch, he, got 'xavier'"):
        weights(init='xavier')


def test_a_supernet_hands_its_init_on_and_has_none_on_the_meta_device():
    net = DeCoNASSuperNet(num_feat=[8, 16], num_block=1, num_layer=1, init='he')
    genotype = net.space.genotype([1] * net.space.num_bits)
    assert net.derived_options(genotype)['init'] == 'he' and net.derive(genotype).init == 'he'
    with torch.device('meta'):
        assert all(parameter.is_meta for parameter in DeCoNASSuperNet(num_feat=8, init='he').parameters())
    narrow = net.space.genotype([0, 1, 1, 1])
    image = torch.rand(1, 3, 6, 6)
    assert (net(image, narrow) - net.derive(narrow)(image)).abs().max() < 1e-5
    assert isinstance(net.conv_first, nn.Conv2d)


def test_a_search_writes_it_into_the_training_options(project):
    opt = small_search(project)
    opt['network_g']['init'] = 'he'
    opt['search']['weight_sampling'] = 'largest_first'
    assert run('search', '-opt', write_options(project, opt)) == 0
    derived = project / 'experiments' / 'small_search' / 'derived'
    assert yaml.safe_load(next(derived.glob('train_*.yml')).read_text())['network_g']['init'] == 'he'
    opt['network_g']['init'] = 'xavier'
    assert run('search', '-opt', write_options(project, opt)) == 2
