"""The search for a front: on planted objectives whose front is known, and in a whole search."""
import builtins
import json
import random
from types import SimpleNamespace

import pytest
import yaml
from helpers import run
from small_run import small_search, write_options

from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import OptionError
from deconas_plugin.search.nsga2 import NSGA2
from deconas_plugin.search.strategy import RandomSearch
from deconas_plugin.space.genotype import SearchSpace

SPACE = SearchSpace()


class PlantedCounter:
    """Every set bit costs 1; in ``latency``, bits cost the more the less they are worth."""

    nothing = SPACE.genotype([0] * SPACE.num_bits)

    def __init__(self, weights):
        self.weights = weights

    def count(self, genotype):
        latency = sum(1 - weight for weight, bit in zip(self.weights, genotype.bits, strict=True) if bit)
        return SimpleNamespace(figures=lambda: {'params': sum(genotype.bits), 'mult_adds': sum(genotype.bits),
                                                'latency': latency})


@pytest.fixture
def weights():
    rng = random.Random(5)
    return [rng.uniform(0.1, 0.9) for _ in range(SPACE.num_bits)]


def worth(weights, genotype):
    return sum(weight for weight, bit in zip(weights, genotype.bits, strict=True) if bit)


def covered(found, weights):
    """float: The share of the area below the known front that lies below what was found. The front takes the most
    valuable bits first."""
    best = sorted(weights, reverse=True)
    known = [sum(best[:cost]) for cost in range(len(best) + 1)]
    reached = [max((value for value, price in found if price <= cost), default=0) for cost in range(len(best) + 1)]
    return sum(reached) / sum(known)


def search(strategy, weights, budget=2400, num_samples=16):
    """list[tuple]: Worth and cost of everything scored."""
    scored = []
    for _ in range(budget // num_samples):
        genotypes = strategy.ask(num_samples)
        assert len(genotypes) == num_samples
        rewards = [worth(weights, genotype) for genotype in genotypes]
        strategy.tell(genotypes, rewards)
        scored += [(reward, sum(genotype.bits)) for reward, genotype in zip(rewards, genotypes, strict=True)]
    return scored


@pytest.mark.parametrize('seed', [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_it_finds_the_planted_front(weights, seed):
    strategy = NSGA2(SPACE, PlantedCounter(weights), seed=seed)
    search(strategy, weights)
    members = [(worth(weights, genotype), sum(genotype.bits)) for genotype in strategy.population]
    assert covered(members, weights) > 0.98
    assert covered(search(RandomSearch(SPACE, seed), weights), weights) < 0.85
    # Few bits and many, without a price of one in terms of the other.
    sizes = sorted({size for _, size in members})
    assert sizes[0] <= 2 and sizes[-1] >= 29 and len(sizes) > 25
    assert worth(weights, strategy.best_guesses()[0]) == max(value for value, _ in members)


def test_two_costs_are_traded_at_once(weights):
    counter = PlantedCounter(weights)
    strategy = NSGA2(SPACE, counter, ['params', 'latency'], seed=1)
    search(strategy, weights, budget=800)

    def point(genotype):
        cost = counter.count(genotype).figures()
        return -worth(weights, genotype), cost['params'], cost['latency']

    front = list(strategy.population)[:int(strategy.tell([strategy.best_guesses()[0]], [1e-9])['front'])]
    points = [*map(point, front)]
    assert len(points) > 20
    assert not any(a != b and all(x <= y for x, y in zip(a, b, strict=True)) for a in points[1:] for b in points[1:])


def test_what_cannot_be_traded_is_refused(monkeypatch):
    counter = ComplexityCounter(SPACE, num_feat=8)
    for measures in ([], ['latency'], ['params', 'params'], 'params'):
        with pytest.raises(OptionError, match='measures: expected one or two of params, mult_adds'):
            NSGA2(SPACE, counter, measures)
    with pytest.raises(OptionError, match='population: expected at least 4, got 3'):
        NSGA2(SPACE, counter, population=3)
    original = builtins.__import__

    def without_pymoo(name, *arguments):
        if name.startswith('pymoo'):
            raise ImportError("No module named 'pymoo'")
        return original(name, *arguments)

    monkeypatch.setattr(builtins, '__import__', without_pymoo)
    with pytest.raises(OptionError, match='nsga2 needs pymoo, which cannot .*; pip install pymoo') as caught:
        NSGA2(SPACE, counter)
    assert '\n' not in str(caught.value)


def test_a_space_smaller_than_the_population_is_no_obstacle():
    space = SearchSpace(1, 1)
    strategy = NSGA2(space, ComplexityCounter(space, num_feat=8), population=4)
    for _ in range(10):
        genotypes = strategy.ask(6)
        assert len(genotypes) == 6
        strategy.tell(genotypes, [float(sum(genotype.bits)) for genotype in genotypes])
    assert len(strategy.population) == 4


def test_a_search_writes_the_front(project, capsys):
    opt = small_search(project)
    opt['search']['strategy'] = {'type': 'nsga2', 'population': 4, 'measures': ['params', 'mult_adds']}
    assert run('search', '-opt', write_options(project, opt)) == 2
    assert 'search.penalty: expected [] with the strategy nsga2' in capsys.readouterr().err
    opt['search']['penalty'] = []
    assert run('search', '-opt', write_options(project, opt)) == 0
    folder = project / 'experiments' / 'small_search'
    lines = [json.loads(line) for line in (folder / 'search_history.jsonl').read_text().splitlines()]
    assert len(lines) == 18 and all(line['reward'] == line['psnr'] and line['front'] >= 1 for line in lines)
    front = [yaml.safe_load(path.read_text())['result'] for path in sorted((folder / 'derived' / 'front').glob('*'))]
    assert all(one['psnr'] < other['psnr'] for one, other in zip(front, front[1:], strict=False)) or len(front) == 1
    assert [result['params'] for result in front] == sorted(result['params'] for result in front)
