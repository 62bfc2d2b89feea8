"""The text of a genotype: words for what was chosen, then the bits.

Version 1 is bits alone, ``111 110100 ...``, or ``32ch 111 110100 ...`` where the width was chosen. Version 2 says what
else there is: ``v2 32ch 3b 2l spatial silu 111 110100``, where 3b are blocks and 2l layers in each. A genotype that
version 1 can say is said in version 1.
"""
import re

from deconas_plugin.errors import GenotypeError
from deconas_plugin.space.choices import (
    ACTIVATIONS,
    ATTENTIONS,
    OPTIONS,
    PAPER_ACTIVATION,
    PAPER_ATTENTION,
    UNITS,
    word,
)

VERSION = 2
# In the text of a genotype whose blocks differ; so that the text tells it from one for all blocks.
BETWEEN_BLOCKS = '|'
# The network that the paper found for x2; its fusions read all features.
NAMED_GENOTYPES = {'DeCoNASNet_x2': '111 110100 011000010 010011100001'}
# What a network has of which its space and the text of its genotype say nothing.
UNSAID = {'attention': PAPER_ATTENTION, 'activation': PAPER_ACTIVATION}
WHAT = {'width': 'channels', 'num_block': 'blocks', 'num_layer': 'layers in a block'}


def read_text(value):
    """Read the text of a genotype, or the name of a published one.

    Args:
        value (str): What the options or a file say.

    Returns:
        tuple[dict[str, int | str], tuple[int]]: What its words say, by kind of choice, and the bits.

    Raises:
        GenotypeError: It is no such text, or a newer version's.
    """
    text = NAMED_GENOTYPES.get(value, value) if isinstance(value, str) else ''
    tokens = text.replace(BETWEEN_BLOCKS, ' ').split()
    version = re.fullmatch(r'v(\d{1,9})', tokens[0]) if tokens else None
    if version and int(version[1]) > VERSION:
        raise GenotypeError(f'genotype: it is written in version {version[1]}, but this program reads up to version '
                            f'{VERSION}; update it')
    words = {}
    for index in range(1 if version else 0, len(tokens)):
        known = _read_word(tokens[index])
        if known is None:
            break
        kind, chosen = known
        if kind in words:
            raise GenotypeError(f'genotype: expected one word for {kind}, got {word(kind, words[kind])} and '
                                f'{tokens[index]}')
        words[kind] = chosen
    digits = ''.join(tokens[len(words) + bool(version):])
    if not digits or not set(digits) <= {'0', '1'}:
        raise GenotypeError(f'genotype: expected bits in quotes such as "111 110100 ...", a genotype.yml or one of '
                            f'{", ".join(NAMED_GENOTYPES)}; got {value!r}')
    if words.keys() - {'width'} and (not version or int(version[1]) < VERSION):
        raise GenotypeError(f'genotype: expected v{VERSION} at its beginning, as it says more than the width; '
                            f'got {value!r}')
    return words, tuple(map(int, digits))


def write_text(words, bits):
    """str: The text of a genotype.

    Args:
        words (dict[str, int | str]): What was chosen, by kind, in this order.
        bits (str): With spaces and bars.
    """
    version = [f'v{VERSION}'] if words.keys() - {'width'} else []
    return ' '.join([*version, *(word(kind, value) for kind, value in words.items()), bits])


def _read_word(token):
    """tuple[str, int | str] | None: Kind and value of a word; None for anything else."""
    number = re.fullmatch(r'(\d{1,9})([a-z]+)', token)
    if number:
        return next(((kind, int(number[1])) for kind, unit in UNITS.items() if unit == number[2]), None)
    for kind, known in (('attention', ATTENTIONS), ('activation', ACTIVATIONS)):
        if token in known:
            return kind, token
    return None


def check_agrees(words, **sizes):
    """Check that a genotype is for a network of these sizes.

    Args:
        words (dict): What its text says, by kind.
        sizes (int | None): By the names of their options; None is unknown.

    Raises:
        GenotypeError: It says another one.
    """
    for kind, found in words.items():
        option = OPTIONS.get(kind, kind)
        wanted = sizes.get(option)
        if wanted is not None and found != wanted:
            raise GenotypeError(f'genotype: it was found for {found} {WHAT[kind]}, but {option} is {wanted}; '
                                f'set {option} to {found}')


def check_fixed(space, kind, found):
    """Check that what a text says agrees with what its space leaves no choice of.

    Raises:
        GenotypeError: The space has something else.
    """
    if any(choice.kind == kind for choice in space.choices):
        return
    fixed = None if kind == 'width' else getattr(space, kind)
    fixed = fixed[0] if kind in UNSAID else fixed
    if found != fixed:
        expected = 'nothing' if fixed in (None, UNSAID.get(kind)) or kind not in UNSAID else fixed
        raise GenotypeError(f'genotype: expected {expected} before its bits, got {word(kind, found)}')
