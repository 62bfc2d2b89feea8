"""The price of complexity, in dB of PSNR."""
from mmengine.registry import Registry

from deconas_plugin.errors import OptionError

MEASURES = Registry('complexity measure', scope='deconas')


@MEASURES.register_module(name='params')
def params_share(counter, genotype):
    """float: Share of the searchable operation weights that a genotype uses."""
    return counter.searched_params(genotype) / counter.searchable_params


@MEASURES.register_module(name='mult_adds')
def mult_adds_share(counter, genotype):
    """float: Mult-Adds of the derived network over those of the one with everything selected."""
    return counter.count(genotype).mult_adds / counter.largest.mult_adds


@MEASURES.register_module(name='paper')
def paper_share(counter, genotype):
    """float: The share as the reference implementation counts it, without the pointwise part of separable ones."""
    return counter.paper_params(genotype) / counter.paper_params(counter.everything)


class Penalty:
    """Weighted sum of complexity measures.

    Args:
        counter (ComplexityCounter): Counts.
        terms (list[dict]): ``{type, weight}`` each: a measure of the registry, and its price in dB where the measure
            is 1, the whole network.

    Raises:
        OptionError: A measure is not registered.
    """

    def __init__(self, counter, terms):
        self.counter = counter
        self.terms = []
        for term in terms:
            if term['type'] not in MEASURES.module_dict:
                raise OptionError(f'search.penalty.type: expected one of {", ".join(MEASURES.module_dict)}, '
                                  f'got {term["type"]!r}')
            self.terms.append((term['type'], MEASURES.module_dict[term['type']], term['weight']))

    def __call__(self, genotype):
        """dict[str, float]: What each measure of a genotype costs, in dB."""
        return {name: weight * measure(self.counter, genotype) for name, measure, weight in self.terms}
