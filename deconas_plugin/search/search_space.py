"""What a search can choose: the densely connected block, as a sequence of yes/no decisions."""
from dataclasses import dataclass

from deconas_plugin.errors import GenotypeError

PAPER_OPERATIONS = ('conv3x3', 'sep_conv3x3', 'dil_conv3x3')


@dataclass(frozen=True)
class Decision:
    """Bits that are decided together, in one step of the controller.

    Attributes:
        kind (str): 'width' (how many channels the network has), 'operation' (which operations read one earlier
            feature), 'local' (which features a block fuses) or 'global' (which block outputs the network fuses).
        num_bits (int): Number of yes/no choices.
    """
    kind: str
    num_bits: int


@dataclass(frozen=True)
class SearchSpace:
    """The densely connected search space (DESIGN of the paper: 2^30 networks, 2^38 with the feature fusion search).

    Layer k of a block sees k+1 earlier features: the block input (feature 0) and the layers 0..k-1 (feature i+1 is the
    output of layer i). One bit says whether one operation reads one earlier feature.

    Args:
        num_block (int): Densely connected blocks.
        num_layer (int): Layers in a block.
        operations (tuple[str]): Names of the candidate operations, in the order of their bits.
        search_fusion (bool): Whether local and global feature fusion are searched too; otherwise all is fused.
        share_blocks (bool): Whether all blocks are alike, as in the paper; otherwise each has bits of its own.
        widths (tuple[int]): Numbers of channels to choose from, where that is searched: 2, 4 or 8 of them, so that the
            choice is whole bits; the narrowest first. The bits are its place in binary, before all others.

    Raises:
        GenotypeError: A size is below 1, the operations are missing or named twice, or the widths are no such choice.
    """
    num_block: int = 4
    num_layer: int = 4
    operations: tuple = PAPER_OPERATIONS
    search_fusion: bool = False
    share_blocks: bool = True
    widths: tuple = ()

    def __post_init__(self):
        object.__setattr__(self, 'operations', tuple(self.operations))
        # A single block is shared by itself: one space, one text of its genotypes.
        object.__setattr__(self, 'share_blocks', self.share_blocks or self.num_block == 1)
        for key in ('num_block', 'num_layer'):
            value = getattr(self, key)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise GenotypeError(f'{key}: expected a whole number of at least 1, got {value!r}')
        if not self.operations or len(set(self.operations)) != len(self.operations):
            raise GenotypeError(f'operations: expected one or more different names, got {list(self.operations)}')
        if self.widths != ():
            object.__setattr__(self, 'widths', _checked_widths(self.widths))

    @property
    def num_connections(self):
        """int: Pairs of a layer and an earlier feature in a block."""
        return self.num_layer * (self.num_layer + 1) // 2

    @property
    def block_decisions(self):
        """tuple[Decision]: The decisions of one block, in the order of its bits."""
        operation = (Decision('operation', len(self.operations)), ) * self.num_connections
        return operation + ((Decision('local', self.num_layer), ) if self.search_fusion else ())

    @property
    def connection_decisions(self):
        """tuple[Decision]: All decisions but the width."""
        blocks = self.block_decisions * (1 if self.share_blocks else self.num_block)
        return blocks + ((Decision('global', self.num_block), ) if self.search_fusion else ())

    @property
    def decisions(self):
        """tuple[Decision]: The decisions in the order of the genotype's bits."""
        width = (Decision('width', self.num_width_bits), ) if self.widths else ()
        return width + self.connection_decisions

    @property
    def num_width_bits(self):
        """int: Bits that choose the width, the first of a genotype; 0 where it is not searched."""
        return max(len(self.widths), 1).bit_length() - 1

    def width_bits(self, width):
        """tuple[int]: The bits that choose a width; of None, where it is not searched, there are none.

        Raises:
            GenotypeError: It is not among the choices.
        """
        if width not in (self.widths or (None, )):
            choices = ', '.join(f'{choice}ch' for choice in self.widths)
            expected = f'one of {choices}' if choices else 'nothing'
            found = 'none' if width is None else f'{width}ch'
            raise GenotypeError(f'genotype: expected {expected} before its bits, got {found}')
        return tuple(self.widths.index(width) >> place & 1 for place in reversed(range(self.num_width_bits)))

    @property
    def num_bits(self):
        """int: Length of a genotype; the space holds 2 ** num_bits genotypes."""
        return sum(decision.num_bits for decision in self.decisions)

    def sample(self, rng):
        """Draw a genotype with every bit set with probability one half.

        Args:
            rng (random.Random): Source of randomness.

        Returns:
            Genotype: A genotype of this space.
        """
        return self.genotype(rng.getrandbits(1) for _ in range(self.num_bits))

    def genotype(self, bits):
        """Genotype: The one of this space with these bits (iterable of zeros and ones)."""
        from deconas_plugin.search.genotype import Genotype
        return Genotype(self, tuple(bits))


def _checked_widths(widths):
    numbers = isinstance(widths, (list, tuple)) and all(type(width) is int and width > 0 for width in widths)
    if not numbers or len(widths) not in (2, 4, 8) or list(widths) != sorted(set(widths)):
        raise GenotypeError('num_feat: expected 2, 4 or 8 different whole numbers to choose from, in ascending order, '
                            f'got {widths!r}')
    return tuple(widths)
