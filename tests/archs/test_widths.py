"""Searchable widths: a genotype says how many channels its network has, and the supernet holds all of them in one."""
import random

import pytest
import torch
from helpers import built_mult_adds, constant_table, genotypes, num_params
from torch.nn import functional as F

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.operations import OPERATIONS, Operation
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.cost.latency import LatencyTable, measure_latency
from deconas_plugin.errors import GenotypeError, OptionError
from deconas_plugin.machine.device import resolve_precision
from deconas_plugin.search.penalty import Penalty
from deconas_plugin.search.sampling import GenotypeSampler
from deconas_plugin.search.strategy import RandomSearch, build_strategy
from deconas_plugin.space.genotype import Genotype, SearchSpace
from tools.lab.study.rank import stratified_genotypes

WIDTHS = (4, 8, 12, 16)
VARIANTS = {
    'paper': {},
    'fusion': {'search_fusion': True, 'upscale': 3},
    'own blocks': {'share_blocks': False, 'search_fusion': True, 'num_layer': 2},
    'own operation': {'operations': ['own_width_conv', 'skip', 'conv1x1'], 'upscale': 4},
}


@pytest.fixture(autouse=True)
def own_operation():
    """A user's operation: two depthwise convolutions and a pointwise one."""

    @OPERATIONS.register_module(name='own_width_conv')
    class OwnWidthConv(Operation):
        radius = 1
        joined = {'row': 0, 'column': 0, 'pointwise': 1}

        def weight_shapes(self, num_feat):
            return {'row': (num_feat, 1, 1, 3), 'column': (num_feat, 1, 3, 1), 'pointwise': (num_feat, num_feat, 1, 1)}

        def forward(self, x, weights, bias):
            x = F.conv2d(x, weights['row'], padding=(0, 1), groups=x.shape[1])
            x = F.conv2d(x, weights['column'], padding=(1, 0), groups=x.shape[1])
            return F.conv2d(x, weights['pointwise'], bias)

    yield
    del OPERATIONS.module_dict['own_width_conv']


def make(**options):
    torch.manual_seed(0)
    return DeCoNASSuperNet(**{'num_feat': list(WIDTHS), 'num_block': 3, 'num_layer': 3, **options})


def of_width(genotype, width):
    return Genotype(genotype.space, genotype.space.width_bits(width) + genotype.connections.bits)


@torch.no_grad()
@pytest.mark.parametrize('name', VARIANTS)
def test_every_width_of_the_supernet_is_its_derived_network(name):
    supernet, images = make(**VARIANTS[name]), torch.rand(2, 3, 6, 5)
    narrow = {width: supernet.narrow(width) for width in WIDTHS}
    seen = set()
    for genotype in genotypes(supernet.space, 20):  # with those of no, one and all bits
        for width in (WIDTHS if sum(genotype.bits) in (0, supernet.space.num_bits) else (genotype.width, )):
            genotype = of_width(genotype, width)
            derived, output = supernet.derive(genotype), supernet(images, genotype)
            assert derived.num_feat == derived.conv_first.out_channels == width
            assert (output - derived(images)).abs().max() <= 1e-5
            assert (output - narrow[width](images, genotype.connections)).abs().max() <= 1e-5
            assert str(derived.genotype) == str(genotype.connections)
            seen.add(width)
    assert seen == set(WIDTHS)


def test_a_narrow_network_has_the_first_channels_of_every_feature():
    supernet = make()
    net = supernet.derive(of_width(supernet.space.sample(random.Random(0)), 4))
    # The second transition reads three features of 16 channels; the narrow one three of 4.
    wide, narrow = supernet.transitions[1].weight, net.transitions[1].weight
    assert narrow.shape == (4, 12, 1, 1)
    for feature in range(3):
        assert torch.equal(narrow[:, 4 * feature:4 * feature + 4], wide[:4, 16 * feature:16 * feature + 4])
    assert torch.equal(net.conv_second.weight, supernet.conv_second.weight[:4, :4])
    assert torch.equal(net.upsample[0].weight, supernet.upsample[0].weight[:16, :4])
    assert torch.equal(net.upsample[0].bias, supernet.upsample[0].bias[:16])
    attention = net.blocks[0].layers['2'].attention
    assert torch.equal(attention.squeeze.weight, supernet.blocks[0].layers['2'].attention.squeeze.weight[:1, :4])
    assert torch.equal(net.conv_last.weight, supernet.conv_last.weight[:, :4])


def test_a_width_that_is_no_choice_is_refused():
    supernet, other = make(num_feat=[4, 8]), SearchSpace(3, 3, widths=(6, 12))
    for width in (6, 12):
        with pytest.raises(GenotypeError, match=f'expected one of 4ch, 8ch before its bits, got {width}ch'):
            supernet(torch.rand(1, 3, 4, 4), of_width(other.sample(random.Random(0)), width))


def test_the_widest_network_is_that_of_a_supernet_without_widths():
    supernet, plain = make(), make(num_feat=16)
    assert supernet.state_dict().keys() == plain.state_dict().keys()
    plain.load_state_dict(supernet.state_dict())
    genotype, images = of_width(supernet.space.sample(random.Random(0)), 16), torch.rand(1, 3, 6, 5)
    assert torch.equal(supernet(images, genotype), plain(images, genotype.connections))


@pytest.mark.parametrize('width', WIDTHS[:-1])
def test_a_step_at_a_width_has_no_gradient_beyond_it(width):
    supernet = make(num_block=2)
    genotype = of_width(supernet.space.sample(random.Random(2)), width)
    supernet(torch.rand(2, 3, 8, 8), genotype).square().mean().backward()
    narrow = supernet.narrow(width)
    narrow_shapes = {name: parameter.shape for name, parameter in narrow.named_parameters()}
    unused = 0
    for name, parameter in supernet.named_parameters():
        if parameter.grad is None:
            unused += 1
            continue
        inside = parameter.grad
        if name == 'transitions.0.weight':
            inside = inside.unflatten(1, (2, 16))[:, :, :width].flatten(1, 2)
        inside = inside[tuple(slice(size) for size in narrow_shapes[name])]
        assert inside.shape == narrow_shapes[name]
        assert inside.count_nonzero() == parameter.grad.count_nonzero()
    # What the genotype does not select has none at all, as without widths.
    narrow(torch.rand(2, 3, 8, 8), genotype.connections).mean().backward()
    assert unused == sum(parameter.grad is None for parameter in narrow.parameters()) > 0
    assert supernet.conv_second.weight.grad[:width, :width].count_nonzero() > 0


def num_weights(operation):
    return sum(parameter.numel() for key, parameter in operation.named_parameters() if key != 'bias')


@pytest.mark.parametrize('name', VARIANTS)
def test_every_width_is_counted_as_built(name):
    supernet, rng = make(**VARIANTS[name]), random.Random(5)
    counter = ComplexityCounter.of(supernet)
    for width in WIDTHS:
        genotype = of_width(supernet.space.sample(rng), width)
        net, cost = supernet.derive(genotype), counter.count(genotype)
        blocks = net.blocks[:1] if supernet.space.share_blocks else net.blocks
        searched = sum(map(num_weights, (operation for block in blocks for layer in block.layers.values()
                                         for operation in layer.operations.values())))
        if supernet.space.search_fusion:  # the last feature is always taken; the one global fusion serves all blocks
            searched += sum(num_weights(block.local_fusion) - width**2 for block in blocks)
            searched += (num_weights(net.global_fusion) - width**2) * len(blocks) / len(net.blocks)
        assert searched == counter.searched_params(genotype)
        assert (num_params(net), built_mult_adds(net)) == (cost.params, cost.mult_adds)


def test_penalties_are_shares_of_the_widest_network():
    counter = ComplexityCounter.of(make())
    assert counter.everything.width == 16 and counter.nothing.width == 4
    costs = [counter.count(of_width(counter.nothing, width)).mult_adds for width in WIDTHS]
    assert costs == sorted(costs) and costs[0] == min(costs)
    types = ('params', 'mult_adds', 'paper')
    penalty = Penalty(counter, [{'type': name, 'weight': 2.0} for name in types])
    assert penalty(counter.everything) == dict.fromkeys(types, 2.0)
    halved = penalty(of_width(counter.everything, 8))
    # Dense weights go with the square of the width, depthwise ones with the width.
    assert 0.25 < halved['params'] / 2 < 0.27 and 0.25 < halved['mult_adds'] / 2 < 0.27
    plain = ComplexityCounter(counter.space.sample(random.Random(0)).connections.space, num_feat=8)
    assert counter.paper_params(of_width(counter.everything, 8)) == plain.paper_params(plain.everything)
    with pytest.raises(OptionError, match='with num_feat 4;'):
        Penalty(counter, [{'type': 'mult_adds', 'weight': 1, 'target': 1.0}])


def test_latency_tables_hold_every_width(tmp_path):
    counter = ComplexityCounter.of(make(num_feat=[4, 8], num_block=2, num_layer=2))
    table = measure_latency(counter, (16, 12), torch.device('cpu'), runs=2, num_networks=2)
    assert table.network['num_feat'] == [4, 8] and len(table.errors) == 2
    parts = [name.removeprefix('8ch ') for name in table.milliseconds if name.startswith('8ch ')]
    assert set(table.milliseconds) == {f'{width}ch {part}' for width in (4, 8) for part in parts}
    table.save(path := tmp_path / 'latency.yml')
    counter.latency_table = LatencyTable.load(path, counter)
    genotype = of_width(counter.everything, 4)
    doubled = {name: ms * (2 if name.startswith('4ch') else 1) for name, ms in table.milliseconds.items()}
    before = counter.count(genotype).latency
    counter.latency_table.milliseconds.update(doubled)
    assert counter.count(genotype).latency == pytest.approx(2 * before)
    plain = ComplexityCounter(genotype.connections.space, num_feat=8)
    for wrong in (plain, ComplexityCounter.of(make(num_feat=[4, 16], num_block=2, num_layer=2))):
        with pytest.raises(OptionError, match=r'measured for .*num_feat.: \[4, 8\]'):
            LatencyTable.load(path, wrong)
    constant_table(plain).save(path)
    with pytest.raises(OptionError, match=r'the search has .*num_feat.: \[4, 8\]'):
        LatencyTable.load(path, counter)


@pytest.mark.parametrize('kwargs', [{}, {'search_fusion': True}, {'share_blocks': False, 'search_fusion': True}])
def test_texts_say_the_width(kwargs, tmp_path):
    space = SearchSpace(2, 2, widths=WIDTHS, **kwargs)
    plain = SearchSpace(2, 2, **kwargs)
    assert space.num_bits == plain.num_bits + 2
    widths = set()
    for seed in range(20):
        genotype = space.sample(random.Random(seed))
        assert str(genotype) == f'{genotype.width}ch {genotype.connections}'
        assert genotype.connections == Genotype.from_text(plain, str(genotype.connections))
        assert genotype == Genotype.from_text(space, str(genotype)) == Genotype.from_dict(genotype.to_dict())
        assert genotype.to_dict()['num_feat'] == list(WIDTHS) and 'num_feat' not in genotype.connections.to_dict()
        assert genotype.describe() == {'num_feat': genotype.width, **genotype.connections.describe()}
        assert Genotype.parse(str(genotype), 2, 2, num_feat=genotype.width) == genotype.connections
        assert genotype.complement.width == genotype.width and genotype.complement.complement == genotype
        widths.add(genotype.width)
    assert widths == set(WIDTHS)
    assert [space.width_bits(width) for width in WIDTHS] == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize('text, message', [
    ('111 111111', 'expected one of 4ch, 8ch, 12ch, 16ch before its bits, got none'),
    ('20ch 111 111111', 'expected one of 4ch, 8ch, 12ch, 16ch before its bits, got 20ch'),
    ('8ch 111 11111', 'expected 9 bits for num_layer=2, got 8'),
    ('8 111 111111', 'expected bits in quotes'),
])
def test_wrong_texts(text, message):
    with pytest.raises(GenotypeError, match=message):
        Genotype.from_text(SearchSpace(2, 2, widths=WIDTHS), text)


def test_a_network_of_another_width_than_was_found_is_refused():
    net = DeCoNASNet('8ch 111 110100', num_feat=8, num_block=2, num_layer=2)
    assert str(net.genotype) == '111 110100' and net.genotype_code.equal(
        DeCoNASNet('111 110100', num_feat=8, num_block=2, num_layer=2).genotype_code)
    with pytest.raises(GenotypeError, match='found for 8 channels, but num_feat is 64; set num_feat to 8'):
        DeCoNASNet('8ch 111 110100', num_block=2, num_layer=2)
    with pytest.raises(GenotypeError, match='expected nothing before its bits, got 8ch'):
        Genotype.from_text(SearchSpace(2, 2), '8ch 111 110100')


@pytest.mark.parametrize('widths', [[], [16], [16, 24, 32], [32, 16], [16, 16], [0, 16], [16, '32'], [16, 32.0],
                                    list(range(1, 17)), 32])
def test_impossible_choices(widths):
    with pytest.raises(GenotypeError, match='num_feat: expected 2, 4 or 8 different whole numbers'):
        SearchSpace(widths=widths)


def test_the_controller_chooses_a_width_as_any_other_decision():
    space = SearchSpace(1, 1, widths=(4, 8))
    torch.manual_seed(0)
    controller = DeCoNASController(space, tanh_constant=None)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(20)
    every = torch.tensor([[int(bit) for bit in f'{number:04b}'] for number in range(16)])
    probabilities = controller.evaluate(every)[0].exp()
    assert abs(probabilities.sum().item() - 1) < 1e-5
    drawn = controller.sample(20_000)
    assert ((drawn[:, None] == every).all(2).float().mean(0) - probabilities).abs().max() < 0.015
    # What follows depends on the width.
    shares = [drawn[drawn[:, 0] == bit, 1:].float().mean(0) for bit in (0, 1)]
    assert (shares[0] - shares[1]).abs().max() > 0.05


@pytest.mark.parametrize('options', [
    dict(type='reinforce', lr=3e-3, baseline='leave_one_out', entropy_weight=0.2, normalize=True),
    dict(type='evolution')])
def test_a_planted_width_is_found(options):
    space = SearchSpace(2, 2, widths=WIDTHS)
    target = of_width(space.sample(random.Random(4)), 8)
    torch.manual_seed(0)
    strategy = build_strategy(DeCoNASController(space, tanh_constant=None, bit_bias=10), options)
    for _ in range(100):
        asked = strategy.ask(16)
        strategy.tell(asked, [sum(a == b for a, b in zip(one.bits, target.bits, strict=True)) / 11 for one in asked])
    assert strategy.candidates(0)[0] == target


def test_fair_steps_train_every_weight_of_a_width():
    space = SearchSpace(2, 2, widths=WIDTHS)
    sampler = GenotypeSampler(RandomSearch(space), space, random.Random(0), 'fair', warmup_iter=0)
    drawn = [sampler.draw(step) for step in range(1, 401)]
    for one, other in zip(drawn[::2], drawn[1::2], strict=True):
        assert one.width == other.width
        assert all(a + b == 1 for a, b in zip(one.connections.bits, other.connections.bits, strict=True))
    counts = [sum(genotype.width == width for genotype in drawn) for width in WIDTHS]
    assert min(counts) > 70


def test_ranked_networks_are_of_every_width_and_size():
    space = SearchSpace(2, 3, widths=WIDTHS)
    counter = ComplexityCounter(space)
    chosen = stratified_genotypes(space, counter, 24, seed=0)
    assert {genotype.width for genotype in chosen} == set(WIDTHS)
    costs = [counter.count(genotype).mult_adds for genotype in chosen]
    assert costs == sorted(costs) and costs[-1] > 0.8 * counter.largest.mult_adds


def test_bf16_on_a_cpu_needs_every_width_to_fit():
    cpu = torch.device('cpu')
    assert resolve_precision('bf16', cpu, [16, 32]) == 'bf16'
    assert resolve_precision(None, cpu, [16, 24]) == 'float32'
    with pytest.raises(OptionError, match='multiple of 16, got 16, 24; use float32'):
        resolve_precision('bf16', cpu, [16, 24])
