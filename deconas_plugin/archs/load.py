"""From a weight file to the network: the tensors alone tell its architecture."""
from pathlib import Path

import torch

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.network_options import (
    decode_genotype,
    decode_residual,
    is_fused,
    network_options,
    tail_of,
    upscale_of,
)
from deconas_plugin.errors import DeCoNASError, WeightsError
from deconas_plugin.files.paths import tool_command
from deconas_plugin.files.states import load_state
from deconas_plugin.files.zoo import load_zoo

# What has to be done with weights of a kind where others are needed.
REMEDIES = {
    'of a merged network, for inference alone': 'take the file that they were made from',
    'of a supernet, which hold no genotype': 'derive a network from them first',
    'of a network that is not merged': 'merge it: {convert} --fused',
}


def load_network(path, device='cpu'):
    """Load a trained network.

    Args:
        path (str | Path): A weight file, see :func:`load_state`, or a name in the model zoo.
        device (str | torch.device): Where the network goes.

    Returns:
        DeCoNASNet | FusedDeCoNASNet: Which one the file is of; in evaluation mode, float32 whatever the precision of
        the file.

    Raises:
        WeightsError: The file is unreadable or belongs to another network.
    """
    zoo = load_zoo()
    is_name = str(path) in zoo.entries or not Path(path).suffix
    state, _ = load_state(zoo.weights(str(path)) if is_name else path)
    return network_from_state(state, path).to(device)


def network_from_state(state, source='weights'):
    """DeCoNASNet | FusedDeCoNASNet: The network that a state dict belongs to, with these weights, in evaluation mode.

    Args:
        state (dict[str, Tensor]): Of either.
        source (str | Path): What the messages call it.

    Raises:
        WeightsError: It is that of another network, incomplete, or not finite.
    """
    try:
        net = DeCoNASNet(**network_options(state))
    except DeCoNASError as error:
        raise WeightsError(f'{source}: {error}') from error
    if is_fused(state):
        net = net.fuse()
    check_state(net, state, source)
    net.load_state_dict(state)
    return net.eval()


def check_state(net, state, source='weights'):
    """Check that a state dict fits a network of any kind and is finite.

    Raises:
        WeightsError: It does not.
    """
    expected = net.state_dict()
    _check_kind(state, expected, source)
    # Genotype and scale first: where they differ, names and shapes do too, and say less.
    _check_genotype(state, expected, source)
    _check_scale(state, expected, source)
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    for problem, names in (('missing', missing), ('unexpected', unexpected)):
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise WeightsError(f'{source}: it does not fit {type(net).__name__}; {problem}: {min(names)}{more}')
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(f'{source}: {name}: expected the shape {tuple(expected[name].shape)}, '
                               f'got {tuple(tensor.shape)}')
        if not torch.isfinite(tensor).all():
            raise WeightsError(f'{source}: {name} is not finite: the training diverged; take an earlier checkpoint')


def _check_kind(state, expected, source):
    found, wanted = _kind(state), _kind(expected)
    if found != wanted and None not in (found, wanted):
        remedy = REMEDIES[found].format(convert=tool_command('convert'))
        raise WeightsError(f'{source}: these are weights {found}; {remedy}')


def _kind(state):
    """str | None: Which of the kinds of weights of this project; None for others."""
    merged, supernet, single = REMEDIES
    if is_fused(state):
        return merged
    if any('.weight.0' in name for name in state):
        return supernet
    return single if 'genotype_code' in state else None


def _check_genotype(state, expected, source):
    if 'genotype_code' in state and 'genotype_code' in expected:
        found, wanted = (decode_genotype(weights['genotype_code']) for weights in (state, expected))
        if found != wanted:
            raise WeightsError(f'{source}: expected weights of genotype {wanted}, found those of {found}; '
                               'set network_g.genotype to that of the weights')
        found, wanted = (decode_residual(weights['genotype_code']) for weights in (state, expected))
        if found != wanted:
            raise WeightsError(f'{source}: expected weights of residual {wanted}, found those of {found}; '
                               'set network_g.residual to that of the weights')
        found, wanted = (tail_of(weights) for weights in (state, expected))
        if found != wanted:
            raise WeightsError(f'{source}: expected weights of tail {wanted}, found those of {found}; '
                               'set network_g.tail to that of the weights')


def _check_scale(state, expected, source):
    # Other networks name their upsampler otherwise, or name something else so.
    if all('conv_second.weight' in weights and 'upsample.0.weight' in weights for weights in (state, expected)):
        found, wanted = upscale_of(state), upscale_of(expected)
        if found != wanted:
            raise WeightsError(f'{source}: expected weights for scale {wanted}, found those for {found}')
