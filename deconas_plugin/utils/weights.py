"""From a weight file to the network: the tensors alone tell its architecture."""
import torch

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.network_options import is_fused, network_options
from deconas_plugin.errors import DeCoNASError, WeightsError
from deconas_plugin.utils.state_files import load_state


def load_network(path, device='cpu'):
    """Load a trained network.

    Args:
        path (str | Path): A weight file, see :func:`load_state`.
        device (str | torch.device): Where the network goes.

    Returns:
        DeCoNASNet | FusedDeCoNASNet: Which one the file is of; in evaluation mode, float32 whatever the precision of
        the file.

    Raises:
        WeightsError: The file is unreadable or belongs to another network.
    """
    state, _ = load_state(path)
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
    """Check that a state dict fits a network and is finite.

    Raises:
        WeightsError: It does not.
    """
    expected = net.state_dict()
    missing, unexpected = expected.keys() - state.keys(), state.keys() - expected.keys()
    for problem, names in (('missing', missing), ('unexpected', unexpected)):
        if names:
            more = f' and {len(names) - 1} more' if len(names) > 1 else ''
            raise WeightsError(f'{source}: it does not fit DeCoNASNet with genotype {net.genotype}; '
                               f'{problem}: {min(names)}{more}')
    for name, tensor in state.items():
        if tensor.shape != expected[name].shape:
            raise WeightsError(f'{source}: {name}: expected the shape {tuple(expected[name].shape)}, '
                               f'got {tuple(tensor.shape)}')
        if not torch.isfinite(tensor).all():
            raise WeightsError(f'{source}: {name} is not finite: the training diverged; take an earlier checkpoint')
