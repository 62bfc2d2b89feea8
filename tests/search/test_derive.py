"""Derivation: Pareto front and budgets."""
import random
from itertools import combinations

import pytest
import torch

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.cost.pareto import pareto_front
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.search.derive import Budget, derive
from deconas_plugin.search.evolution import Evolution
from deconas_plugin.search.reinforce import Reinforce
from deconas_plugin.search.reward import Score
from deconas_plugin.search.strategy import RandomSearch
from deconas_plugin.space.genotype import SearchSpace

SPACE = SearchSpace(num_block=2, num_layer=2)
COUNTER = ComplexityCounter(SPACE, num_feat=8)


class FixedReward:
    """PSNR that rises with the number of set bits."""

    def score(self, genotypes, batches):
        return [Score(genotype, 30 + sum(genotype.bits) / 10, {}) for genotype in genotypes]


class NoPatches:

    def batches(self, batch_size):
        return iter(())


def scored(count=60, seed=0):
    rng = random.Random(seed)
    genotypes = dict.fromkeys(SPACE.sample(rng) for _ in range(count))
    return [Score(genotype, rng.uniform(30, 31), {}) for genotype in genotypes]


@pytest.mark.parametrize('measures', [['mult_adds'], ['mult_adds', 'params']])
def test_the_front_holds_exactly_what_nothing_dominates(measures):
    scores = scored()
    front = pareto_front(scores, COUNTER, measures)

    def point(score):
        return (-score.psnr, *(COUNTER.count(score.genotype).figures()[name] for name in measures))

    def beats(one, other):
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    for one, other in combinations(front, 2):
        assert not beats(point(one), point(other)) and not beats(point(other), point(one))
    for score in set(map(point, scores)) - set(map(point, front)):
        assert any(beats(point(member), score) for member in front)
    assert max(scores, key=lambda score: score.psnr) in front
    costs = [point(score)[1] for score in front]
    assert costs == sorted(costs)


def test_a_front_needs_measures_that_are_counted():
    with pytest.raises(OptionError, match='front: expected some of params, mult_adds.*got .*latency'):
        pareto_front(scored(), COUNTER, ['latency'])


def run(strategy, budget, num_samples=10):
    return derive(strategy, FixedReward(), NoPatches(), COUNTER, num_samples, budget, 1)


def test_budgets_hold():
    strategy = RandomSearch(SPACE)
    limit = (COUNTER.count(COUNTER.nothing).mult_adds + COUNTER.largest.mult_adds) / 2
    scores = run(strategy, Budget(max_mult_adds=limit))
    assert len(scores) == 11 and all(COUNTER.count(score.genotype).mult_adds <= limit for score in scores)
    assert [score.reward for score in scores] == sorted((score.reward for score in scores), reverse=True)


def test_impossible_budgets_say_what_is_possible():
    floor = COUNTER.count(COUNTER.nothing)
    with pytest.raises(DeCoNASError, match=f'the smallest of the space {floor.params:,}'):
        run(RandomSearch(SPACE), Budget(max_params=floor.params - 1))
    with pytest.raises(DeCoNASError, match='max_latency: expected a search with search.latency_table'):
        run(RandomSearch(SPACE), Budget(max_latency=1.0))


def test_what_was_scored_best_is_derived():
    strategy = RandomSearch(SPACE)
    genotypes = strategy.ask(50)
    strategy.tell(genotypes, [sum(genotype.bits) for genotype in genotypes])
    best = max(sum(genotype.bits) for genotype in genotypes)
    assert sum(run(strategy, Budget())[0].genotype.bits) == best


@pytest.mark.parametrize('strategy_class', [RandomSearch, Evolution])
def test_a_budget_takes_the_best_that_were_scored_within_it_then_new_ones(strategy_class):
    limit = (COUNTER.count(COUNTER.nothing).params + COUNTER.largest.params) / 2
    strategy = strategy_class(SPACE)
    genotypes = list(dict.fromkeys(strategy.ask(40)))
    strategy.tell(genotypes, [float(sum(genotype.bits)) for genotype in genotypes])
    within = [genotype for genotype in genotypes if COUNTER.count(genotype).params <= limit]
    assert 4 < len(within) < len(genotypes)
    found = [score.genotype for score in run(strategy, Budget(max_params=limit), num_samples=3)]
    # Not one was drawn, and the costlier ones of higher reward did not crowd these out.
    assert found == sorted(within, key=lambda genotype: sum(genotype.bits), reverse=True)[:4]
    more = {score.genotype for score in run(strategy, Budget(max_params=limit), num_samples=len(within) + 2)}
    assert set(within) < more and len(more) == len(within) + 3
    assert all(COUNTER.count(genotype).params <= limit for genotype in more)


def test_a_budget_takes_the_greedy_genotype_where_it_allows_it():
    torch.manual_seed(0)
    strategy = Reinforce(DeCoNASController(SPACE))
    greedy, = strategy.best_guesses()
    costs = COUNTER.count(greedy).params
    for limit in (costs, costs - 1):
        found = [score.genotype for score in run(strategy, Budget(max_params=limit))]
        assert len(found) == 11 and (greedy in found) == (limit == costs)
