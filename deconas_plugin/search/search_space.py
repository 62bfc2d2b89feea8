"""What a search can choose: the densely connected block, as a sequence of yes/no decisions."""
from dataclasses import dataclass

from deconas_plugin.errors import GenotypeError

PAPER_OPERATIONS = ('conv3x3', 'sep_conv3x3', 'dil_conv3x3')


@dataclass(frozen=True)
class Decision:
    """Bits that are decided together, in one step of the controller.

    Attributes:
        kind (str): 'operation' (which operations read one earlier feature), 'local' (which features a block fuses)
            or 'global' (which block outputs the network fuses).
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

    Raises:
        GenotypeError: A size is below 1, or the operations are missing or named twice.
    """
    num_block: int = 4
    num_layer: int = 4
    operations: tuple = PAPER_OPERATIONS
    search_fusion: bool = False
    share_blocks: bool = True

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
    def decisions(self):
        """tuple[Decision]: The decisions in the order of the genotype's bits."""
        blocks = self.block_decisions * (1 if self.share_blocks else self.num_block)
        return blocks + ((Decision('global', self.num_block), ) if self.search_fusion else ())

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
