"""The price of complexity, in dB of PSNR."""
from abc import ABC, abstractmethod

from mmengine.registry import Registry

from deconas_plugin.errors import OptionError
from deconas_plugin.files.paths import tool_command

MEASURES = Registry('complexity measure', scope='deconas')


class Measure(ABC):
    """A complexity measure.

    Args:
        counter (ComplexityCounter): Counts.
    """

    def __init__(self, counter):
        self.counter = counter

    @abstractmethod
    def value(self, genotype):
        """float: The cost of the derived network, in the unit of the measure."""

    def share(self, genotype):
        """float: The cost as a share of that of the network with everything selected."""
        return self.value(genotype) / self.value(self.counter.everything)


@MEASURES.register_module(name='params')
class Params(Measure):
    """Parameters; the share is that of the searchable operation weights, as in the paper."""

    def value(self, genotype):
        return self.counter.count(genotype).params

    def share(self, genotype):
        return self.counter.searched_params(genotype) / self.counter.searchable_params


@MEASURES.register_module(name='mult_adds')
class MultAdds(Measure):
    """Mult-Adds @720p."""

    def value(self, genotype):
        return self.counter.count(genotype).mult_adds


@MEASURES.register_module(name='latency')
class Latency(Measure):
    """Milliseconds on the device of ``search.latency_table``."""

    def __init__(self, counter):
        super().__init__(counter)
        if counter.latency_table is None:
            raise OptionError('search.latency_table: missing; the measure latency needs it, make one with '
                              f'{tool_command("latency")}')

    def value(self, genotype):
        return self.counter.count(genotype).latency


@MEASURES.register_module(name='paper')
class PaperParams(Measure):
    """Searchable operation weights as the reference counts them, without the pointwise part of separable ones."""

    def value(self, genotype):
        return self.counter.paper_params(genotype)


class Penalty:
    """Weighted sum of complexity measures.

    Args:
        counter (ComplexityCounter): Counts.
        terms (list[dict]): ``{type, weight}``: a measure of the registry, and its price in dB where its share is 1, the
            whole network. Or ``{type, weight, target}``: the cost up to the target, in the unit of the measure, is
            free, and the weight is the price in dB of an excess as large as the target.

    Raises:
        OptionError: A measure is not registered or lacks its table, is named twice, or the target is out of reach.
    """

    def __init__(self, counter, terms):
        self.terms = {}
        for term in terms:
            name = term['type']
            if name not in MEASURES.module_dict:
                raise OptionError(f'search.penalty.type: expected one of {", ".join(MEASURES.module_dict)}, '
                                  f'got {name!r}')
            if name in self.terms:
                raise OptionError(f'search.penalty: {name} is there twice; expected one term per measure')
            measure = MEASURES.module_dict[name](counter)
            target = term.get('target')
            if target is not None:
                _check_target(measure, name, target)
            self.terms[name] = (measure, term['weight'], target)

    def __call__(self, genotype):
        """dict[str, float]: What each measure of a genotype costs, in dB."""
        return {name: weight * (measure.share(genotype) if target is None
                                else max(0.0, measure.value(genotype) / target - 1))
                for name, (measure, weight, target) in self.terms.items()}


def _check_target(measure, name, target):
    floor, most = measure.value(measure.counter.nothing), measure.value(measure.counter.everything)
    if target < floor:
        raise OptionError(f'search.penalty: {name}: the target {target:.4g} is below {floor:.4g}, which the smallest '
                          f'network of the space costs with num_feat {measure.counter.widths[0]}; raise it, or lower '
                          'network_g.num_feat or num_block')
    if target >= most:
        raise OptionError(f'search.penalty: {name}: the target {target:.4g} is not below {most:.4g}, which the largest '
                          'network of the space costs, so nothing would be charged; lower it, or leave the term out')
