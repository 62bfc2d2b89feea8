"""The genotype: which network of the search space is meant. The only thing that crosses from search to training."""
import re
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import yaml

from deconas_plugin.errors import GenotypeError
from deconas_plugin.search.block_genotype import BlockGenotype, fused
from deconas_plugin.search.search_space import SearchSpace

# The network that the paper found for x2; it fuses all features.
NAMED_GENOTYPES = {'DeCoNASNet_x2': '111 110100 011000010 010011100001'}

# In the text of a genotype whose blocks differ; so that the text tells it from one for all blocks.
BETWEEN_BLOCKS = '|'


@dataclass(frozen=True)
class Genotype:
    """A point of a search space.

    Bits are grouped layer -> earlier feature -> operation, then (with the fusion search) local and global fusion. Where
    the space does not share blocks, every block has such a group, and their texts are separated by ``|``. Where the
    width is searched, its bits come first, and the text says it in words: ``32ch 111 110100 ...``.

    Args:
        space (SearchSpace): The space it belongs to.
        bits (tuple[int]): ``space.num_bits`` zeros and ones.

    Raises:
        GenotypeError: The number of bits does not fit the space, or a bit is neither 0 nor 1.
    """
    space: SearchSpace
    bits: tuple

    def __post_init__(self):
        object.__setattr__(self, 'bits', tuple(self.bits))
        if len(self.bits) != self.space.num_bits:
            raise GenotypeError(f'genotype: expected {self.space.num_bits} bits for num_layer={self.space.num_layer}, '
                                f'got {len(self.bits)}')
        if not set(self.bits) <= {0, 1}:
            raise GenotypeError(f'genotype: expected zeros and ones, got {sorted(set(self.bits) - {0, 1})}')

    @classmethod
    def parse(cls, value, num_block=4, num_layer=4, operations=None, num_feat=None):
        """Read a genotype as the options of a derived network give it.

        Args:
            value (Genotype | str): A genotype, bits (spaces are ignored), the name of a published genotype, or the path
                of a ``genotype.yml``.
            num_block, num_layer, operations: The space, see :class:`SearchSpace`. Whether fusion was searched follows
                from the number of bits, whether blocks are shared from the absence of ``|``.
            num_feat (int | None): Channels of the network; a genotype that says how many it is for must agree.
                Default: unknown.

        Returns:
            Genotype: Its :attr:`connections`.

        Raises:
            GenotypeError: It is none of these, or does not fit the space.
        """
        genotype = value if isinstance(value, Genotype) else None
        if genotype is None and isinstance(value, (str, Path)) and str(value).endswith(('.yml', '.yaml')):
            genotype = cls.load(value)
        share = BETWEEN_BLOCKS not in str(value) if genotype is None else genotype.space.share_blocks
        sizes = (num_block, num_layer, *([operations] if operations else []))
        spaces = [SearchSpace(*sizes, search_fusion=fusion, share_blocks=share) for fusion in (False, True)]
        if genotype is not None:
            width, genotype = genotype.width, genotype.connections
            if genotype.space not in spaces:
                raise GenotypeError(f'genotype: expected one for {spaces[0]}, got one for {genotype.space}')
        else:
            width, bits = _read_text(value)
            space = next((space for space in spaces if space.num_bits == len(bits)), None)
            if space is None:
                raise GenotypeError(f'genotype: expected {spaces[0].num_bits} bits for num_layer={num_layer} '
                                    f'({spaces[1].num_bits} with searched fusion and num_block={num_block}), '
                                    f'got {len(bits)}')
            genotype = cls(space, bits)
        if None not in (width, num_feat) and width != num_feat:
            raise GenotypeError(f'genotype: it was found for {width} channels, but num_feat is {num_feat}; '
                                f'set num_feat to {width}')
        return genotype

    @cached_property
    def width(self):
        """int | None: Channels inside the network, where the space has a choice of them."""
        place = 0
        for bit in self.bits[:self.space.num_width_bits]:
            place = 2 * place + bit
        return self.space.widths[place] if self.space.widths else None

    @cached_property
    def connections(self):
        """Genotype: The same in the space without a choice of widths; itself, where there is none."""
        if not self.space.widths:
            return self
        return Genotype(replace(self.space, widths=()), self.bits[self.space.num_width_bits:])

    @property
    def complement(self):
        """Genotype: Of the same width, with every connection that this one lacks, and no other."""
        start = self.space.num_width_bits
        return Genotype(self.space, self.bits[:start] + tuple(1 - bit for bit in self.bits[start:]))

    @cached_property
    def _decisions(self):
        """list[tuple[int]]: The bits of each decision of the space but the width."""
        groups, start = [], self.space.num_width_bits
        for decision in self.space.connection_decisions:
            groups.append(self.bits[start:start + decision.num_bits])
            start += decision.num_bits
        return groups

    @cached_property
    def blocks(self):
        """tuple[BlockGenotype]: One per block, the very same where the space shares it."""
        size, space = len(self.space.block_decisions), self.space
        own = [BlockGenotype.from_decisions(space, self._decisions[start:start + size])
               for start in range(0, size * (1 if space.share_blocks else space.num_block), size)]
        return tuple(own * space.num_block if space.share_blocks else own)

    @cached_property
    def shared_block(self):
        """BlockGenotype: Of all blocks.

        Raises:
            GenotypeError: Every block has its own.
        """
        if not self.space.share_blocks:
            raise GenotypeError('genotype: every block has its own connections; expected a space with share_blocks')
        return self.blocks[0]

    @property
    def layer_inputs(self):
        """tuple: Of the shared block, see BlockGenotype."""
        return self.shared_block.layer_inputs

    @property
    def local_fusion(self):
        """tuple[int]: Of the shared block, see BlockGenotype."""
        return self.shared_block.local_fusion

    @property
    def live_layers(self):
        """tuple[int]: Of the shared block, see BlockGenotype."""
        return self.shared_block.live_layers

    @cached_property
    def global_fusion(self):
        """tuple[int]: What the global 1x1 fusion reads: 0 is the input of block 1, b+1 the output of block b."""
        return fused(self.space.num_block, self._decisions[-1] if self.space.search_fusion else None)

    def describe(self):
        """Say in words what each layer reads.

        Returns:
            dict[str, str | dict]: Readable connections, for ``genotype.yml`` and tables, after ``num_feat`` where that
            is searched.
        """
        if self.space.share_blocks:
            connections = self.shared_block.describe(self.space.operations)
        else:
            connections = {f'block {index}': block.describe(self.space.operations)
                           for index, block in enumerate(self.blocks)}
        connections['global fusion'] = ', '.join(
            f'block {feature - 1}' if feature else 'shallow feature' for feature in self.global_fusion)
        return connections if self.width is None else {'num_feat': self.width, **connections}

    def to_dict(self):
        """dict: Plain values that :meth:`from_dict` turns back into this genotype."""
        return dict(
            bits=str(self),
            num_block=self.space.num_block,
            num_layer=self.space.num_layer,
            operations=list(self.space.operations),
            search_fusion=self.space.search_fusion,
            **({} if self.space.share_blocks else {'share_blocks': False}),
            **({'num_feat': list(self.space.widths)} if self.space.widths else {}))

    @classmethod
    def from_dict(cls, data):
        """The genotype of :meth:`to_dict`; keys that it does not know are left alone.

        Raises:
            GenotypeError: A key is missing or does not fit.
        """
        keys = ('bits', 'num_block', 'num_layer', 'operations', 'search_fusion')
        missing = [key for key in keys if key not in data]
        if missing:
            raise GenotypeError(f'genotype: expected the keys {", ".join(keys)}; missing: {", ".join(missing)}')
        space = SearchSpace(data['num_block'], data['num_layer'], tuple(data['operations']), data['search_fusion'],
                            data.get('share_blocks', True), data.get('num_feat', ()))
        return cls.from_text(space, data['bits'])

    @classmethod
    def from_text(cls, space, text):
        """Genotype: The one of a space that printed as ``text``."""
        width, bits = _read_text(text)
        connections = cls(replace(space, widths=()), bits)
        return cls(space, space.width_bits(width) + connections.bits)

    @classmethod
    def load(cls, path):
        """Read a ``genotype.yml``.

        Raises:
            GenotypeError: The file is missing, is no YAML, or holds no genotype.
        """
        try:
            data = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise GenotypeError(f'genotype: cannot read {path}: {" ".join(str(error).split())}') from error
        if not isinstance(data, dict) or not isinstance(data.get('genotype', data), dict):
            raise GenotypeError(f'genotype: {path} holds no genotype; expected the file that the derivation wrote')
        return cls.from_dict(data.get('genotype', data))

    def __str__(self):
        space, start = self.space, self.space.num_width_bits
        sizes = [(layer + 1) * len(space.operations) for layer in range(space.num_layer)]
        sizes += [space.num_layer] if space.search_fusion else []
        texts = []
        for _ in range(1 if space.share_blocks else space.num_block):
            groups = []
            for size in sizes:
                groups.append(''.join(map(str, self.bits[start:start + size])))
                start += size
            texts.append(' '.join(groups))
        if space.search_fusion:
            rest = ''.join(map(str, self.bits[start:]))
            texts = [f'{texts[0]} {rest}'] if space.share_blocks else [*texts, rest]
        text = f' {BETWEEN_BLOCKS} '.join(texts)
        return text if self.width is None else f'{self.width}ch {text}'


def _read_text(value):
    """tuple[int | None, tuple[int]]: The width that a text names, and all other bits."""
    text = NAMED_GENOTYPES.get(value, value) if isinstance(value, str) else ''
    width = re.match(r'\s*(\d{1,9})ch\s', text)
    digits = ''.join(text[width.end() if width else 0:].replace(BETWEEN_BLOCKS, ' ').split())
    if not digits or not set(digits) <= {'0', '1'}:
        raise GenotypeError(f'genotype: expected bits in quotes such as "111 110100 ...", a genotype.yml or one of '
                            f'{", ".join(NAMED_GENOTYPES)}; got {value!r}')
    return int(width[1]) if width else None, tuple(map(int, digits))
