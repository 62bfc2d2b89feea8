"""Derivation: Pareto front and budgets."""
import random
from itertools import combinations

import pytest
import torch

from deconas_plugin.archs.controller_arch import DeCoNASController
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.cost.pareto import pareto_front
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.search.derive import FULL, Budget, derive, random_candidates
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


def test_half_of_the_unscored_candidates_are_chains():
    space = SearchSpace([2, 3, 4, 6], [1, 2, 3, 4], widths=(4, 8))
    counter, budget = ComplexityCounter(space, num_feat=8), Budget(max_params=9000)
    found = random_candidates(space, counter, 12, budget, seed=1)
    chains = {*space.chains()}
    assert len(set(found)) == 12 and [genotype in chains for genotype in found] == [True] * 6 + [False] * 6
    assert all(FULL * 9000 <= counter.count(genotype).params <= 9000 for genotype in found)
    assert all(budget.is_used_by(counter.count(genotype)) for genotype in found)
    # Sparse and dense ones: bits of a quarter of all connections in the mean, which uniform ones hardly have.
    shares = [sum(genotype.connections.bits) / len(genotype.connections.bits)
              for genotype in random_candidates(space, counter, 60, Budget(), seed=1)[30:]]
    assert min(shares) < 0.1 and max(shares) > 0.4 and sum(shares) / 30 == pytest.approx(0.25, abs=0.06)
    assert random_candidates(space, counter, 12, budget, seed=1) == found
    assert random_candidates(space, counter, 12, budget, seed=2) != found
    # What does not use the budget fills up what is missing; what no genotype keeps within is an error.
    fewer = random_candidates(SPACE, COUNTER, 200, Budget(max_params=1e6), seed=1)
    assert 200 <= 2**9 and len(fewer) == 200
    with pytest.raises(DeCoNASError, match='none of 1200 sampled genotypes has at most'):
        random_candidates(space, counter, 12, Budget(max_params=10), seed=1)


def test_a_chain_reads_the_layer_before_it_by_one_operation():
    texts = [str(genotype) for genotype in SearchSpace(2, 3, ('conv3x3', 'sep_conv3x3')).chains()]
    assert texts == ['10 0010 000010', '01 0001 000001']
    fused = SearchSpace(2, 2, ('conv3x3', 'sep_conv3x3'), search_fusion=True, share_blocks=False)
    assert [sum(genotype.bits) for genotype in fused.chains()] == [2 * (2 + 2) + 2] * 2
    sizes = SearchSpace(2, [1, 2], ('conv3x3', ), widths=(4, 8))
    assert {str(genotype) for genotype in sizes.chains()} == {
        'v2 4ch 1l 1', 'v2 8ch 1l 1', 'v2 4ch 2l 1 01', 'v2 8ch 2l 1 01'}


def test_children_of_sparse_parents_are_sparse():
    """Half of the changes move a connection within its layer, the others flip a bit."""
    evolution = Evolution(SPACE, population=4, tournament=1, crossover=0, mutations=1e-9)
    parent = SPACE.genotype([1, 0, 0, 0, 0, 0, 0, 0, 1])
    evolution.recall([parent] * 4, [0.0] * 4)
    children = evolution.ask(2000)
    moved = [child for child in children if sum(child.bits) == 2]
    assert len(moved) / 2000 == pytest.approx(0.5, abs=0.04)
    assert all(sum(child.bits[:3]) == sum(child.bits[3:]) == 1 for child in moved) and len({*moved}) == 3 + 6 - 1
