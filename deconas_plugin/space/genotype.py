"""Search space and genotype: which networks there are, and which one is meant."""
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from pathlib import Path

import yaml

from deconas_plugin.errors import GenotypeError
from deconas_plugin.space.block import BlockGenotype, fusion_inputs
from deconas_plugin.space.choices import OPTIONS
from deconas_plugin.space.layout import Layout
from deconas_plugin.space.text import (
    BETWEEN_BLOCKS,
    NAMED_GENOTYPES,
    UNSAID,
    check_agrees,
    check_fixed,
    read_text,
    write_text,
)

__all__ = ['NAMED_GENOTYPES', 'Genotype', 'SearchSpace']


class SearchSpace(Layout):
    """A search space: what :class:`Layout` says of its genotypes, and those genotypes."""

    def sample(self, rng, density=None):
        """Draw a genotype.

        Args:
            rng (random.Random): Source of randomness.
            density (float | None): Probability of every connection. Default: one half, so that all genotypes are
                equally likely. Choices beside the connections are equally likely in any case.

        Returns:
            Genotype: A genotype of this space.
        """
        if density is None:
            return self.genotype(rng.getrandbits(1) for _ in range(self.num_bits))
        choices = [rng.getrandbits(1) for _ in range(self.num_choice_bits)]
        return self.genotype(choices + [int(rng.random() < density) for _ in range(self.num_bits - len(choices))])

    def chains(self):
        """Iterator over the plainest genotypes, as one would draw them by hand: with all choices there are, and every
        operation, every layer reads nothing but the one before it, by that operation alone."""
        for choices in product((0, 1), repeat=self.num_choice_bits):
            for operation in range(len(self.operations)):
                bits = list(choices)
                for decision in self.decisions[len(self.choices):]:
                    fusion = decision.kind != 'operation'
                    bits += [int(fusion or (decision.layer == decision.feature and bit == operation))
                             for bit in range(decision.num_bits)]
                yield self.genotype(bits)

    def genotype(self, bits):
        """Genotype: The one of this space with these bits (iterable of zeros and ones)."""
        return Genotype(self, tuple(bits))


@dataclass(frozen=True)
class Genotype:
    """A point of a search space.

    Bits are those of the space's choices, then those of the connections, grouped layer -> earlier feature -> operation,
    then (with the fusion search) local and global fusion. Where the space does not share blocks, every block has such a
    group, and their texts are separated by ``|``. The text, see :mod:`deconas_plugin.space.text`, says choices in words
    and has the bits that mean something.

    Args:
        space (SearchSpace): The space it belongs to.
        bits (tuple[int]): ``space.num_bits`` zeros and ones. Those of blocks and layers that the network does not have
            become 0, so that equal genotypes are equal.

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
        if self.space.has_sizes:
            object.__setattr__(self, 'bits', tuple(
                bit if live else 0 for bit, live in zip(self.bits, self.live, strict=True)))

    @classmethod
    def parse(cls, value, num_block=4, num_layer=4, operations=None, num_feat=None):
        """Read a genotype as the options of a derived network give it.

        Args:
            value (Genotype | str): A genotype, its text (spaces are ignored), the name of a published genotype, or the
                path of a ``genotype.yml``.
            num_block, num_layer, operations: The space, see :class:`SearchSpace`. Whether fusion was searched follows
                from the number of bits, whether blocks are shared from the absence of ``|``. A genotype that says how
                many blocks and layers its network has must agree.
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
        words, bits = read_text(value) if genotype is None else (genotype.chosen, None)
        check_agrees(words, num_feat=num_feat, num_block=num_block, num_layer=num_layer)
        style = {key: words.get(key, unsaid) for key, unsaid in UNSAID.items()}
        if genotype is not None:
            style = {key: getattr(genotype, key) for key in UNSAID}
        sizes = (num_block, num_layer, *([operations] if operations else []))
        spaces = [SearchSpace(*sizes, search_fusion=fusion, share_blocks=share, **style) for fusion in (False, True)]
        if genotype is not None:
            if genotype.connections.space not in spaces:
                raise GenotypeError(f'genotype: expected one for {spaces[0]}, got one for {genotype.connections.space}')
            return genotype.connections
        space = next((space for space in spaces if space.num_bits == len(bits)), None)
        if space is None:
            raise GenotypeError(f'genotype: expected {spaces[0].num_bits} bits for num_layer={num_layer} '
                                f'({spaces[1].num_bits} with searched fusion and num_block={num_block}), '
                                f'got {len(bits)}')
        return cls(space, bits)

    @cached_property
    def chosen(self):
        """dict[str, int | str]: What it chooses beside its connections, by kind, in the order of its bits."""
        return {choice.kind: choice.value(self.bits[decision.place])
                for choice, decision in zip(self.space.choices, self.space.decisions, strict=False)}

    @property
    def width(self):
        """int | None: Channels inside the network, where the space has a choice of them."""
        return self.chosen.get('width')

    @property
    def num_block(self):
        """int: Blocks of the network."""
        return self.chosen.get('num_block', self.space.num_block)

    @property
    def num_layer(self):
        """int: Layers in each of its blocks."""
        return self.chosen.get('num_layer', self.space.num_layer)

    @property
    def attention(self):
        """str: After every layer, one of :data:`ATTENTIONS`."""
        return self.chosen.get('attention', self.space.attention[0])

    @property
    def activation(self):
        """str: Of every layer, one of :data:`ACTIVATIONS`."""
        return self.chosen.get('activation', self.space.activation[0])

    @property
    def live(self):
        """tuple[bool]: Which of its bits mean something."""
        return self.space.live(self.num_block, self.num_layer)

    @cached_property
    def connections(self):
        """Genotype: The same in the space that has no choices but this one's; itself, where there are none."""
        if not self.space.choices:
            return self
        space = replace(self.space, widths=(), num_block=self.num_block, num_layer=self.num_layer, block_counts=(),
                        layer_counts=(), attention=self.attention, activation=self.activation)
        start = self.space.num_choice_bits
        return Genotype(space, tuple(
            bit for bit, live in zip(self.bits[start:], self.live[start:], strict=True) if live))

    @property
    def complement(self):
        """Genotype: With the same choices, with every connection that this one lacks, and no other."""
        start = self.space.num_choice_bits
        return Genotype(self.space, self.bits[:start] + tuple(1 - bit for bit in self.bits[start:]))

    @cached_property
    def blocks(self):
        """tuple[BlockGenotype]: One per block of the network, the very same where the space shares it."""
        shared = self.space.share_blocks
        own = [BlockGenotype.from_bits(self.space, self.bits, block, self.num_layer, self.attention, self.activation)
               for block in range(1 if shared else self.num_block)]
        return tuple(own * self.num_block if shared else own)

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
        chosen = self.bits[self.space.decisions[-1].place] if self.space.search_fusion else None
        return fusion_inputs(self.num_block, chosen)

    @property
    def words(self):
        """dict[str, int | str]: What the text says before the bits: what was chosen, and what the paper has not."""
        fixed = {kind: getattr(self, kind) for kind, unsaid in UNSAID.items() if getattr(self, kind) != unsaid}
        order = ('width', 'num_block', 'num_layer', *UNSAID)
        return dict(sorted({**fixed, **self.chosen}.items(), key=lambda item: order.index(item[0])))

    def describe(self):
        """Say in words what each layer reads.

        Returns:
            dict[str, str | dict]: Readable connections, for ``genotype.yml`` and tables, after what was chosen beside
            them.
        """
        if self.space.share_blocks:
            connections = self.shared_block.describe(self.space.operations)
        else:
            connections = {f'block {index}': block.describe(self.space.operations)
                           for index, block in enumerate(self.blocks)}
        connections['global fusion'] = ', '.join(
            f'block {feature - 1}' if feature else 'shallow feature' for feature in self.global_fusion)
        return {**{OPTIONS.get(kind, kind): value for kind, value in self.words.items()}, **connections}

    def to_dict(self):
        """dict: Plain values that :meth:`from_dict` turns back into this genotype."""
        space = self.space
        names = {kind: names for kind, unsaid in UNSAID.items() if (names := getattr(space, kind)) != (unsaid, )}
        return dict(
            bits=str(self),
            num_block=list(space.block_counts) or space.num_block,
            num_layer=list(space.layer_counts) or space.num_layer,
            operations=list(space.operations),
            search_fusion=space.search_fusion,
            **({} if space.share_blocks else {'share_blocks': False}),
            **({'num_feat': list(space.widths)} if space.widths else {}),
            **{kind: list(values) if len(values) > 1 else values[0] for kind, values in names.items()})

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
        style = {kind: data.get(kind, unsaid) for kind, unsaid in UNSAID.items()}
        space = SearchSpace(data['num_block'], data['num_layer'], tuple(data['operations']), data['search_fusion'],
                            data.get('share_blocks', True), data.get('num_feat', ()), **style)
        return cls.from_text(space, data['bits'])

    @classmethod
    def from_text(cls, space, text):
        """Genotype: The one of a space that printed as ``text``.

        Raises:
            GenotypeError: It is that of another space.
        """
        words, bits = read_text(text)
        return cls.placed(space, words, bits)

    @classmethod
    def placed(cls, space, words, bits):
        """The genotype of a space with these choices and connections.

        Args:
            space (SearchSpace): The space.
            words (dict[str, int | str]): Its choices, by kind; and what is fixed in the space.
            bits (tuple[int]): Of its :attr:`connections`.

        Raises:
            GenotypeError: The space has no such choice, or the number of bits is that of another network.
        """
        chosen = {choice.kind: choice.bits(words.get(choice.kind)) for choice in space.choices}
        for kind, found in words.items():
            check_fixed(space, kind, found)
        for kind, unsaid in UNSAID.items():
            if kind not in words:
                check_fixed(space, kind, unsaid)
        prefix = sum(chosen.values(), ())
        live = cls(space, prefix + (0, ) * (space.num_bits - len(prefix))).live[len(prefix):]
        if sum(live) != len(bits):
            sizes = {'num_layer': space.num_layer, **words}
            raise GenotypeError(f'genotype: expected {sum(live)} bits for num_layer={sizes["num_layer"]}, '
                                f'got {len(bits)}')
        rest = iter(bits)
        return cls(space, prefix + tuple(next(rest) if alive else 0 for alive in live))

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
        return write_text(self.words, self.connections._grouped_bits())

    def _grouped_bits(self):
        """str: The bits of a genotype without choices: a group for every layer and fusion, blocks apart."""
        blocks = {}
        for decision in self.space.decisions:
            # The global fusion stands with the blocks where they share their bits, and by itself where they do not.
            block = 0 if self.space.share_blocks else decision.block
            groups = blocks.setdefault(block, {})
            group = decision.kind, decision.layer
            groups[group] = groups.get(group, '') + ''.join(map(str, self.bits[decision.place]))
        return f' {BETWEEN_BLOCKS} '.join(' '.join(groups.values()) for groups in blocks.values())
