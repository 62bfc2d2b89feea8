"""MemNet: memory blocks that choose from all that came before, after bicubic interpolation.

Tai, Yang, Liu, Xu: MemNet: A Persistent Memory Network for Image Restoration, ICCV 2017. The setting M6R6 with 64
features; batch normalisations, biases and the weighted sum of six outputs as in the authors' definition for Caffe.

Parameters: the convolutions have 576 + 6 * 2 * 36,864 (residual units) + (7 + 8 + ... + 12) * 4,096 (gates) + 576 =
676,992 weights, the printed 677K. Biases (1,217), batch normalisations (9,602) and the weights of the six outputs make
it 687,817.

Mult-Adds @720p: every residual unit is applied six times, and every output has the last convolution:
(576 + 36 * 2 * 36,864 + 233,472 + 6 * 576) * 921,600 = 2,665.0 G; tables print 2,662.4 G, for one output.
"""
import torch
import torch.nn.functional as F
from torch import nn

from deconas_plugin.archs.compared.luminance import LuminanceNet
from deconas_plugin.registration import register_arch

NUM_BLOCK, NUM_RECURSION, NUM_FEAT = 6, 6, 64


@register_arch
class MemNet(LuminanceNet):
    """MemNet M6R6.

    Args:
        upscale (int): 2, 3 or 4; the weights of all three have the same shapes. Default: 2.
    """
    bicubic_first = True

    def __init__(self, upscale=2):
        super().__init__(upscale)
        self.first = _Activated(1, NUM_FEAT, 3)
        self.blocks = nn.ModuleList(_MemoryBlock(num_memories) for num_memories in range(1, NUM_BLOCK + 1))
        self.norms = nn.ModuleList(nn.BatchNorm2d(NUM_FEAT) for _ in range(NUM_BLOCK))
        self.last = nn.Conv2d(NUM_FEAT, 1, 3, padding=1)
        self.output_weights = nn.Parameter(torch.full((NUM_BLOCK, ), 1 / NUM_BLOCK))

    def run(self, y):
        memories = [self.first(y)]
        output = 0
        for block, norm, weight in zip(self.blocks, self.norms, self.output_weights, strict=True):
            memories.append(block(memories))
            output = output + weight * (y + self.last(F.relu(norm(memories[-1]))))
        return output


class _Activated(nn.Sequential):
    """Batch normalisation, ReLU, convolution."""

    def __init__(self, num_in, num_out, size):
        super().__init__(nn.BatchNorm2d(num_in), nn.ReLU(), nn.Conv2d(num_in, num_out, size, padding=size // 2))


class _MemoryBlock(nn.Module):
    """All memories so far, each (N, 64, H, W) -> the next one."""

    def __init__(self, num_memories):
        super().__init__()
        self.unit = nn.Sequential(_Activated(NUM_FEAT, NUM_FEAT, 3), _Activated(NUM_FEAT, NUM_FEAT, 3))
        self.gate = _Activated((NUM_RECURSION + num_memories) * NUM_FEAT, NUM_FEAT, 1)

    def forward(self, memories):
        x, short_term = memories[-1], []
        for _ in range(NUM_RECURSION):
            x = x + self.unit(x)
            short_term.append(x)
        return self.gate(torch.cat([*short_term, *memories], dim=1))
