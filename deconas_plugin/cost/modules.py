"""Parameters, Mult-Adds and memory of any network, built as it is, and the form in which it is deployed."""
from copy import deepcopy

import torch
from basicsr.archs.ecbsr_arch import ECB
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from deconas_plugin.cost.count import OUTPUT_SIZE_720P, Cost
from deconas_plugin.errors import OptionError


def count_network(net, scale, name):
    """Count a network. The forward pass runs on the meta device, without computing anything; where that is not possible
    (a network that looks at numbers, or uses what is no operation of torch), on real tensors, which takes a while.

    Args:
        net (nn.Module): (N, 3, h, w) -> (N, 3, scale * h, scale * w).
        scale (int): 2, 3 or 4.
        name (str): What the message calls it.

    Returns:
        Cost: Parameters and Mult-Adds @720p.

    Raises:
        OptionError: It does not enlarge RGB images by the scale.
    """
    width, height = (size // scale for size in OUTPUT_SIZE_720P)
    try:
        flops, output = _run(deepcopy(net).to('meta'), torch.empty(1, 3, height, width, device='meta'))
    except Exception:  # noqa: BLE001, what meta tensors cannot do shows in any way; real ones tell what is wrong
        image = torch.rand(1, 3, height, width, device=next(net.parameters()).device)
        try:
            flops, output = _run(net, image)
        except RuntimeError as error:
            reason = str(error).splitlines()[0]
            raise OptionError(f'{name}: cannot upscale an RGB image of {width}x{height}: {reason}') from error
    if output.shape[1:] != (3, height * scale, width * scale):
        found = f'{tuple(output.shape[1:])} for (3, {height}, {width})'
        raise OptionError(f'{name}: expected a network for RGB and x{scale}, it gives {found}; choose '
                          'another scale (--scale)')
    params = getattr(net, 'num_params', None) or sum(parameter.numel() for parameter in net.parameters())
    return Cost(params, flops // 2)


@torch.no_grad()
def _run(net, image):
    was_training = net.training
    try:
        with FlopCounterMode(display=False) as counter:
            output = net.eval()(image)
        return counter.get_total_flops(), output
    finally:
        net.train(was_training)


def weight_bytes(net):
    """int: Memory of parameters and buffers."""
    return sum(tensor.numel() * tensor.element_size() for tensor in (*net.parameters(), *net.buffers()))


def merge_branches(net):
    """Turn branches that training alone needs into the one convolution that they amount to.

    Args:
        net (nn.Module): Any network; what is merged are the blocks of ECBSR.

    Returns:
        nn.Module: A copy in evaluation mode, whose output differs by rounding only.
    """
    net = deepcopy(net).eval()
    for name, block in list(net.named_modules()):
        if isinstance(block, ECB):
            parent, _, own = name.rpartition('.')
            setattr(net.get_submodule(parent), own, _merged(block))
    return net


@torch.no_grad()
def _merged(block):
    convolution = nn.Conv2d(block.in_channels, block.out_channels, 3, padding=1)
    convolution.weight.copy_(block.rep_params()[0])
    convolution.bias.copy_(block.rep_params()[1])
    return convolution if block.act_type == 'linear' else nn.Sequential(convolution, block.act)
