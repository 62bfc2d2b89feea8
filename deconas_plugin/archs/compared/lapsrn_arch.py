"""LapSRN: a pyramid of levels, each of which doubles the image and adds details to it.

Lai, Huang, Ahuja, Yang: Deep Laplacian Pyramid Networks for Fast and Accurate Super-Resolution, CVPR 2017.

Parameters at x2: 640 for the first convolution; for the level ten times 36,928, once more 36,928 for the transposed
convolution of the features, 577 for the details and 16 for the image: 407,441. At x4 a second level of 406,801 comes on
top: 814,242, the 813K that tables print for x2 too.

Mult-Adds @720p at x2: (576 + 11 * 36,864 + 16) * 230,400 for what reads LR pixels and 576 * 921,600 for the details =
94.1 G. Tables print 29.9 G, which cannot be this network's: in the ten convolutions alone each of 368,640 weights meets
each of 230,400 LR pixels, 84.9 G.
"""
import torch
import torch.nn.functional as F
from torch import nn

from deconas_plugin.archs.compared.luminance import LuminanceNet
from deconas_plugin.registration import register_arch

DEPTH, NUM_FEAT = 10, 64
SLOPE = 0.2


@register_arch
class LapSRN(LuminanceNet):
    """LapSRN; what it gives is the last level's image, of which alone the loss is, too.

    Args:
        upscale (int): 2 or 4. Default: 2.
    """
    scales = (2, 4)

    def __init__(self, upscale=2):
        super().__init__(upscale)
        self.conv_first = nn.Conv2d(1, NUM_FEAT, 3, padding=1)
        self.levels = nn.ModuleList(_Level() for _ in range(upscale // 2))

    def run(self, y):
        x = _leaky(self.conv_first(y))
        for level in self.levels:
            x, y = level(x, y)
        return y


class _Level(nn.Module):
    """Features (N, 64, H, W) and image (N, 1, H, W) -> both at twice the size."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(NUM_FEAT, NUM_FEAT, 3, padding=1) for _ in range(DEPTH))
        self.up_features = nn.ConvTranspose2d(NUM_FEAT, NUM_FEAT, 3, stride=2)
        self.details = nn.Conv2d(NUM_FEAT, 1, 3, padding=1)
        self.up_image = nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, bias=False)
        bilinear = torch.tensor([0.25, 0.75, 0.75, 0.25])
        self.up_image.weight.data.copy_(torch.outer(bilinear, bilinear))  # as the authors start

    def forward(self, x, y):
        for conv in self.convs:
            x = _leaky(conv(x))
        x = _leaky(self.up_features(x)[..., :-1, :-1])
        return x, self.up_image(y) + self.details(x)


def _leaky(x):
    return F.leaky_relu(x, SLOPE)
