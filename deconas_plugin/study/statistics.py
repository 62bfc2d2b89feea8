"""Rank correlation with its uncertainty."""
import math

import numpy as np
from scipy.stats import rankdata


def rank_correlation(predicted, truth, num_bootstrap=1000, seed=0):
    """How well one list ranks as another does.

    Args:
        predicted, truth (list[float]): Values of the same M items.
        num_bootstrap (int): Resamplings of the items. Default: 1000.
        seed (int): Of the resampling.

    Returns:
        dict: ``kendall`` (tau-b) and ``spearman``, each [value, lower, upper] with the 95 % percentile bootstrap
        interval, and ``num`` items. Values that are all equal have no ranks: NaN.
    """
    values = np.array([list(predicted), list(truth)], dtype=np.float64)
    num = values.shape[1]
    if num < 2 or not np.ptp(values, axis=1).all():
        return {'num': num, **{name: [math.nan] * 3 for name in MEASURES}}
    draws = np.random.default_rng(seed).integers(num, size=(num_bootstrap, num))
    # A resampling of one value over and over has no ranks.
    draws = draws[np.ptp(values[:, draws], axis=2).all(axis=0)]
    result = {'num': num}
    for name, measure in MEASURES.items():
        samples = [measure(*values[:, draw]) for draw in draws]
        result[name] = [measure(*values), *np.percentile(samples, [2.5, 97.5]).tolist()]
    return result


def kendall(one, other):
    """float: Kendall's tau-b of two arrays (M,)."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, other)]
    return float((signs[0] * signs[1]).sum() / np.sqrt((signs[0]**2).sum() * (signs[1]**2).sum()))


def spearman(one, other):
    """float: Spearman's rank correlation of two arrays (M,)."""
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


MEASURES = {'kendall': kendall, 'spearman': spearman}
