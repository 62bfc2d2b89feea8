"""What the reference's variables tell about the genotype.

Which operations exist, and how many features each reads, follows from the variables. **Which** features does not, where
an operation reads some of those before it but not all.
"""
import re
from dataclasses import dataclass

from deconas_plugin.errors import GenotypeError, WeightsError
from deconas_plugin.space.choices import PAPER_OPERATIONS
from deconas_plugin.space.genotype import NAMED_GENOTYPES, Genotype, SearchSpace

# The kernel of each operation that reads the features.
KERNELS = dict(zip(PAPER_OPERATIONS, ('conv/w', 'sep_conv/w_point', 'dilated_conv/w'), strict=True))


@dataclass(frozen=True)
class Sizes:
    """Sizes of a network, as in DeCoNASNet."""
    num_feat: int
    num_block: int
    num_layer: int
    upscale: int

    @classmethod
    def of(cls, variables):
        """Sizes: Those of the variables."""
        num_feat = variables.kernel('stem_conv/w_grl').shape[3]
        # At x4 there are two stages of x2, numbered.
        upscale = 4 if 'w_rsu1' in variables else round((variables.kernel('w_rsu').shape[3] / num_feat)**0.5)
        return cls(num_feat, _count(variables, r'layer_(\d+)/'), _count(variables, r'layer_0/cell_(\d+)/'), upscale)


def _count(variables, pattern):
    """int: How many blocks or layers there are."""
    numbers = sorted({int(match[1]) for name in variables if (match := re.match(pattern, name))})
    if not numbers or numbers != list(range(len(numbers))):
        place = pattern.replace(r'(\d+)/', '')
        raise WeightsError(f'child/{place}0, {place}1, ...: expected numbers without a gap, found {numbers or "none"}')
    return len(numbers)


def read_genotype(variables, sizes, given=None):
    """Find the genotype of variables.

    Args:
        variables (Variables): The network's.
        sizes (Sizes): Their sizes.
        given (str | None): A genotype as for DeCoNASNet. Default: the only one that fits the variables, or the
            published one if it fits.

    Returns:
        Genotype: It fits the variables.

    Raises:
        WeightsError: The given one does not fit, or none is given and several fit.
        GenotypeError: The given one is none.
    """
    found = _inputs_read(variables, sizes)
    if given is not None:
        genotype = Genotype.parse(given, sizes.num_block, sizes.num_layer)
        expected = _inputs_of(genotype)
        for name, number in found.items():
            if number != expected[name]:
                raise WeightsError(f'genotype {genotype}: child/.../{name} reads {number} features, but '
                                   f'{expected[name]} by this genotype')
        return genotype
    published = [Genotype.parse(bits) for bits in NAMED_GENOTYPES.values()
                 if (sizes.num_block, sizes.num_layer) == (4, 4)]
    for genotype in [_all_or_nothing(found, sizes), *published]:
        if _inputs_of(genotype) == found:
            return genotype
    raise GenotypeError('genotype: the variables tell how many features each operation reads, but not which; give the '
                        'genotype of the training with --genotype')


def _all_or_nothing(found, sizes):
    """Genotype: The one of which each operation reads all features if it reads any, and likewise the fusions."""
    reads_all = found['local_concat/w_lc'] > sizes.num_layer and found['global_concat/w_gc'] > sizes.num_block
    space = SearchSpace(sizes.num_block, sizes.num_layer, tuple(KERNELS), search_fusion=not reads_all)
    bits = []
    for decision in space.decisions:
        if decision.kind == 'operation':
            bits += [found[f'cell_{decision.layer}/{kernel}'] > 0 for kernel in KERNELS.values()]
        else:
            fusion = {'local': 'local_concat/w_lc', 'global': 'global_concat/w_gc'}[decision.kind]
            bits += [found[fusion] > 1] * decision.num_bits
    return Genotype(space, tuple(map(int, bits)))


def _inputs_read(variables, sizes):
    """dict[str, int]: How many features each kernel of a block and the global fusion read."""
    blocks = [_block_inputs_read(variables, f'layer_{block}', sizes) for block in range(sizes.num_block)]
    for block, found in enumerate(blocks):
        for name, number in found.items():
            if number != blocks[0][name]:
                raise WeightsError(f'child/layer_{block}/{name}: reads {number} features, but {blocks[0][name]} in '
                                   'layer_0; expected blocks that are all alike')
    return {**blocks[0], 'global_concat/w_gc': _features(variables, 'global_concat/w_gc', sizes)}


def _block_inputs_read(variables, block, sizes):
    names = [f'cell_{k}/{kernel}' for k in range(sizes.num_layer) for kernel in KERNELS.values()]
    read = {name: _features(variables, f'{block}/{name}', sizes) if f'{block}/{name}' in variables else 0
            for name in names}
    return {**read, 'local_concat/w_lc': _features(variables, f'{block}/local_concat/w_lc', sizes)}


def _features(variables, name, sizes):
    number, rest = divmod(variables.kernel(name).shape[2], sizes.num_feat)
    if rest or not number:
        raise WeightsError(f'child/{name}: expected a multiple of {sizes.num_feat} input channels, got the shape '
                           f'{variables.kernel(name).shape}')
    return number


def _inputs_of(genotype):
    """dict[str, int]: What :func:`_inputs_read` finds in the variables of a genotype."""
    layers = {f'cell_{k}/{KERNELS[name]}': len(inputs) for k, layer in enumerate(genotype.layer_inputs)
              for name, inputs in zip(genotype.space.operations, layer, strict=True)}
    fusions = {'local_concat/w_lc': genotype.local_fusion, 'global_concat/w_gc': genotype.global_fusion}
    return {**layers, **{name: len(inputs) for name, inputs in fusions.items()}}
