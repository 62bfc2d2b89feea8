"""SRCNN: three convolutions after bicubic interpolation.

Dong, Loy, He, Tang: Image Super-Resolution Using Deep Convolutional Networks, TPAMI 2016. The setting 9-5-5 with 64 and
32 features, of which the results are usually quoted.

Parameters: 81 * 64 + 64, 25 * 64 * 32 + 32, 25 * 32 + 1 = 57,281. Mult-Adds @720p, all at the size of the output:
(5,184 + 51,200 + 800) * 921,600 = 52.7 G, as usually printed.
"""
import torch.nn.functional as F
from torch import nn

from deconas_plugin.archs.compared.luminance import LuminanceNet
from deconas_plugin.registration import register_arch


@register_arch
class SRCNN(LuminanceNet):
    """SRCNN 9-5-5.

    Args:
        upscale (int): 2, 3 or 4; the weights of all three have the same shapes. Default: 2.
    """
    bicubic_first = True

    def __init__(self, upscale=2):
        super().__init__(upscale)
        self.conv1 = _conv(1, 64, 9)
        self.conv2 = _conv(64, 32, 5)
        self.conv3 = _conv(32, 1, 5)

    def run(self, y):
        return self.conv3(F.relu(self.conv2(F.relu(self.conv1(y)))))


def _conv(num_in, num_out, size):
    return nn.Conv2d(num_in, num_out, size, padding=size // 2, padding_mode='replicate')
