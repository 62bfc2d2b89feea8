"""Rank correlation with its uncertainty."""
import random

from scipy.stats import kendalltau, spearmanr


def rank_correlation(predicted, truth, num_bootstrap=1000, seed=0):
    """How well one list ranks as another does.

    Args:
        predicted, truth (list[float]): Values of the same M items.
        num_bootstrap (int): Resamplings of the items. Default: 1000.
        seed (int): Of the resampling.

    Returns:
        dict: ``kendall`` and ``spearman``, each [value, lower, upper] with the 95 % percentile bootstrap interval, and
        ``num`` items.
    """
    rng = random.Random(seed)
    pairs = list(zip(predicted, truth, strict=True))
    samples = [rng.choices(pairs, k=len(pairs)) for _ in range(num_bootstrap)]
    # A resampling of one item over and over has no ranks.
    samples = [sample for sample in samples if all(len(set(column)) > 1 for column in zip(*sample, strict=True))]
    result = {'num': len(pairs)}
    for name, measure in (('kendall', kendalltau), ('spearman', spearmanr)):
        values = sorted(measure(*zip(*sample, strict=True)).statistic for sample in samples)
        margin = len(values) // 40
        result[name] = [float(measure(predicted, truth).statistic), float(values[margin]), float(values[-1 - margin])]
    return result
