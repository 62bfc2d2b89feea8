"""Search strategies on rewards whose best genotype is known: what they find, and with how many scored genotypes."""
import itertools
import random
from copy import deepcopy
from io import BytesIO
from itertools import pairwise

import pytest
import torch
from planted import PlantedReward

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import OptionError
from deconas_plugin.search.evolution import Evolution
from deconas_plugin.search.strategy import STRATEGIES, build_strategy
from deconas_plugin.space.genotype import SearchSpace

SPACES = {30: SearchSpace(), 38: SearchSpace(search_fusion=True)}
REINFORCE = dict(type='reinforce', lr=3e-3, baseline='leave_one_out', entropy_weight=0.2, normalize=True)
OPTIONS = {'reinforce': REINFORCE, 'random': dict(type='random'), 'evolution': dict(type='evolution'),
           'nsga2': dict(type='nsga2', population=24)}
NUM_SAMPLES = 16
BUDGET = 4096


def build(name, space, seed=0):
    torch.manual_seed(seed)
    controller = DeCoNASController(space, tanh_constant=None, bit_bias=10)
    return build_strategy(controller, OPTIONS[name], seed, ComplexityCounter(space, num_feat=8))


def search(strategy, reward, budget=BUDGET):
    """float: Value of the best guess after a budget of scored genotypes."""
    for _ in range(budget // NUM_SAMPLES):
        genotypes = strategy.ask(NUM_SAMPLES)
        strategy.tell(genotypes, [reward(genotype) for genotype in genotypes])
    return reward(strategy.candidates(0)[0])


def battery():
    """Two cases of 80 that are tried in every run."""
    quick = (30, False, 0), (38, True, 0)
    return [pytest.param(*case, marks=[] if case in quick else [pytest.mark.slow])
            for case in itertools.product((30, 38), (False, True), range(20))]


@pytest.mark.parametrize(('num_bits', 'interactions', 'seed'), battery())
def test_reinforce_finds_the_planted_genotype(num_bits, interactions, seed):
    reward = PlantedReward(SPACES[num_bits], seed, interactions)
    assert search(build('reinforce', SPACES[num_bits], seed), reward) >= 0.98
    assert reward.random_samples_to(0.9) / 2 > BUDGET


def test_the_planted_reward_is_what_it_says():
    for interactions in (False, True):
        space = SearchSpace(num_block=1, num_layer=1, operations=('conv1x1', 'conv3x3', 'sep_conv3x3', 'dil_conv3x3'))
        reward = PlantedReward(space, 1, interactions)
        every = [space.genotype(map(int, f'{number:04b}')) for number in range(16)]
        values = [reward(genotype) for genotype in every]
        assert max(values) == pytest.approx(1) and every[values.index(max(values))].bits == tuple(reward.target)
        assert reward.random_samples_to(0.9) == pytest.approx(16 / sum(value >= 0.9 for value in values))


def test_every_strategy_beats_random_on_average():
    space = SPACES[30]
    found = {name: [] for name in ('reinforce', 'random', 'evolution')}
    for name in ('reinforce', 'random', 'evolution'):
        for seed in range(3):
            found[name].append(search(build(name, space, seed), PlantedReward(space, seed, True), 800))
    mean = {name: sum(values) / len(values) for name, values in found.items()}
    assert mean['reinforce'] > mean['random'] + 0.1
    assert mean['evolution'] > mean['random'] + 0.1


def test_learning_does_not_depend_on_the_unit_of_the_reward():
    space = SPACES[30]
    reward = PlantedReward(space, 3, False)
    small = search(build('reinforce', space), lambda genotype: 30 + 0.01 * reward(genotype), 512)
    assert search(build('reinforce', space), lambda genotype: 1000 * reward(genotype), 512) / 1000 == pytest.approx(
        (small - 30) / 0.01, abs=1e-3)


@pytest.mark.parametrize('name', OPTIONS)
def test_state_continues_exactly(name):
    space = SearchSpace(num_block=1, num_layer=3)
    reward = PlantedReward(space, 0, False)
    first, second = build(name, space), build(name, space, seed=5)
    search(first, reward, 160)
    state = deepcopy(first.state_dict())
    torch.save(state, buffer := BytesIO())
    buffer.seek(0)
    second.load_state_dict(torch.load(buffer, weights_only=True))
    if name == 'reinforce':
        second.controller.load_state_dict(first.controller.state_dict())
    outcomes = []
    for strategy in (first, second):
        torch.manual_seed(1)
        search(strategy, reward, 64)
        outcomes.append((strategy.ask(5), strategy.candidates(3), strategy.bit_probabilities(), strategy.draw()))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize('name', OPTIONS)
def test_interface(name):
    space = SPACES[38]
    strategy = build(name, space)
    log = strategy.tell(strategy.ask(4), [1.0, 2.0, 3.0, 4.0])
    assert log['reward'] == 2.5
    assert len(strategy.candidates(7)) == 8
    assert strategy.draw().space == space
    assert len(strategy.bit_probabilities()) == 38 and all(0 <= p <= 1 for p in strategy.bit_probabilities())


def test_the_memory_of_random_and_evolution_is_the_history():
    space = SPACES[30]
    for name in ('random', 'evolution'):
        one, other = build(name, space), build(name, space)
        genotypes = one.ask(60)
        rewards = [random.Random(i).random() for i in range(60)]
        one.tell(genotypes, rewards)
        other.recall(genotypes, rewards)
        assert one.candidates(20) == other.candidates(20)
        best = [dict(zip(genotypes, rewards, strict=True))[genotype] for genotype in one.candidates(20)]
        assert all(a >= b for a, b in pairwise(best))


def test_evolution_forgets_the_oldest_and_breeds_from_the_best():
    space = SPACES[30]
    strategy = Evolution(space, population=4, tournament=4, crossover=0, mutations=1)
    genotypes = [space.sample(random.Random(i)) for i in range(6)]
    strategy.tell(genotypes, [9, 8, 1, 5, 2, 3])
    assert [reward for _, reward in strategy.population] == [1, 5, 2, 3]
    for child in strategy.ask(20):
        assert 1 <= sum(a != b for a, b in zip(child.bits, genotypes[3].bits, strict=True)) <= 8
    for options in ({'tournament': 51}, {'crossover': 2}):
        with pytest.raises(OptionError, match=next(iter(options))):
            Evolution(space, **options)


def test_all_registered_strategies_are_tested():
    assert set(STRATEGIES.module_dict) == set(OPTIONS)
