"""The device that a tool runs on."""
import torch

from deconas_plugin.errors import OptionError


def choose_device(name=None):
    """Turn an option into a device.

    Args:
        name (str | None): 'cpu', 'cuda', 'cuda:1', ... Default: 'cuda' where there is one, else 'cpu'.

    Returns:
        torch.device: The device.

    Raises:
        OptionError: There is no such device here.
    """
    if name is None:
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    known = ['cpu', 'cuda'][:1 + torch.cuda.is_available()] + [f'cuda:{i}' for i in range(torch.cuda.device_count())]
    if name not in known:
        raise OptionError(f'--device: expected one of {", ".join(known)}, got {name!r}')
    return torch.device(name)
