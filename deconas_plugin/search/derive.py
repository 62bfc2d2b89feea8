"""Derivation: from a searched controller and its shared weights to one network."""
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from basicsr.utils import set_random_seed

from deconas_plugin.errors import DeCoNASError
from deconas_plugin.training.random_state import capture_random_state, restore_random_state

MAX_DRAWS = 100


@dataclass(frozen=True)
class Budget:
    """Hard limits of a derived network; None is no limit.

    Attributes:
        max_params (float | None): Parameters.
        max_mult_adds (float | None): Mult-Adds @720p.
        max_latency (float | None): Milliseconds, for which the counter needs a latency table.
    """
    max_params: float = None
    max_mult_adds: float = None
    max_latency: float = None

    def allows(self, cost):
        """bool: Whether a Cost keeps within the budget."""
        figures = cost.figures()
        limits = {'params': self.max_params, 'mult_adds': self.max_mult_adds, 'latency': self.max_latency}
        return all(figures[name] <= limit for name, limit in limits.items() if limit is not None)


def derive(strategy, reward, reward_set, counter, num_samples, budget, batch_size, seed=0):
    """Score candidates on the whole reward set with shared weights.

    Args:
        strategy: The search strategy; proposes what it holds for best, then samples.
        reward (Reward): Scores.
        reward_set (RewardSet): All of its patches are used.
        counter (ComplexityCounter): Counts cost.
        num_samples (int): Genotypes within the budget, besides the best guess.
        budget (Budget): Hard limits.
        batch_size (int): Patches per forward pass.
        seed (int): Of what the strategy draws: the same candidates every time, wherever it runs.

    Returns:
        list[Score]: Of different genotypes within the budget, best reward first.

    Raises:
        DeCoNASError: No candidate keeps within the budget, or it cannot be told.
    """
    if budget.max_latency is not None and counter.latency_table is None:
        raise DeCoNASError('derive.max_latency: expected a search with search.latency_table, or --latency-table')
    with seeded_draws(seed):
        candidates = _candidates(strategy, counter, num_samples, budget)
    batches = list(reward_set.batches(batch_size))
    return sorted(_scores(reward, candidates, batches), key=lambda score: score.reward, reverse=True)


def _scores(reward, candidates, batches):
    """list[Score]: On a CPU candidates share the threads, one each: what one earns then does not depend on how many
    threads there are, as it would where several add up the sums of one convolution."""
    if any(lq.device.type != 'cpu' for lq, _ in batches):
        return reward.score(candidates, batches)
    with ThreadPoolExecutor(torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1, )) as pool:
        found = pool.map(lambda genotype: reward.score([genotype], batches)[0], candidates)
        return list(found)


@contextmanager
def seeded_draws(seed):
    """Context in which draws depend on nothing but a seed: generators begin anew, and one thread computes, so that
    sums are added in one order. Afterwards all is as it was before."""
    before, threads = capture_random_state(), torch.get_num_threads()
    set_random_seed(seed)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        restore_random_state(before)


def _candidates(strategy, counter, num_samples, budget):
    allowed, seen = {}, []
    for genotype in _proposals(strategy, num_samples):
        cost = counter.count(genotype)
        seen.append(cost)
        if budget.allows(cost):
            allowed[genotype] = cost
        if len(allowed) > num_samples:
            break
    if not allowed:
        floor = counter.count(counter.nothing)
        smallest = min(seen, key=lambda cost: (cost.mult_adds, cost.params))
        raise DeCoNASError(
            f'derive: none of {len(seen)} sampled genotypes keeps within {budget}; the smallest has '
            f'{smallest.params:,} params and {smallest.mult_adds / 1e9:.1f} G Mult-Adds @720p, the smallest of the '
            f'space {floor.params:,} and {floor.mult_adds / 1e9:.1f} G: raise the budget, or search with a larger '
            'penalty or a smaller num_feat')
    return list(allowed)


def _proposals(strategy, num_samples):
    """Iterator over genotypes: all that the search has reason to believe in, best first, then samples."""
    yield from strategy.best_guesses()
    # Sampling costs next to nothing beside scoring.
    for _ in range(MAX_DRAWS):
        yield from strategy.ask(num_samples or 1)
