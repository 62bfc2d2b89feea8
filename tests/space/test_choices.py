"""Choices beside the connections: blocks, layers, attention, activation; each alone, and all together."""
import random
import re
from itertools import cycle

import pytest
import torch
from helpers import built_mult_adds, texts_of

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.load import network_from_state
from deconas_plugin.archs.network_options import network_options
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.cost.latency import LatencyTable, measure_latency
from deconas_plugin.errors import DeCoNASError, GenotypeError, OptionError, WeightsError
from deconas_plugin.formats.convert import convert
from deconas_plugin.inference.tiling import upscale_tiled
from deconas_plugin.search.strategy import build_strategy
from deconas_plugin.space.choices import ACTIVATIONS, ATTENTIONS
from deconas_plugin.space.genotype import Genotype, SearchSpace
from deconas_plugin.space.spaces import SPACES
from deconas_plugin.visual.bits import genotype_strip
from deconas_plugin.visual.draw import draw_genotype

CHOICES = {
    'num_feat': [4, 8],
    'num_block': [1, 2, 3, 4],
    'num_layer': [2, 3],
    'attention': list(ATTENTIONS),
    'activation': ['relu', 'lrelu', 'silu', 'gelu8'],
}
EVERYTHING = {**CHOICES, 'search_fusion': True, 'tail': 'light', 'residual': 'bicubic'}
VARIANTS = {
    **{f'{name} alone': {name: values} for name, values in CHOICES.items()},
    'all': EVERYTHING,
    'light operations': {**EVERYTHING, 'operations': list(SPACES['light']['operations'])},
    'own blocks': {**EVERYTHING, 'share_blocks': False, 'num_block': [1, 3]},
    **{f'{name} fixed': {'attention': name} for name in ATTENTIONS if name != 'channel'},
}
SMALL = dict(num_feat=8, num_block=2, num_layer=2)


def make(**options):
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(**{**SMALL, **options})
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if name.startswith('upsample.'):  # a residual starts with zeros there
                parameter.normal_(0, 0.05)
    return supernet


def space_of(name):
    with torch.device('meta'):
        return DeCoNASSuperNet(**{**SMALL, **VARIANTS[name]}).space


def sample(space, number, seed=0):
    rng = random.Random(seed)
    return [space.sample(rng) for _ in range(number)]


@torch.no_grad()
@pytest.mark.parametrize('name', VARIANTS)
def test_supernet_and_derived_network_are_the_same(name):
    supernet, images = make(**VARIANTS[name]), torch.rand(1, 3, 6, 5)
    counter, seen = ComplexityCounter.of(supernet), set()
    number = 50 if name == 'all' or name.endswith('alone') else 20
    for genotype in (counter.nothing, counter.everything, *sample(supernet.space, number)):
        derived, cost = supernet.derive(genotype), counter.count(genotype)
        assert (supernet(images, genotype) - derived(images)).abs().max() <= 1e-5
        assert derived.genotype == genotype.connections and len(derived.blocks) == genotype.num_block
        assert derived.num_params == cost.params
        seen.update(genotype.chosen.items())
    assert len(seen) == sum(len(choice.values) for choice in supernet.space.choices)


@pytest.mark.parametrize('name', VARIANTS)
def test_counts_are_those_of_the_network_as_built(name):
    supernet = make(**VARIANTS[name])
    counter = ComplexityCounter.of(supernet)
    for genotype in (counter.nothing, counter.everything, *sample(supernet.space, 2)):
        net, cost = supernet.derive(genotype), counter.count(genotype)
        assert (net.num_params, built_mult_adds(net)) == (cost.params, cost.mult_adds)
        assert set(counter.parts(genotype)) <= set(counter.every_part())
    costs = [counter.count(genotype) for genotype in sample(supernet.space, 100)]
    for key in ('params', 'mult_adds'):
        values = [getattr(cost, key) for cost in costs]
        assert getattr(counter.count(counter.nothing), key) <= min(values)
        assert getattr(counter.largest, key) >= max(values)


@torch.no_grad()
@pytest.mark.parametrize('name', VARIANTS)
def test_fused_in_tiles_and_from_weights_alone(name):
    supernet, images = make(**VARIANTS[name]), torch.rand(1, 3, 40, 36)
    for genotype in sample(supernet.space, 3, seed=1):
        net = supernet.derive(genotype).eval()
        output = net(images)
        for state in (net.state_dict(), net.fuse().state_dict()):
            assert network_options(state)['genotype'] == genotype.connections
            assert (network_from_state(state)(images) - output).abs().max() <= 1e-5
        assert (upscale_tiled(net.fuse(), images, tile=12, tolerance=0) - output).abs().max() <= 1e-5


@pytest.mark.parametrize('name', VARIANTS)
def test_what_is_not_chosen_gets_no_gradient(name):
    supernet = make(**VARIANTS[name])
    for genotype in sample(supernet.space, 5):
        supernet.zero_grad(set_to_none=True)
        supernet(torch.rand(1, 3, 8, 8), genotype).square().mean().backward()
        used = {key for key, parameter in supernet.named_parameters() if parameter.grad is not None}
        # Slices of the supernet are one tensor of the derived network.
        used = {re.sub(r'\.\d+$', '', key) for key in used}
        assert used == {key for key, _ in supernet.derive(genotype).named_parameters()}


def test_light_networks_train_in_bf16():
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(space='light', num_feat=32, num_block=2, num_layer=2).to(
        memory_format=torch.channels_last)
    x = torch.rand(8, 3, 32, 32).to(memory_format=torch.channels_last)
    with torch.no_grad():
        supernet.upsample[0].weight.normal_(0, 0.01)
    for attention in ATTENTIONS:
        genotype = Genotype.from_text(supernet.space, f'v2 {attention} relu 1111 11111111')
        for _ in range(4):  # what is undefined is not always NaN
            supernet.zero_grad(set_to_none=True)
            with torch.autocast('cpu', dtype=torch.bfloat16):
                output = supernet(x, genotype)
            output.float().square().mean().backward()
            for name, parameter in supernet.named_parameters():
                assert parameter.grad is None or parameter.grad.isfinite().all(), (attention, name)


@pytest.mark.parametrize('name', VARIANTS)
def test_texts_and_dictionaries_come_back(name, tmp_path):
    space = space_of(name)
    for genotype in sample(space, 100):
        assert Genotype.from_text(space, str(genotype)) == genotype == Genotype.from_dict(genotype.to_dict())
        plain = genotype.connections
        assert plain.connections == plain and not plain.space.choices
        assert plain == Genotype.from_text(plain.space, str(plain)) == Genotype.from_dict(plain.to_dict())
        sizes = dict(num_block=genotype.num_block, num_layer=genotype.num_layer, operations=space.operations)
        # What the derivation writes, and what one copies from a history.
        for value in (str(plain), str(genotype), genotype):
            assert Genotype.parse(value, **sizes, num_feat=genotype.width) == plain
        assert genotype.complement.complement == genotype and genotype.complement.chosen == genotype.chosen


def test_what_a_text_looks_like():
    space = SearchSpace([2, 3], [1, 2], ('conv3x3', 'sep_conv3x3'), widths=(16, 32), attention=['spatial', 'none'],
                        activation='silu')
    genotype = Genotype.placed(space, {'width': 32, 'num_block': 3, 'num_layer': 1, 'attention': 'none',
                                       'activation': 'silu'}, (1, 0))
    assert str(genotype) == 'v2 32ch 3b 1l none silu 10'
    assert str(genotype.connections) == 'v2 none silu 10'
    assert str(Genotype.parse('100 100100', num_layer=2)) == '100 100100'
    assert genotype.describe()['num_feat'] == 32 and genotype.describe()['num_layer'] == 1
    assert len(genotype.bits) == space.num_bits == 4 + 6 and sum(genotype.bits[6:]) == 0


def test_bits_of_layers_that_are_not_there_are_no_difference():
    space = SearchSpace(3, [1, 2], ('conv3x3', ), activation=['relu', 'gelu'])
    assert Genotype(space, (0, 0, 1, 0, 0)) == Genotype(space, (0, 0, 1, 1, 1))
    assert len({space.genotype(int(bit) for bit in f'{number:05b}') for number in range(32)}) == space.num_genotypes
    assert space.num_genotypes == 2 * (2 + 8)
    probabilities = [sum(column) / 4000 for column in zip(*(one.bits for one in sample(space, 4000)), strict=True)]
    assert probabilities == pytest.approx(space.uniform_probabilities, abs=0.03)


@pytest.mark.parametrize('text, message', [
    ('v2 2b 2l channel 111 111111', 'expected one of 3b, 4b before its bits, got 2b'),
    ('v2 2l channel 111 111111', 'expected one of 3b, 4b before its bits, got none'),
    ('v2 3b 2l none 111 111111', 'expected one of channel, spatial before its bits, got none'),
    ('v2 3b 2l spatial gelu 111 111111', 'expected nothing before its bits, got gelu'),
    ('v2 3b 2l spatial 111 11111', 'expected 9 bits for num_layer=2, got 8'),
    ('v2 3b 1l spatial 111 111111', 'expected 3 bits for num_layer=1, got 9'),
    ('v2 8ch 3b 2l spatial 111 111111', 'expected nothing before its bits, got 8ch'),
    ('v2 3b 3b 2l spatial 111 111111', 'expected one word for num_block, got 3b and 3b'),
    ('3b 2l spatial 111 111111', 'expected v2 at its beginning'),
    ('v3 3b 2l spatial 111 111111', 'written in version 3, but this program reads up to version 2'),
    ('v2 3b 2l 2x spatial 111 111111', 'expected bits in quotes'),
    ('111 111111', 'expected one of 3b, 4b before its bits, got none'),
])
def test_texts_of_other_spaces_and_versions(text, message):
    space = SearchSpace([3, 4], [1, 2], attention=['channel', 'spatial'])
    with pytest.raises(GenotypeError, match=message) as caught:
        Genotype.from_text(space, text)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('options, message', [
    (dict(num_block=[2, 3, 4]), 'num_block: expected 2, 4 or 8 different whole numbers'),
    (dict(num_layer=[3, 2]), 'num_layer: expected 2, 4 or 8 .* in ascending order'),
    (dict(num_block=[0, 2]), 'num_block: expected 2, 4 or 8'),
    (dict(attention='squeeze'), "attention: expected one of none, channel, spatial, both, or 2, 4 .*got 'squeeze'"),
    (dict(attention=['none', 'channel', 'both']), 'attention: expected one, or 2, 4 or 8 different ones'),
    (dict(activation=['relu', 'relu']), 'activation: expected one, or 2, 4 or 8 different ones'),
])
def test_impossible_choices(options, message):
    with pytest.raises(DeCoNASError, match=message) as caught:
        DeCoNASSuperNet(**{**SMALL, **options})
    assert '\n' not in str(caught.value)


def test_a_network_of_other_sizes_than_were_found_is_refused():
    text = 'v2 8ch 2b 2l spatial silu 111 111111'
    net = DeCoNASNet(text, **SMALL)
    assert str(net.genotype) == 'v2 spatial silu 111 111111'
    with pytest.raises(GenotypeError, match='found for 2 blocks, but num_block is 3; set num_block to 2'):
        DeCoNASNet(text, **{**SMALL, 'num_block': 3})
    with pytest.raises(GenotypeError, match='found for 2 layers in a block, but num_layer is 4; set num_layer to 2'):
        DeCoNASNet(text, **{**SMALL, 'num_layer': 4})
    with pytest.raises(WeightsError, match='genotype v2 spatial silu .* but this network has 111 111111'):
        DeCoNASNet('111 111111', **SMALL).load_state_dict(net.state_dict())


@pytest.mark.parametrize('kwargs', [{'search_fusion': True}, {'share_blocks': False}])
def test_the_controller_draws_sizes_first_and_nothing_that_means_nothing(kwargs):
    space = SearchSpace([1, 2], [1, 2], ('conv3x3', ), **kwargs)
    torch.manual_seed(0)
    controller = DeCoNASController(space, tanh_constant=None)
    with torch.no_grad():
        for parameter in controller.parameters():
            parameter.mul_(20)
    numbers = range(2**space.num_bits)
    every = {space.genotype(int(bit) for bit in f'{number:0{space.num_bits}b}') for number in numbers}
    assert len(every) == space.num_genotypes < 2**space.num_bits
    bits = torch.tensor([genotype.bits for genotype in every])
    log_probs, entropies = controller.evaluate(bits)
    probabilities = log_probs.exp()
    assert abs(probabilities.sum().item() - 1) < 1e-5
    entropy = -(probabilities * log_probs).sum().item()
    assert (probabilities * entropies).sum().item() == pytest.approx(entropy, rel=1e-4)
    drawn = controller.sample(20_000)
    assert all(tuple(row) == space.genotype(row).bits for row in drawn[:500].tolist())
    shares = (drawn[:, None] == bits).all(2).float().mean(0)
    assert (shares - probabilities).abs().max() < 0.015
    entropies.sum().backward()
    gradients = [parameter.grad for parameter in controller.parameters() if parameter.grad is not None]
    assert gradients and all(torch.isfinite(gradient).all() for gradient in gradients)
    greedy = controller.greedy()[0].tolist()
    assert tuple(greedy) == space.genotype(greedy).bits


@pytest.mark.parametrize('options', [
    dict(type='reinforce', lr=3e-3, baseline='leave_one_out', entropy_weight=0.2, normalize=True),
    dict(type='evolution'), dict(type='random')])
def test_strategies_find_planted_choices(options):
    space = SearchSpace([2, 3, 4, 5], [1, 2], ('conv3x3', 'sep_conv3x3'), attention=list(ATTENTIONS))
    target = {'num_block': 3, 'num_layer': 2, 'attention': 'spatial'}
    torch.manual_seed(0)
    strategy = build_strategy(DeCoNASController(space, tanh_constant=None, bit_bias=10), options)
    for _ in range(60):
        asked = strategy.ask(16)
        strategy.tell(asked, [sum(one.chosen[kind] == value for kind, value in target.items()) for one in asked])
    state = strategy.state_dict()
    strategy.load_state_dict(state)
    assert strategy.candidates(0)[0].chosen == target
    probabilities = strategy.bit_probabilities()
    assert len(probabilities) == space.num_bits and all(0 <= value <= 1 for value in probabilities)


def test_children_of_evolution_are_connected_in_the_layers_that_they_gain():
    """As densely as their parent's: one of four operations for each of the two features that layer 1 can read."""
    space = SearchSpace(2, [1, 2], ('conv3x3', 'sep_conv3x3', 'bs_conv3x3', 'bs_conv7x7'))
    strategy = build_strategy(DeCoNASController(space), dict(type='evolution', population=4, tournament=1))
    parents = [Genotype.placed(space, {'num_layer': 1}, (1, 0, 0, 0))] * 4
    strategy.tell(parents, [0.0] * 4)
    gained = [child.bits[5:] for child in strategy.ask(4000) if child.num_layer == 2]
    assert len({*gained}) > 50 and sum(map(sum, gained)) / len(gained) == pytest.approx(8 / 4, rel=0.15)


def test_latency_tables_hold_every_choice(tmp_path):
    options = dict(num_feat=[4, 8], num_block=[1, 2], attention=['channel', 'spatial'], activation=['relu', 'gelu'])
    counter = ComplexityCounter.of(make(**options))
    table = measure_latency(counter, (12, 10), torch.device('cpu'), runs=1, num_networks=2)
    table.save(path := tmp_path / 'latency.yml')
    counter.latency_table = LatencyTable.load(path, counter)
    assert {'4ch transition 2', '8ch layer 3 spatial gelu'} <= set(counter.latency_table.milliseconds)
    for genotype in sample(counter.space, 10):
        assert counter.count(genotype).latency > 0
    for other in ('num_block', 'attention', 'activation'):
        fixed = {**options, other: options[other][0]}
        with pytest.raises(OptionError, match='latency_table'):
            LatencyTable.load(path, ComplexityCounter.of(make(**fixed)))


@pytest.mark.parametrize('name', ['all', 'own blocks', 'none fixed', 'both fixed'])
def test_drawings_say_what_was_chosen(name):
    for genotype in sample(space_of(name), 3):
        texts = texts_of(draw_genotype(genotype))
        drawn = len({id(block) for block in genotype.blocks}) * genotype.num_layer
        assert sum(text.startswith('layer ') for text in texts) == drawn
        assert str(genotype) in texts
        activation = {'relu': 'ReLU', 'lrelu': 'leaky ReLU', 'silu': 'SiLU',
                      'gelu8': 'GELU of 8x, / 8'}[genotype.activation]
        then = {'none': '', 'channel': ', then channel attention', 'spatial': ', then spatial attention',
                'both': ', then channel and spatial attention'}[genotype.attention]
        assert f'mean of the operations, {activation}{then}' in texts
        assert str(genotype) in genotype_strip(genotype)


@pytest.mark.slow
def test_onnxruntime_computes_every_choice_alike(tmp_path):
    pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    for index, (attention, activation) in enumerate(zip(cycle(ATTENTIONS), ACTIVATIONS, strict=False)):
        torch.manual_seed(0)
        operations = ('bs_conv3x3', 'bs_conv7x7', 'rep_conv3x3', 'gate_conv3x3')
        net = DeCoNASNet(f'v2 {attention} {activation} 1111', num_feat=8, num_block=1, num_layer=1,
                         operations=operations)
        torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
        message = convert(tmp_path / 'net.pth', tmp_path / f'{index}.onnx')  # refuses more than 1e-4
        assert 'from PyTorch at 3 sizes' in message


def test_named_spaces():
    with torch.device('meta'):
        paper, light = DeCoNASSuperNet(), DeCoNASSuperNet(space='light')
        fixed = DeCoNASSuperNet(space='light', num_feat=24, num_block=3, num_layer=2, attention='spatial',
                                activation='gelu', operations=['bs_conv3x3'], tail='classic', residual='none')
    assert paper.space == SearchSpace() and (paper.tail_kind, paper.residual) == ('classic', 'none')
    assert {choice.kind for choice in light.space.choices} == {'width', 'num_block', 'num_layer', 'attention',
                                                               'activation'}
    assert (light.tail_kind, light.residual, light.num_feat) == ('light', 'bicubic', 64)
    assert not fixed.space.choices and fixed.space.num_bits == 3 and fixed.num_feat == 24
    with pytest.raises(OptionError, match="space: expected one of paper, light, got 'heavy'"):
        DeCoNASSuperNet(space='heavy')


@pytest.mark.parametrize('key', ['num_feat', 'num_block', 'num_layer', 'attention', 'activation'])
def test_every_choice_of_the_light_space_can_be_switched_off(key):
    values = SPACES['light'][key]
    with torch.device('meta'):
        space = DeCoNASSuperNet(space='light', **{key: values[1]}).space
    kinds = {choice.kind for choice in space.choices}
    assert kinds == {'width', 'num_block', 'num_layer', 'attention', 'activation'} - {key.replace('num_feat', 'width')}
    chosen = space.sample(random.Random(0))
    assert Genotype.from_text(space, str(chosen)) == chosen


def test_25_G_is_in_the_midst_of_the_light_space_and_75_G_near_its_upper_part():
    with torch.device('meta'):
        counter = ComplexityCounter.of(DeCoNASSuperNet(space='light'))
    costs = sorted(counter.count(genotype).mult_adds for genotype in sample(counter.space, 2000))
    assert 0.3 < sum(cost <= 25e9 for cost in costs) / 2000 < 0.6
    assert 0.7 < sum(cost <= 75e9 for cost in costs) / 2000 < 0.9


def check_light_genotypes(number, number_built):
    """Parse, print and count random genotypes of the light space; those that are built against FlopCounterMode."""
    with torch.device('meta'):
        supernet = DeCoNASSuperNet(space='light')
    counter, genotypes = ComplexityCounter.of(supernet), sample(supernet.space, number)
    for genotype in genotypes:
        assert Genotype.from_text(supernet.space, str(genotype)) == genotype == Genotype.from_dict(genotype.to_dict())
        assert Genotype.parse(str(genotype), genotype.num_block, genotype.num_layer, supernet.space.operations,
                              genotype.width) == genotype.connections
        assert counter.count(genotype).mult_adds > 0
    for genotype in genotypes[:number_built]:
        with torch.device('meta'):
            net = DeCoNASNet(**supernet.derived_options(genotype))
        cost = counter.count(genotype)
        assert (net.num_params, built_mult_adds(net)) == (cost.params, cost.mult_adds)


def test_some_genotypes_of_the_light_space():
    check_light_genotypes(200, 4)


@pytest.mark.slow
def test_10_000_genotypes_of_the_light_space():
    check_light_genotypes(10_000, 200)
