"""What a search may choose for a whole network beside its connections: sizes, attention, activation. No torch."""
from dataclasses import dataclass

from deconas_plugin.errors import GenotypeError

# Cheapest first, so that the largest network of a space is the one with every bit set.
ATTENTIONS = ('none', 'channel', 'spatial', 'both')
ACTIVATIONS = ('relu', 'lrelu', 'silu', 'gelu', 'gelu8')
# What networks have where the space does not say anything else: the paper's.
PAPER_ATTENTION, PAPER_ACTIVATION = 'channel', 'relu'
PAPER_OPERATIONS = ('conv3x3', 'sep_conv3x3', 'dil_conv3x3')

NUMBERS_OF_VALUES = (2, 4, 8)
# How the text of a genotype says a number: 32ch, 3b, 4l.
UNITS = {'width': 'ch', 'num_block': 'b', 'num_layer': 'l'}
# Where the options say what there is to choose from.
OPTIONS = {'width': 'num_feat'}


@dataclass(frozen=True)
class Choice:
    """Values of which a genotype has one.

    Attributes:
        kind (str): 'width' (channels inside the network), 'num_block', 'num_layer', 'attention' or 'activation'.
        values (tuple): The smallest or cheapest first; 2, 4 or 8 of them, so that the choice is whole bits: the place
            among them, in binary.
    """
    kind: str
    values: tuple

    @property
    def num_bits(self):
        """int: Bits that the choice takes."""
        return len(self.values).bit_length() - 1

    def value(self, bits):
        """The value that bits (sequence of zeros and ones) choose."""
        place = 0
        for bit in bits:
            place = 2 * place + bit
        return self.values[place]

    def bits(self, value):
        """tuple[int]: The bits that choose a value.

        Raises:
            GenotypeError: It is not among the values.
        """
        if value not in self.values:
            expected = ', '.join(word(self.kind, choice) for choice in self.values)
            found = 'none' if value is None else word(self.kind, value)
            raise GenotypeError(f'genotype: expected one of {expected} before its bits, got {found}')
        place = self.values.index(value)
        return tuple(place >> shift & 1 for shift in reversed(range(self.num_bits)))


def word(kind, value):
    """str: A value as the text of a genotype says it."""
    return f'{value}{UNITS[kind]}' if kind in UNITS else value


def checked_numbers(kind, values):
    """tuple[int]: Numbers to choose from.

    Raises:
        GenotypeError: They are not 2, 4 or 8 in ascending order.
    """
    numbers = isinstance(values, (list, tuple)) and all(type(value) is int and value > 0 for value in values)
    if not numbers or len(values) not in NUMBERS_OF_VALUES or list(values) != sorted(set(values)):
        raise GenotypeError(f'{OPTIONS.get(kind, kind)}: expected 2, 4 or 8 different whole numbers to choose from, in '
                            f'ascending order, got {values!r}')
    return tuple(values)


def checked_names(kind, values, known):
    """tuple[str]: One name, or several to choose from, in the order of the known ones.

    Raises:
        GenotypeError: A name is unknown or there twice, or their number is not 1, 2, 4 or 8.
    """
    names = (values, ) if isinstance(values, str) else tuple(values)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise GenotypeError(f'{kind}: expected one of {", ".join(known)}, or 2, 4 or 8 of them to choose from, '
                            f'got {unknown[0]!r}')
    if len(set(names)) != len(names) or len(names) not in (1, *NUMBERS_OF_VALUES):
        raise GenotypeError(f'{kind}: expected one, or 2, 4 or 8 different ones to choose from, got {list(names)}')
    return tuple(sorted(names, key=known.index))
