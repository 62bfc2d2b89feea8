"""Floating point formats of a training step."""
import torch
from torch import nn

from deconas_plugin.errors import OptionError

PRECISIONS = ('float32', 'tf32', 'bf16', 'fp16')
OF_GPUS = ('tf32', 'fp16')


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
