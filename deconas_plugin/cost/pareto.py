"""The Pareto front: what no other network beats in quality and cost at once."""
import numpy as np

from deconas_plugin.errors import OptionError


def front(points):
    """Find the points that no other beats, one with nothing larger and something smaller; of equal ones the first.

    Args:
        points (ndarray): (n, k), finite; less is better in every column.

    Returns:
        list[int]: Their indices, ascending by the first column, then the second, and so on.
    """
    chosen = []
    # Who comes later in this order cannot beat who came before.
    for index in np.lexsort(points.T[::-1]):
        if not (points[chosen] <= points[index]).all(1).any():
            chosen.append(int(index))
    return chosen


def pareto_front(scores, counter, measures=None):
    """Choose the scores that are not dominated.

    Args:
        scores (list[Score]): Scored genotypes.
        counter (ComplexityCounter): Counts their cost.
        measures (Iterable[str] | None): Costs that count: params, mult_adds, latency. Default: mult_adds.

    Returns:
        list[Score]: Those for which no other has at least the PSNR at no higher cost in any measure; cheapest first by
        the first measure.

    Raises:
        OptionError: A measure is not counted.
    """
    measures = ['mult_adds'] if measures is None else list(measures)
    costs = {score.genotype: counter.count(score.genotype).figures() for score in scores}
    known = costs[scores[0].genotype]
    missing = [name for name in measures if name not in known]
    if missing or not measures:
        raise OptionError(f'derive.front: expected some of {", ".join(known)} (latency with search.latency_table), '
                          f'got {measures!r}')
    points = [[*(costs[score.genotype][name] for name in measures), -score.psnr] for score in scores]
    return [scores[index] for index in front(np.array(points, dtype=float))]
