"""VDSR: twenty convolutions that correct a bicubic interpolation.

Kim, Lee, Lee: Accurate Image Super-Resolution Using Very Deep Convolutional Networks, CVPR 2016.

Parameters: 9 * 64 + 64, eighteen times 9 * 64 * 64 + 64, 9 * 64 + 1 = 665,921. Mult-Adds @720p, all at the size of the
output: (2 * 576 + 18 * 36,864) * 921,600 = 612.6 G, as usually printed.
"""
import torch.nn.functional as F
from torch import nn

from deconas_plugin.archs.compared.luminance import LuminanceNet
from deconas_plugin.registration import register_arch

DEPTH, NUM_FEAT = 20, 64


@register_arch
class VDSR(LuminanceNet):
    """VDSR; one set of weights serves all scales.

    Args:
        upscale (int): 2, 3 or 4. Default: 2.
    """
    bicubic_first = True

    def __init__(self, upscale=2):
        super().__init__(upscale)
        widths = [1, *[NUM_FEAT] * (DEPTH - 1), 1]
        self.convs = nn.ModuleList(
            nn.Conv2d(num_in, num_out, 3, padding=1) for num_in, num_out in zip(widths, widths[1:], strict=False))

    def run(self, y):
        x = y
        for conv in self.convs[:-1]:
            x = F.relu(conv(x))
        return y + self.convs[-1](x)
