"""The Pareto front: what no other network beats in quality and cost at once."""
from deconas_plugin.errors import OptionError


def pareto_front(scores, counter, measures):
    """Choose the scores that are not dominated.

    Args:
        scores (list[Score]): Scored genotypes.
        counter (ComplexityCounter): Counts their cost.
        measures (list[str]): Costs that count: params, mult_adds, latency.

    Returns:
        list[Score]: Those for which no other has at least the PSNR at no higher cost in any measure; cheapest first by
        the first measure.

    Raises:
        OptionError: A measure is not counted.
    """
    costs = {score.genotype: counter.count(score.genotype).figures() for score in scores}
    known = costs[scores[0].genotype]
    missing = [name for name in measures if name not in known]
    if missing or not measures:
        raise OptionError(f'derive.front: expected some of {", ".join(known)} (latency with search.latency_table), '
                          f'got {measures!r}')
    points = {score.genotype: (-score.psnr, *(costs[score.genotype][name] for name in measures)) for score in scores}

    def dominated(point):
        return any(other != point and all(a <= b for a, b in zip(other, point, strict=True))
                   for other in points.values())

    front = {points[score.genotype]: score for score in scores if not dominated(points[score.genotype])}
    return sorted(front.values(), key=lambda score: points[score.genotype][1:])
