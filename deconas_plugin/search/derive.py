"""Derivation: from a searched controller and its shared weights to one network."""
from dataclasses import dataclass

from deconas_plugin.errors import DeCoNASError

MAX_DRAWS = 100


@dataclass(frozen=True)
class Budget:
    """Hard limits of a derived network; None is no limit.

    Attributes:
        max_params (float | None): Parameters.
        max_mult_adds (float | None): Mult-Adds @720p.
    """
    max_params: float = None
    max_mult_adds: float = None

    def allows(self, cost):
        """bool: Whether a Cost keeps within the budget."""
        return ((self.max_params is None or cost.params <= self.max_params) and
                (self.max_mult_adds is None or cost.mult_adds <= self.max_mult_adds))


def derive(strategy, reward, reward_set, counter, num_samples, budget, batch_size):
    """Score candidates on the whole reward set with shared weights.

    Args:
        strategy: The search strategy; proposes the greedy genotype and samples.
        reward (Reward): Scores.
        reward_set (RewardSet): All of its patches are used.
        counter (ComplexityCounter): Counts cost.
        num_samples (int): Sampled genotypes within the budget, besides the greedy one.
        budget (Budget): Hard limits.
        batch_size (int): Patches per forward pass.

    Returns:
        list[Score]: Of different genotypes within the budget, best reward first.

    Raises:
        DeCoNASError: No candidate keeps within the budget.
    """
    candidates = _candidates(strategy, counter, num_samples, budget)
    batches = list(reward_set.batches(batch_size))
    return sorted(reward.score(candidates, batches), key=lambda score: score.reward, reverse=True)


def _candidates(strategy, counter, num_samples, budget):
    allowed, seen = {}, []
    for _ in range(MAX_DRAWS):
        # Sampling costs next to nothing beside scoring: draw until enough candidates keep within the budget.
        for genotype in strategy.candidates(num_samples):
            cost = counter.count(genotype)
            seen.append(cost)
            if budget.allows(cost) and len(allowed) <= num_samples:
                allowed[genotype] = cost
        if len(allowed) > num_samples:
            break
    if not allowed:
        smallest = min(seen, key=lambda cost: (cost.mult_adds, cost.params))
        raise DeCoNASError(
            f'derive: none of {len(seen)} sampled genotypes keeps within {budget}; the smallest has '
            f'{smallest.params:,} params and {smallest.mult_adds / 1e9:.1f} G Mult-Adds @720p: raise the budget or '
            'search with a larger penalty')
    return list(allowed)
