"""A search space and its networks, to play with: what they are, what they cost, how they look."""
import random
from dataclasses import dataclass, field

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import OptionError
from deconas_plugin.files.option_files import save_options
from deconas_plugin.files.paths import option_file
from deconas_plugin.options.read import load_options
from deconas_plugin.options.trial import check_network_builds
from deconas_plugin.space.genotype import Genotype
from deconas_plugin.space.spaces import SPACES
from deconas_plugin.visual.draw import draw_genotype
from deconas_plugin.visual.theme import to_svg


@dataclass(frozen=True)
class Candidate:
    """One network of a search space. A notebook shows its drawing.

    Attributes:
        genotype (Genotype): What it is made of; ``str`` is its text.
        cost (Cost): ``params``, ``mult_adds`` (@720p) and, with a latency table, ``latency`` (ms).
        space (Space): Where it is from.
        psnr, reward (float | None): What it earned with shared weights, in dB, where it was scored.
    """
    genotype: Genotype
    cost: object
    space: object = field(compare=False, repr=False)
    psnr: float = None
    reward: float = None

    def __str__(self):
        return str(self.genotype)

    def describe(self):
        """dict: Its choices and connections in words."""
        return self.genotype.describe()

    def network(self):
        """DeCoNASNet: The network, untrained."""
        return DeCoNASNet(**self.space.supernet.derived_options(self.genotype))

    def save(self, path):
        """Write a ``genotype.yml``, as ``network_g.genotype`` of an option file takes it."""
        save_options({'genotype': self.genotype.to_dict(), 'connections': self.describe()}, path)

    def figure(self):
        """Figure: The drawing, of matplotlib."""
        return draw_genotype(self.genotype, self.space.supernet.tail_kind, self.space.supernet.residual)

    def _repr_svg_(self):
        return to_svg(self.figure())


class Space:
    """A search space.

    Args:
        supernet (DeCoNASSuperNet): Its supernet, whose weights are not used.
        counter (ComplexityCounter | None): Counts costs. Default: without latency.

    Attributes:
        supernet (DeCoNASSuperNet), counter (ComplexityCounter): As given.
        num_genotypes (int): How many networks there are.
        num_bits (int): How many yes/no decisions a genotype is.
    """

    def __init__(self, supernet, counter=None):
        self.supernet, self.counter = supernet, counter or ComplexityCounter.of(supernet)
        self.num_genotypes, self.num_bits = supernet.space.num_genotypes, supernet.space.num_bits

    def __repr__(self):
        least, most = (candidate.cost.mult_adds / 1e9 for candidate in (self.smallest, self.largest))
        return f'{self.num_genotypes:,} networks, {self.num_bits} bits, {least:.1f} to {most:.1f} G Mult-Adds @720p'

    def __contains__(self, candidate):
        return getattr(candidate, 'genotype', candidate).space == self.supernet.space

    def candidate(self, genotype, psnr=None, reward=None):
        """Candidate: Of a genotype of this space, or of its text, as ``str`` of one gives it.

        Raises:
            GenotypeError: It is none of this space.
        """
        if not isinstance(genotype, Genotype):
            genotype = Genotype.from_text(self.supernet.space, genotype)
        return Candidate(genotype, self.counter.count(genotype), self, psnr, reward)

    def sample(self, count=None, seed=None):
        """Draw networks, every bit with probability one half.

        Args:
            count (int | None): How many. Default: one.
            seed (int | None): For the same ones again.

        Returns:
            Candidate | list[Candidate]: One, or a list where a number is given.
        """
        rng = random.Random(seed)
        drawn = [self.candidate(self.supernet.space.sample(rng)) for _ in range(1 if count is None else count)]
        return drawn[0] if count is None else drawn

    @property
    def smallest(self):
        """Candidate: With no bit set."""
        return self.candidate(self.counter.nothing)

    @property
    def largest(self):
        """Candidate: With every bit set."""
        return self.candidate(self.counter.everything)


def search_space(options=None, **network):
    """A search space to play with: sizes, costs and drawings of its networks.

    Args:
        options (str | Path | dict | None): 'paper' or 'light'; or options of a search, as for
            :func:`deconas_plugin.search`. Default: the paper's.
        network: Keywords of ``network_g`` that differ, such as ``num_feat=32``.

    Returns:
        Space: The space.

    Raises:
        OptionError: A keyword does not fit.
    """
    if options is None or isinstance(options, str) and options in SPACES:
        network = {**({} if options is None else {'space': options}), **network}
    else:
        opt = load_options(options if isinstance(options, dict) else option_file(options))
        if not isinstance(opt.get('network_g'), dict):
            raise OptionError(f'network_g: expected that of a search, got {opt.get("network_g")!r}')
        network = {**opt['network_g'], **network}
    return Space(check_network_builds({**network, 'type': 'DeCoNASSuperNet'}, 'network_g'))
