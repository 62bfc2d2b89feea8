"""The device that a tool runs on: its name, its memory, and the floating point formats that serve there."""
import ctypes
import os
import platform
import sys
from pathlib import Path

import torch
from torch import nn

from deconas_plugin.errors import OptionError

PRECISIONS = ('float32', 'tf32', 'bf16', 'fp16')
OF_GPUS = ('tf32', 'fp16')
# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


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


def keep_freed_memory(device):
    """Let the C library keep what tensors free for the next ones, instead of giving it back to the system.

    Every training step and every image allocates the same features again. Where fresh pages of the system serve them
    each time, it has to clear the pages first. Needs Linux with glibc and does nothing elsewhere. The process does not
    shrink below its peak any more.

    Args:
        device (torch.device): Where the tensors are; only on a CPU the C library serves them.
    """
    libc = ctypes.CDLL(None) if sys.platform == 'linux' and device.type == 'cpu' else None
    if hasattr(libc, 'mallopt') and libc.mallopt(M_MMAP_MAX, 0):
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_freed_memory():
    """Give back to the system what :func:`keep_freed_memory` has kept, before something else needs room."""
    libc = ctypes.CDLL(None) if sys.platform == 'linux' else None
    if hasattr(libc, 'malloc_trim'):
        libc.malloc_trim(0)


def total_memory():
    """float: Bytes of the machine; infinity where the system does not tell."""
    if not hasattr(os, 'sysconf'):
        return float('inf')
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def free_memory(device):
    """int | None: Bytes that can be had on a device; None where that is unknown."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith('MemAvailable:')), None)


def resolve_precision(precision, device, num_feat=64, key='train.precision'):
    """Check a precision, or choose one for the device.

    Args:
        precision (str | None): 'float32', 'tf32', 'bf16', 'fp16', or None to choose: bf16 where the processor computes
            it, float32 elsewhere.
        device (torch.device): Where the network runs.
        num_feat (int | Sequence[int]): Channels of the network, for training, or all numbers of them that it may have.
            Default: 64.
        key (str): The option's name, for the message.

    Returns:
        str: One of :data:`PRECISIONS`.

    Raises:
        OptionError: It is unknown, or the device does not compute it.
    """
    # oneDNN (seen in torch 2.13) gives NaN as the bf16 weight gradient of a dilated convolution over such channels.
    widths = [num_feat] if isinstance(num_feat, int) else list(num_feat)
    broken = device.type == 'cpu' and any(width % 16 for width in widths)
    if precision is None:
        return 'bf16' if _computes_bf16(device) and not broken else 'float32'
    if precision not in PRECISIONS:
        raise OptionError(f'{key}: expected one of {", ".join(PRECISIONS)}, got {precision!r}')
    if precision in OF_GPUS and device.type != 'cuda':
        raise OptionError(f'{key}: {precision} needs a CUDA device, this runs on {device.type}; use bf16 or float32')
    if precision == 'bf16' and broken:
        raise OptionError(f'{key}: bf16 on a CPU needs num_feat to be a multiple of 16, got '
                          f'{", ".join(map(str, widths))}; use float32')
    return precision


def widths_that_bf16_minds(net):
    """tuple[int]: Channels of a network that training in bf16 on a CPU depends on: those of dilated convolutions."""
    if hasattr(net, 'widths'):
        return net.widths
    dilated = [module for module in net.modules() if isinstance(module, nn.Conv2d) and max(module.dilation) > 1]
    return tuple(sorted({width for module in dilated for width in (module.in_channels, module.out_channels)}))


def autocast(precision, device):
    """Context manager under which convolutions run in a precision; parameters stay float32.

    On a GPU it also switches TF32 on or off, until the next call: a backward pass computes as its forward pass did.

    Args:
        precision (str): One of :data:`PRECISIONS`.
        device (torch.device): Where the network runs.
    """
    if device.type == 'cuda':
        # PyTorch would let convolutions, but not matrix products, round what is called float32 to TF32.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == 'tf32'
    dtype = torch.float16 if precision == 'fp16' else torch.bfloat16
    return torch.autocast(device.type, dtype=dtype, enabled=precision in ('bf16', 'fp16'))


def _computes_bf16(device):
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # Without these instructions bf16 is emulated and slower than float32. Older PyTorch cannot tell: float32 then.
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, 'get_capabilities') else {}
    return bool(capabilities.get('avx512_bf16') or capabilities.get('amx_bf16'))
