"""From a weight file to the network: the tensors alone tell its architecture."""
import math

import torch

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.genotype_buffer import decode_genotype
from deconas_plugin.errors import DeCoNASError, WeightsError
from deconas_plugin.utils.state_files import load_state


def load_network(path, device='cpu'):
    """Load a trained network.

    Args:
        path (str | Path): A weight file, see :func:`load_state`.
        device (str | torch.device): Where the network goes.

    Returns:
        DeCoNASNet: In evaluation mode, float32 whatever the precision of the file.

    Raises:
        WeightsError: The file is unreadable or belongs to another network.
    """
    state, _ = load_state(path)
    return network_from_state(state, path).to(device)


def network_from_state(state, source='weights'):
    """DeCoNASNet: The network that a state dict belongs to, with these weights, in evaluation mode.

    Args:
        state (dict[str, Tensor]): Of a DeCoNASNet.
        source (str | Path): What the messages call it.

    Raises:
        WeightsError: It is that of another network, incomplete, or not finite.
    """
    try:
        net = DeCoNASNet(**network_options(state))
    except DeCoNASError as error:
        raise WeightsError(f'{source}: {error}') from error
    check_state(net, state, source)
    net.load_state_dict(state)
    return net.eval()


def network_options(state):
    """Read the arguments of DeCoNASNet off the tensors.

    Args:
        state (dict[str, Tensor]): Of a DeCoNASNet.

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
    return dict(
        genotype=genotype,
        num_in_ch=num_in_ch,
        num_out_ch=_shape(state, 'conv_last.weight')[0],
        num_feat=num_feat,
        num_block=genotype.space.num_block,
        num_layer=genotype.space.num_layer,
        upscale=_upscale(state, num_feat),
        operations=genotype.space.operations,
        rgb_mean=tuple(_tensor(state, 'mean').float().flatten().tolist()))


def check_state(net, state, source='weights'):
    """Check that a state dict fits a network of any kind and is finite.

    Raises:
        WeightsError: It does not.
    """
    expected = net.state_dict()
    # Genotype and scale first: where they differ, names and shapes do too, and say less.
    _check_genotype(state, expected, source)
    _check_scale(state, expected, source)
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    for problem, names in (('missing', missing), ('unexpected', unexpected)):
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise WeightsError(f'{source}: it does not fit {type(net).__name__}; '
                               f'{problem}: {min(names)}{more}')
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(f'{source}: {name}: expected the shape {tuple(expected[name].shape)}, '
                               f'got {tuple(tensor.shape)}')
        if not torch.isfinite(tensor).all():
            raise WeightsError(f'{source}: {name} is not finite: the training diverged; take an earlier checkpoint')


def _check_genotype(state, expected, source):
    if 'genotype_code' in state and 'genotype_code' in expected:
        found, wanted = (decode_genotype(weights['genotype_code']) for weights in (state, expected))
        if found != wanted:
            raise WeightsError(f'{source}: expected weights of genotype {wanted}, found those of {found}; '
                               'set network_g.genotype to that of the weights')


def _check_scale(state, expected, source):
    if all(name in weights for name in ('upsample.0.weight', 'conv_first.weight') for weights in (state, expected)):
        found, wanted = (_upscale(weights, _shape(weights, 'conv_first.weight')[0]) for weights in (state, expected))
        if found != wanted:
            raise WeightsError(f'{source}: expected weights for scale {wanted}, found those for {found}')


def _upscale(state, num_feat):
    """int: The scale, from how many channels each stage of the upsampler writes for one that it reads."""
    stages = sorted(name for name in state if name.startswith('upsample.') and name.endswith('.weight'))
    return math.prod(math.isqrt(_shape(state, name)[0] // num_feat) for name in stages)


def _shape(state, name):
    shape = tuple(_tensor(state, name).shape)
    if len(shape) != 4 or 0 in shape:
        raise WeightsError(f'{name}: expected the weights of a convolution, got the shape {shape}')
    return shape


def _tensor(state, name):
    if name not in state:
        raise WeightsError(f'expected the weights of a DeCoNASNet, found no {name} among {len(state)} tensors')
    return state[name]
