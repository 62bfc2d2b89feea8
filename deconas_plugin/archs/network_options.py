"""The arguments of a derived network, read off its tensors."""
import math

from deconas_plugin.archs.genotype_buffer import decode_genotype, decode_residual
from deconas_plugin.errors import WeightsError


def network_options(state):
    """Read the arguments of DeCoNASNet off the tensors.

    Args:
        state (dict[str, Tensor]): Of a DeCoNASNet or FusedDeCoNASNet.

    Returns:
        dict: Keyword arguments, among them ``genotype`` as a Genotype.

    Raises:
        WeightsError: It is the state dict of another network.
    """
    if 'genotype_code' not in state and any('.weight.0' in name for name in state):
        raise WeightsError('these are weights of a supernet, which hold no genotype; derive a network from them first')
    genotype = decode_genotype(_tensor(state, 'genotype_code'))
    num_block = len({name.split('.')[1] for name in state if name.startswith('blocks.')})
    if num_block != genotype.space.num_block:
        raise WeightsError(f'expected {genotype.space.num_block} blocks, as its genotype_code says, got {num_block}')
    num_feat, num_in_ch = _shape(state, 'conv_first.weight')[:2]
    tail, last = tail_of(state), _last_convolution(state)
    upscale = upscale_of(state)
    return dict(
        genotype=genotype,
        num_in_ch=num_in_ch,
        num_out_ch=_shape(state, last)[0] // (upscale**2 if tail == 'light' else 1),
        num_feat=num_feat,
        num_block=genotype.space.num_block,
        num_layer=genotype.space.num_layer,
        upscale=upscale,
        operations=genotype.space.operations,
        rgb_mean=tuple(_tensor(state, 'mean').float().flatten().tolist()),
        tail=tail,
        residual=decode_residual(state['genotype_code']))


def is_fused(state):
    """bool: Whether the state dict is that of a FusedDeCoNASNet."""
    return 'first_two.conv.weight' in state


def tail_of(state):
    """str: The kind of tail, 'classic' or 'light'."""
    return 'light' if 'upsample.0.weight' in state and 'conv_last.weight' not in state else 'classic'


def upscale_of(state):
    """int: The scale, from how many channels each stage of the upsampler writes for one that it reads (a light one: for
    one of the image); 1 without any.

    Raises:
        WeightsError: A tensor has the wrong shape.
    """
    if tail_of(state) == 'light':
        return math.isqrt(_shape(state, _last_convolution(state))[0] // _tensor(state, 'mean').numel())
    prefix = 'upsample_last.stack.0.' if is_fused(state) else 'upsample.'
    stages = [_shape(state, name) for name in state if name.startswith(prefix) and name.endswith('.weight')]
    return math.prod(math.isqrt(written // read) for written, read, *_ in stages)


def _last_convolution(state):
    """str: The name of the weight that writes colours."""
    if tail_of(state) == 'light':
        return 'upsample.0.weight'
    return 'upsample_last.stack.1.weight' if is_fused(state) else 'conv_last.weight'


def _shape(state, name):
    shape = tuple(_tensor(state, name).shape)
    if len(shape) != 4 or 0 in shape:
        raise WeightsError(f'{name}: expected the weights of a convolution, got the shape {shape}')
    return shape


def _tensor(state, name):
    if name not in state:
        raise WeightsError(f'expected the weights of a DeCoNASNet, found no {name} among {len(state)} tensors')
    return state[name]
