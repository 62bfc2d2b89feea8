"""Complexity measures, penalties and latency tables."""
import random
import time

import pytest
import torch
from helpers import built_mult_adds, constant_table, num_params

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.operations import OPERATIONS
from deconas_plugin.cost.count import ComplexityCounter, Cost
from deconas_plugin.cost.latency import LatencyTable, key, measure_latency
from deconas_plugin.errors import OptionError
from deconas_plugin.search.penalty import Penalty
from deconas_plugin.search.strategy import build_strategy
from deconas_plugin.space.genotype import Genotype, SearchSpace

SPACE = SearchSpace()


@pytest.mark.parametrize('operation', OPERATIONS.module_dict)
def test_every_operation_is_counted_as_built(operation):
    for num_inputs in (1, 3):
        space = SearchSpace(num_block=1, num_layer=3, operations=(operation, ))
        bits = [0] * 3 + [1] * num_inputs + [0] * (3 - num_inputs)
        net = DeCoNASNet(Genotype(space, tuple(bits)), num_feat=8, num_block=1, num_layer=3, operations=(operation, ))
        cost = ComplexityCounter.of(net).count(net.genotype)
        assert (net.num_params, built_mult_adds(net)) == (cost.params, cost.mult_adds)


def test_a_genotype_per_block_is_counted_as_built():
    rng = random.Random(3)
    for fusion in (False, True):
        space = SearchSpace(3, 2, search_fusion=fusion, share_blocks=False)
        for _ in range(5):
            net = DeCoNASNet(space.sample(rng), num_feat=8, num_block=3, num_layer=2)
            cost = ComplexityCounter.of(net).count(net.genotype)
            assert (num_params(net), built_mult_adds(net)) == (cost.params, cost.mult_adds)


def test_counting_takes_less_than_a_millisecond():
    counter, rng = ComplexityCounter(SPACE), random.Random(0)
    genotypes = [SPACE.sample(rng) for _ in range(200)]
    started = time.process_time()
    for genotype in genotypes:
        counter.count(genotype)
    assert (time.process_time() - started) / len(genotypes) < 1e-3


def test_costs_add_up_with_their_latency():
    measured = Cost(1, 10, 0.5)
    assert measured + Cost(2, 20, 0.25) == Cost(3, 30, 0.75)
    assert measured * 3 == Cost(3, 30, 1.5)
    assert (measured + Cost(2, 20)).figures() == {'params': 3, 'mult_adds': 30}


def test_parts_of_the_published_network():
    parts = ComplexityCounter.parts(Genotype.parse('DeCoNASNet_x2'))
    assert parts['skeleton', ] == 1 and parts['fusion', 5] == 5
    # Layers 0 and 3 have three operations, layers 1 and 2 two.
    assert parts['layer', 3] == 8 and parts['layer', 2] == 8
    assert parts['operation', 'conv3x3', 2] == 4 and parts['operation', 'sep_conv3x3', 2] == 8
    assert parts['join', 2] == 4 * 4


def test_penalties_are_shares_or_the_excess_over_a_target():
    counter = ComplexityCounter(SPACE, num_feat=32)
    published = Genotype.parse('DeCoNASNet_x2')
    penalty = Penalty(counter, [{'type': 'params', 'weight': 2.0},
                                {'type': 'mult_adds', 'weight': 3.0, 'target': 75e9}])
    parts = penalty(published)
    assert parts['params'] == pytest.approx(2 * counter.searched_params(published) / counter.searchable_params)
    assert parts['mult_adds'] == pytest.approx(3 * (counter.count(published).mult_adds / 75e9 - 1))
    assert penalty(counter.nothing) == {'params': 0, 'mult_adds': 0}
    assert penalty(counter.everything)['params'] == 2
    assert Penalty(counter, [{'type': 'paper', 'weight': 1.0}])(counter.everything) == {'paper': 1.0}


def test_fusions_that_are_searched_have_their_price():
    counter = ComplexityCounter(SearchSpace(search_fusion=True))
    penalty = Penalty(counter, [{'type': 'params', 'weight': 1.0}, {'type': 'paper', 'weight': 1.0}])
    operations = '0' * 30
    fused, unfused = (Genotype(counter.space, tuple(map(int, operations + bits * 8))) for bits in '10')
    assert counter.count(fused).params - counter.count(unfused).params == 81920
    # Four blocks count as one: 4 features of the local fusion, and a fourth of the 4 of the global one.
    assert counter.searched_params(fused) == 5 * 64**2 == 81920 / 4
    assert counter.searched_params(unfused) == counter.paper_params(unfused) == 0
    prices = penalty(fused)
    assert prices == {'params': 20480 / (784000 + 20480), 'paper': 20480 / (743680 + 20480)}
    assert penalty(unfused) == {'params': 0, 'paper': 0}
    assert penalty(counter.everything) == {'params': 1, 'paper': 1}


def test_blocks_of_their_own_are_priced_each():
    counter = ComplexityCounter(SearchSpace(2, 2, share_blocks=False), num_feat=8)
    bits = (1, ) * 9 + (0, ) * 9
    half = Genotype(counter.space, bits)
    assert Penalty(counter, [{'type': 'params', 'weight': 1.0}])(half) == {'params': 0.5}


@pytest.mark.parametrize('terms, message', [
    ([{'type': 'mult_adds', 'weight': 1, 'target': 75e9}], r'target 7.5e\+10 is below 8.504e\+10.*num_feat 64'),
    ([{'type': 'watts', 'weight': 1}], "expected one of params, .*got 'watts'"),
    ([{'type': 'params', 'weight': 1}] * 2, 'params is there twice'),
    ([{'type': 'latency', 'weight': 1}], 'search.latency_table: missing'),
])
def test_impossible_penalties(terms, message):
    with pytest.raises(OptionError, match=message):
        Penalty(ComplexityCounter(SPACE), terms)


def test_latency_is_the_sum_of_the_parts(tmp_path):
    counter = ComplexityCounter(SPACE, num_feat=8)
    counter.latency_table = constant_table(counter, 0.5)
    published = Genotype.parse('DeCoNASNet_x2')
    assert counter.count(published).latency == 0.5 * sum(counter.parts(published).values())
    assert counter.count(published).figures()['latency'] == counter.count(published).latency
    penalty = Penalty(counter, [{'type': 'latency', 'weight': 1.0}])
    assert penalty(counter.everything)['latency'] == 1 and 0 < penalty(published)['latency'] < 1
    path = tmp_path / 'latency.yml'
    counter.latency_table.save(path)
    assert LatencyTable.load(path, counter) == counter.latency_table
    with pytest.raises(OptionError, match='measured for .*num_feat.: 8.*the search has .*num_feat.: 16'):
        LatencyTable.load(path, ComplexityCounter(SPACE, num_feat=16))
    path.write_text('- 1')
    with pytest.raises(OptionError, match='no latency table'):
        LatencyTable.load(path)


def test_measured_tables_hold_every_part_and_say_where():
    counter = ComplexityCounter(SearchSpace(2, 2), num_feat=8)
    table = measure_latency(counter, (16, 12), torch.device('cpu'), runs=3, num_networks=2)
    assert set(table.milliseconds) == {key(part) for part in counter.every_part()}
    assert all(value > 0 for value in table.milliseconds.values())
    assert (table.precision, table.lr_size, len(table.errors)) == ('float32', [16, 12], 2)
    operations = [value for name, value in table.milliseconds.items() if name.startswith('operation')]
    assert table.predict(counter.parts(counter.everything)) > max(operations) * 4


@pytest.mark.parametrize('backend', ['openvino', 'onnxruntime'])
def test_tables_of_other_runtimes(tmp_path, backend):
    counter = ComplexityCounter(SearchSpace(1, 1, ('conv3x3', 'sep_conv3x3')), num_feat=8)
    table = measure_latency(counter, (16, 12), torch.device('cpu'), runs=1, num_networks=1, backend=backend)
    assert set(table.milliseconds) == {key(part) for part in counter.every_part()} and len(table.errors) == 1
    table.save(tmp_path / 'table.yml')
    assert LatencyTable.load(tmp_path / 'table.yml', counter).backend == backend


@pytest.mark.parametrize('weight, within', [(3.0, True), (0.0, False)])
def test_a_search_with_a_target_ends_below_it(weight, within):
    """PSNR that rises with Mult-Adds, as a stand-in for a supernet: without the penalty the search ends far above."""
    counter = ComplexityCounter(SPACE, num_feat=32)
    penalty = Penalty(counter, [{'type': 'mult_adds', 'weight': weight, 'target': 75e9}])
    torch.manual_seed(0)
    strategy = build_strategy(
        DeCoNASController(SPACE, tanh_constant=None, bit_bias=10),
        dict(type='reinforce', lr=3e-3, baseline='leave_one_out', normalize=True, entropy_weight=0.1))
    noise = random.Random(0)

    def reward(genotype):
        psnr = 34 + counter.count(genotype).mult_adds / counter.largest.mult_adds + noise.gauss(0, 0.02)
        return psnr - sum(penalty(genotype).values())

    for _ in range(120):
        genotypes = strategy.ask(16)
        strategy.tell(genotypes, [reward(genotype) for genotype in genotypes])
    found = counter.count(strategy.candidates(0)[0]).mult_adds
    assert (found <= 75e9) == within
    assert found > 50e9  # the budget is used
