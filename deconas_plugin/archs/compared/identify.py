"""From weights to the network of another paper that they are of; names and shapes of the tensors tell."""
import torch

from deconas_plugin.archs.compared import COMPARED
from deconas_plugin.errors import WeightsError


def identify(state, upscale, source='weights'):
    """Find the network that weights belong to.

    Args:
        state (dict[str, Tensor]): The weights.
        upscale (int): For which scale; weights of networks that interpolate first fit all scales.
        source (str | Path): What the message calls them.

    Returns:
        str | None: A key of :data:`COMPARED`, None for any other network.

    Raises:
        WeightsError: They are of such a network, but for another scale.
    """
    shapes = {name: tensor.shape for name, tensor in state.items()}
    fitting = [(name, scale) for name, arch in COMPARED.items() for scale in arch.scales
               if _shapes(arch, scale) == shapes]
    names = [name for name, scale in fitting if scale == upscale]
    if fitting and not names:
        found = ', '.join(f'{name} x{scale}' for name, scale in fitting)
        raise WeightsError(f'{source}: expected weights for x{upscale}, found those of {found}; choose another --scale')
    return names[0] if names else None


def _shapes(arch, scale):
    with torch.device('meta'):
        return {name: tensor.shape for name, tensor in arch(scale).state_dict().items()}
