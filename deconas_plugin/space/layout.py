"""What every bit of a genotype means: the one description of it, from which all others follow."""
from dataclasses import dataclass
from functools import cached_property
from math import prod

from deconas_plugin.errors import GenotypeError
from deconas_plugin.space.choices import (
    ACTIVATIONS,
    ATTENTIONS,
    PAPER_ACTIVATION,
    PAPER_ATTENTION,
    PAPER_OPERATIONS,
    Choice,
    checked_names,
    checked_numbers,
)


@dataclass(frozen=True)
class Decision:
    """Bits of a genotype that are decided together, in one step of the controller: what they mean and where they are.

    Attributes:
        kind (str): That of a Choice (how many channels the network has, ...), 'operation' (which operations read one
            earlier feature), 'local' (which features the fusion of a block reads) or 'global' (which block outputs
            that of the network reads).
        num_bits (int): Number of yes/no choices.
        start (int): The place of the first of them.
        block (int | None): Of 'operation' and 'local': the block, 0 where blocks share theirs.
        layer, feature (int | None): Of 'operation': the layer, and the earlier feature that it may read.
        share_blocks (bool): Whether all blocks heed them.
    """
    kind: str
    num_bits: int
    start: int
    block: int = None
    layer: int = None
    feature: int = None
    share_blocks: bool = True

    @property
    def place(self):
        """slice: Its bits among all."""
        return slice(self.start, self.start + self.num_bits)

    @property
    def needs(self):
        """tuple[tuple[int, int]]: For each bit, of how many blocks and layers a network must be for it to mean
        anything."""
        if self.kind == 'global':
            return tuple((block + 1, 0) for block in range(self.num_bits))
        if self.block is None:
            return ((0, 0), ) * self.num_bits
        blocks = 0 if self.share_blocks else self.block + 1
        return tuple((blocks, (bit if self.layer is None else self.layer) + 1) for bit in range(self.num_bits))


@dataclass(frozen=True)
class Layout:
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
        search_fusion (bool): Whether local and global feature fusion are searched too; otherwise they read all.
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

    @cached_property
    def choices(self):
        """tuple[Choice]: What a genotype chooses beside its connections, in the order of its bits."""
        every = dict(width=self.widths, num_block=self.block_counts, num_layer=self.layer_counts,
                     attention=self.attention, activation=self.activation)
        return tuple(Choice(kind, values) for kind, values in every.items() if len(values) > 1)

    @cached_property
    def decisions(self):
        """tuple[Decision]: What every bit of a genotype means, in their order."""
        decisions = []

        def add(kind, num_bits, **where):
            start = decisions[-1].place.stop if decisions else 0
            decisions.append(Decision(kind, num_bits, start, share_blocks=self.share_blocks, **where))

        for choice in self.choices:
            add(choice.kind, choice.num_bits)
        for block in range(1 if self.share_blocks else self.num_block):
            for layer in range(self.num_layer):
                for feature in range(layer + 1):
                    add('operation', len(self.operations), block=block, layer=layer, feature=feature)
            if self.search_fusion:
                add('local', self.num_layer, block=block)
        if self.search_fusion:
            add('global', self.num_block)
        return tuple(decisions)

    @cached_property
    def num_choice_bits(self):
        """int: Bits of the choices, the first of a genotype."""
        return sum(choice.num_bits for choice in self.choices)

    @cached_property
    def num_bits(self):
        """int: Length of a genotype."""
        return self.decisions[-1].place.stop

    @cached_property
    def needs(self):
        """tuple[tuple[int, int]]: Of all bits, see :attr:`Decision.needs`."""
        return sum((decision.needs for decision in self.decisions), ())

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
