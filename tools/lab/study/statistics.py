"""Rank correlation with its uncertainty."""
import math
from itertools import combinations

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


def yardstick(alone, predicted, num_bootstrap=1000, seed=0):
    """How well the truth is known, and how well predictions rank it.

    Kendall's tau of a prediction with a noisy truth is smaller than with the truth itself. It is corrected as a
    correlation is (Spearman, 1904), divided by the root of the truth's reliability; between tau and correlation lies
    ``tau = 2 / pi * asin(r)``, which holds for normally distributed values. The reliability of one seed is its mean
    correlation with the others, that of the mean over seeds follows from it (Spearman and Brown, 1910).

    Args:
        alone (list[list[float]]): What networks reach when trained alone, (seeds, M); at least two seeds.
        predicted (dict[str, list[float]]): Values of the same M networks by what predicted them.
        num_bootstrap (int): Resamplings of the networks, from which all intervals come. Default: 1000.
        seed (int): Of the resampling.

    Returns:
        dict: ``num`` networks, ``seeds``: Kendall's tau-b between two seeds, mean over all pairs, and ``predictors``:
        by name ``kendall``, ``corrected`` and ``spearman`` with the mean over seeds; each [value, lower, upper] with
        the 95 % percentile interval; NaN where all values are equal.
    """
    alone = np.array(alone, dtype=np.float64)
    predicted = {name: np.array(values, dtype=np.float64) for name, values in predicted.items()}
    num = alone.shape[1]
    draws = np.random.default_rng(seed).integers(num, size=(num_bootstrap, num))
    found = [_measured(alone[:, draw], {name: values[draw] for name, values in predicted.items()})
             for draw in [np.arange(num), *draws]]

    def interval(*keys):
        values = []
        for one in found:
            for key in keys:
                one = one[key]
            values.append(one)
        sampled = [value for value in values[1:] if not math.isnan(value)]
        bounds = np.percentile(sampled, [2.5, 97.5]).tolist() if sampled else [math.nan] * 2
        return [values[0], *bounds]

    return {'num': num, 'seeds': interval('seeds'),
            'predictors': {name: {measure: interval(name, measure) for measure in ('kendall', 'corrected', 'spearman')}
                           for name in predicted}}


def _measured(alone, predicted):
    mean, num_seeds = alone.mean(0), len(alone)
    between = float(np.mean([_ranked(kendall, *pair) for pair in combinations(alone, 2)]))
    result = {'seeds': between}
    for name, values in predicted.items():
        tau = _ranked(kendall, values, mean)
        result[name] = {'kendall': tau, 'corrected': corrected(tau, between, num_seeds),
                        'spearman': _ranked(spearman, values, mean)}
    return result


def _ranked(measure, one, other):
    return measure(one, other) if np.ptp(one) and np.ptp(other) else math.nan


def corrected(tau, tau_between_seeds, num_seeds):
    """float: Kendall's tau with a truth that is a mean over seeds, corrected for their noise, see :func:`yardstick`;
    NaN where the seeds do not agree at all, which leaves nothing to correct by."""
    one_seed = math.sin(math.pi / 2 * tau_between_seeds)
    if not one_seed > 0 or math.isnan(tau):
        return math.nan
    reliability = num_seeds * one_seed / (1 + (num_seeds - 1) * one_seed)
    correlation = math.sin(math.pi / 2 * tau) / math.sqrt(reliability)
    return 2 / math.pi * math.asin(min(max(correlation, -1), 1))


def kendall(one, other):
    """float: Kendall's tau-b of two arrays (M,)."""
    signs = [np.sign(values[:, None] - values[None, :]) for values in (one, other)]
    return float((signs[0] * signs[1]).sum() / np.sqrt((signs[0]**2).sum() * (signs[1]**2).sum()))


def spearman(one, other):
    """float: Spearman's rank correlation of two arrays (M,)."""
    return float(np.corrcoef(rankdata(one), rankdata(other))[0, 1])


MEASURES = {'kendall': kendall, 'spearman': spearman}
