"""The device that a tool runs on."""
import os
import platform
from pathlib import Path

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


def device_of_run(num_gpu):
    """torch.device: Where a run with this ``num_gpu`` (int or 'auto') computes."""
    return torch.device('cuda' if num_gpu != 0 and torch.cuda.is_available() else 'cpu')


def device_name(device):
    """str: What a reader needs to judge the times: the GPU, or the processor and how many threads are used."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []  # Linux alone has it
    name = next((line.partition(':')[2].strip() for line in lines if line.startswith('model name')), platform.machine())
    return f'{name}, {torch.get_num_threads()} of {os.cpu_count()} threads'
