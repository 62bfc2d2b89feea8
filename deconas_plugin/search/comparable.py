"""Makes scores from different patches comparable."""
import numpy as np


def comparable(values, iterations, steps):
    """Take the luck of the patches out of scores.

    Every controller step scores its genotypes on patches of its own, and patches differ by more decibels than genotypes
    do. What the mean of a step deviates from the mean of its round is therefore subtracted. Steps that scored a single
    genotype stay as they are: there is nothing to compare it with.

    Args:
        values (ndarray): (n,), scores in dB; NaN where there is none.
        iterations (ndarray): (n,), the round of each.
        steps (ndarray): (n,), the step within the round.

    Returns:
        ndarray: (n,), in dB.
    """
    step_means, step_counts = _group_means(values, np.stack([iterations, steps], axis=1))
    if not (step_counts > 1).any():
        return values
    round_means, _ = _group_means(values, iterations[:, None])
    return np.where(step_counts > 1, values - step_means + round_means, values)


def _group_means(values, keys):
    """tuple[ndarray]: For every value the mean of its group and how many finite values that has."""
    _, groups = np.unique(keys, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    finite = np.isfinite(values)
    counts = np.bincount(groups, finite)
    sums = np.bincount(groups, np.where(finite, values, 0))
    return (sums / np.maximum(counts, 1))[groups], counts[groups]
