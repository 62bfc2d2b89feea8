"""What a search can choose: the densely connected block as yes/no decisions; and the spaces that have a name."""
from dataclasses import dataclass
from functools import cached_property
from math import prod

from deconas_plugin.errors import GenotypeError, OptionError
from deconas_plugin.space.choices import (
    ACTIVATIONS,
    ATTENTIONS,
    PAPER_ACTIVATION,
    PAPER_ATTENTION,
    Choice,
    checked_names,
    checked_numbers,
)

PAPER_OPERATIONS = ('conv3x3', 'sep_conv3x3', 'dil_conv3x3')


@dataclass(frozen=True)
class Decision:
    """Bits that are decided together, in one step of the controller.

    Attributes:
        kind (str): That of a Choice (how many channels the network has, ...), 'operation' (which operations read one
            earlier feature), 'local' (which features a block fuses) or 'global' (which block outputs the network
            fuses).
        num_bits (int): Number of yes/no choices.
    """
    kind: str
    num_bits: int


@dataclass(frozen=True)
class SearchSpace:
    """The densely connected search space (DESIGN of the paper: 2^30 networks, 2^38 with the feature fusion search).

    Layer k of a block sees k+1 earlier features: the block input (feature 0) and the layers 0..k-1 (feature i+1 is the
    output of layer i). One bit says whether one operation reads one earlier feature.

    Beside these connections a network may have choices, see :attr:`choices`; their bits come first. Of a network with
    fewer blocks or layers than the most, the bits of what it lacks mean nothing and are always 0.

    Args:
        num_block (int | tuple[int]): Densely connected blocks; or 2, 4 or 8 numbers of them to choose from, ascending.
            The attribute is the most.
        num_layer (int | tuple[int]): Layers in a block, in the same way.
        operations (tuple[str]): Names of the candidate operations, in the order of their bits.
        search_fusion (bool): Whether local and global feature fusion are searched too; otherwise all is fused.
        share_blocks (bool): Whether all blocks are alike, as in the paper; otherwise each has connections of its own.
        widths (tuple[int]): Numbers of channels to choose from, where that is searched: 2, 4 or 8, ascending.
        attention (str | tuple[str]): Of :data:`ATTENTIONS`, after every layer; or 2 or 4 of them to choose from. The
            attribute is a tuple.
        activation (str | tuple[str]): Of :data:`ACTIVATIONS`, in the same way.
        block_counts, layer_counts (tuple[int]): What ``num_block`` and ``num_layer`` are chosen from; left out, this
            follows from them.

    Raises:
        GenotypeError: A size is below 1, the operations are missing or named twice, or the choices are none.
    """
    num_block: int = 4
    num_layer: int = 4
    operations: tuple = PAPER_OPERATIONS
    search_fusion: bool = False
    share_blocks: bool = True
    widths: tuple = ()
    attention: tuple = (PAPER_ATTENTION, )
    activation: tuple = (PAPER_ACTIVATION, )
    block_counts: tuple = ()
    layer_counts: tuple = ()

    def __post_init__(self):
        self._set('operations', tuple(self.operations))
        for key, counts in (('num_block', 'block_counts'), ('num_layer', 'layer_counts')):
            value = getattr(self, key)
            if isinstance(value, (list, tuple)):
                self._set(counts, checked_numbers(key, value))
                self._set(key, value[-1])
            elif not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise GenotypeError(f'{key}: expected a whole number of at least 1, got {value!r}')
        # A single block is shared by itself: one space, one text of its genotypes.
        self._set('share_blocks', self.share_blocks or self.num_block == 1)
        if not self.operations or len(set(self.operations)) != len(self.operations):
            raise GenotypeError(f'operations: expected one or more different names, got {list(self.operations)}')
        if self.widths != ():
            self._set('widths', checked_numbers('width', self.widths))
        self._set('attention', checked_names('attention', self.attention, ATTENTIONS))
        self._set('activation', checked_names('activation', self.activation, ACTIVATIONS))

    def _set(self, name, value):
        object.__setattr__(self, name, value)

    @property
    def num_connections(self):
        """int: Pairs of a layer and an earlier feature in a block."""
        return self.num_layer * (self.num_layer + 1) // 2

    @cached_property
    def choices(self):
        """tuple[Choice]: What a genotype chooses beside its connections, in the order of its bits."""
        every = dict(width=self.widths, num_block=self.block_counts, num_layer=self.layer_counts,
                     attention=self.attention, activation=self.activation)
        return tuple(Choice(kind, values) for kind, values in every.items() if len(values) > 1)

    @property
    def block_decisions(self):
        """tuple[Decision]: The decisions of one block, in the order of its bits."""
        operation = (Decision('operation', len(self.operations)), ) * self.num_connections
        return operation + ((Decision('local', self.num_layer), ) if self.search_fusion else ())

    @property
    def connection_decisions(self):
        """tuple[Decision]: All decisions but the choices."""
        blocks = self.block_decisions * (1 if self.share_blocks else self.num_block)
        return blocks + ((Decision('global', self.num_block), ) if self.search_fusion else ())

    @property
    def decisions(self):
        """tuple[Decision]: The decisions in the order of the genotype's bits."""
        return tuple(Decision(choice.kind, choice.num_bits) for choice in self.choices) + self.connection_decisions

    @cached_property
    def num_choice_bits(self):
        """int: Bits of the choices, the first of a genotype."""
        return sum(choice.num_bits for choice in self.choices)

    @cached_property
    def num_bits(self):
        """int: Length of a genotype."""
        return sum(decision.num_bits for decision in self.decisions)

    @cached_property
    def needs(self):
        """tuple[tuple[int, int]]: For every bit, of how many blocks and layers a network must be for it to mean
        anything."""
        layers = [(0, layer + 1) for layer in range(self.num_layer)
                  for _ in range((layer + 1) * len(self.operations))]
        if self.search_fusion:
            layers += [(0, layer + 1) for layer in range(self.num_layer)]
        needs = [(0, 0)] * self.num_choice_bits
        for block in range(1 if self.share_blocks else self.num_block):
            needs += layers if self.share_blocks else [(block + 1, need) for _, need in layers]
        if self.search_fusion:
            needs += [(block + 1, 0) for block in range(self.num_block)]
        return tuple(needs)

    def live(self, num_block, num_layer):
        """tuple[bool]: Which bits mean something in a network of so many blocks and layers."""
        size = (num_block, num_layer)
        if size not in self._live:
            self._live[size] = tuple(blocks <= num_block and layers <= num_layer for blocks, layers in self.needs)
        return self._live[size]

    @cached_property
    def _live(self):
        return {}

    @property
    def has_sizes(self):
        """bool: Whether the number of blocks or layers is a choice."""
        return bool(self.block_counts or self.layer_counts)

    @property
    def num_genotypes(self):
        """int: How many different ones the space holds."""
        sizes = [(blocks, layers) for blocks in self.block_counts or (self.num_block, )
                 for layers in self.layer_counts or (self.num_layer, )]
        others = prod(len(choice.values) for choice in self.choices if not choice.kind.startswith('num_'))
        return others * sum(2**(sum(self.live(*size)) - self.num_choice_bits) for size in sizes)

    @property
    def uniform_probabilities(self):
        """list[float]: How likely :meth:`sample` sets every bit."""
        sizes = [self.live(blocks, layers) for blocks in self.block_counts or (self.num_block, )
                 for layers in self.layer_counts or (self.num_layer, )]
        return [0.5 * sum(lives) / len(sizes) for lives in zip(*sizes, strict=True)]

    def width_bits(self, width):
        """tuple[int]: The bits that choose a width; of None, where it is not searched, there are none.

        Raises:
            GenotypeError: It is not among the choices.
        """
        choice = next((choice for choice in self.choices if choice.kind == 'width'), None)
        if choice is None and width is not None:
            raise GenotypeError(f'genotype: expected nothing before its bits, got {width}ch')
        return choice.bits(width) if choice else ()

    def sample(self, rng):
        """Draw a genotype with every bit that means something set with probability one half.

        Args:
            rng (random.Random): Source of randomness.

        Returns:
            Genotype: A genotype of this space.
        """
        return self.genotype(rng.getrandbits(1) for _ in range(self.num_bits))

    def genotype(self, bits):
        """Genotype: The one of this space with these bits (iterable of zeros and ones)."""
        from deconas_plugin.space.genotype import Genotype
        return Genotype(self, tuple(bits))


SPACES = {
    'paper': dict(
        num_feat=64,
        num_block=4,
        num_layer=4,
        operations=PAPER_OPERATIONS,
        attention='channel',
        activation='relu',
        tail='classic',
        residual='none',
    ),
    # At x2 from 2 to 539 G Mult-Adds @720p; half of its networks cost less than 33 G, three quarters less than 71 G.
    'light': dict(
        num_feat=(16, 20, 24, 28, 32, 40, 48, 64),
        num_block=(2, 3, 4, 6),
        num_layer=(2, 3),
        operations=('rep_conv3x3', 'bs_conv3x3', 'bs_conv7x7', 'gate_conv3x3'),
        attention=('none', 'channel', 'spatial', 'both'),
        activation=('relu', 'lrelu', 'silu', 'gelu'),
        tail='light',
        residual='bicubic',
    ),
}


def complete(space, **options):
    """Options of a supernet, with what a space says for those that are not given.

    Args:
        space (str): One of :data:`SPACES`.
        options: Its keywords; None is not given.

    Returns:
        dict: The keywords, with tuples for lists.

    Raises:
        OptionError: There is no such space.
    """
    if space not in SPACES:
        raise OptionError(f'space: expected one of {", ".join(SPACES)}, got {space!r}')
    named = SPACES[space]
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    return {key: value if given.get(key) is None else given[key] for key, value in named.items()}


def build_space(num_feat, num_block, num_layer, operations, attention, activation, search_fusion=False,
                share_blocks=True):
    """SearchSpace: The one of a supernet with these keywords, where tuples are choices."""
    widths = checked_numbers('width', num_feat) if isinstance(num_feat, (list, tuple)) else ()
    return SearchSpace(num_block, num_layer, operations, search_fusion, share_blocks, widths, attention, activation)
