"""Initial weights under which the blocks of a network count from the first step on."""
import math

import torch
from torch.nn import functional as F

from deconas_plugin.archs.operation_weights import OperationWeights, SlicedWeights
from deconas_plugin.errors import OptionError

INITS = ('torch', 'he')
# A layer halves the squares of its operations by the activation and, at first, their size by the attention.
OPERATION_GAIN = 2 * math.sqrt(2)
PROBE_SIZE = 24


def initialise(net, init):
    """Scale the freshly drawn weights of operations and fusions.

    As PyTorch draws them ('torch'), a layer hands on a tenth of the size of what it reads: the blocks are then all but
    linear at first, and a short training ends before they count. 'he' scales each operation so that layers keep the
    size (after He et al., 2015, https://arxiv.org/abs/1502.01852), measured on smooth noise, as operations may hold
    several factors; biases become zero.

    Args:
        net (DeCoNASSkeleton): Is changed; on the meta device it has no weights to scale.
        init (str): One of :data:`INITS`.

    Raises:
        OptionError: There is no such way.
    """
    if init not in INITS:
        raise OptionError(f'init: expected one of {", ".join(INITS)}, got {init!r}')
    if init == 'torch':
        return
    for name, module in net.named_modules():
        if isinstance(module, OperationWeights) and not module.bias.is_meta:
            _scale(module, is_fusion=name.endswith('fusion'))


@torch.no_grad()
def _scale(module, is_fusion):
    """Scale all weights of an operation alike, until its output has the size that it shall have."""
    module.bias.zero_()
    weights = [weight for weight in module.parameters() if weight is not module.bias]
    if not weights:
        return
    if isinstance(module, SlicedWeights):
        inputs = tuple(range(len(getattr(module, next(iter(module.operation.joined))))))
        # A genotype selects half of them.
        target = 1 if is_fusion else OPERATION_GAIN * math.sqrt(2)
    else:
        inputs, target = module.inputs, 1 if is_fusion else OPERATION_GAIN
    x = _smooth_noise(len(inputs) * len(module.bias))
    x = x if is_fusion else F.relu(x) * math.sqrt(2)

    def size():
        return module(x, inputs).square().mean().sqrt().item()

    for _ in range(2):  # once for what is homogeneous in its weights; gates are nearly so
        before = size()
        _multiply(weights, 2)
        degree = math.log2(size() / before)
        _multiply(weights, (target / before)**(1 / degree) / 2)


def _multiply(weights, factor):
    for weight in weights:
        weight.mul_(factor)


def _smooth_noise(channels):
    """Tensor: (1, channels, h, w) of mean square 1, always the same; smooth as features are, for the sake of
    operations that take differences."""
    noise = torch.randn(1, channels, PROBE_SIZE, PROBE_SIZE, generator=torch.Generator().manual_seed(0))
    noise = F.avg_pool2d(noise, 3, 1, 1)
    return noise / noise.square().mean().sqrt()
