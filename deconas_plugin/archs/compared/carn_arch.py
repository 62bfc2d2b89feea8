"""CARN: residual blocks in a cascade of cascades.

Ahn, Kang, Sohn: Fast, Accurate, and Lightweight Super-Resolution with Cascading Residual Network, ECCV 2018.

Parameters at x2: 1,792 for the first convolution; three cascades of three residual blocks (73,856 each) and 1x1
fusions over 128, 192 and 256 features (37,056); the same fusions between the cascades; 147,712 before the PixelShuffle;
1,731 for the last convolution: 964,163. The printed 1,592K counts the tails of three scales, of which one is used.

Mult-Adds @720p at x2: (1,728 + 3 * (6 * 36,864 + 36,864) + 36,864 + 147,456) * 230,400 + 1,728 * 921,600 = 222.8 G,
as usually printed.
"""
import torch
import torch.nn.functional as F
from torch import nn

from deconas_plugin.archs.compared.luminance import ScaledNet
from deconas_plugin.archs.forward import upsampling_stages
from deconas_plugin.registration import register_arch

NUM_FEAT = 64
RGB_MEAN = (0.4488, 0.4371, 0.4040)


@register_arch
class CARN(ScaledNet):
    """CARN, for one scale.

    Args:
        upscale (int): 2, 3 or 4. Default: 2.
    """

    def __init__(self, upscale=2):
        super().__init__(upscale)
        self.register_buffer('mean', torch.tensor(RGB_MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv_first = nn.Conv2d(3, NUM_FEAT, 3, padding=1)
        self.body = _Cascade([_Cascade([_ResidualBlock() for _ in range(3)]) for _ in range(3)])
        self.upsample = nn.ModuleList(nn.Conv2d(NUM_FEAT, NUM_FEAT * factor**2, 3, padding=1)
                                      for factor in upsampling_stages(upscale))
        self.conv_last = nn.Conv2d(NUM_FEAT, 3, 3, padding=1)

    def forward(self, x):
        """Upscale: (N, 3, H, W) in [0, 1], RGB -> (N, 3, upscale * H, upscale * W)."""
        x = self.body(self.conv_first(x - self.mean))
        for conv, factor in zip(self.upsample, upsampling_stages(self.upscale), strict=True):
            x = F.pixel_shuffle(F.relu(conv(x)), factor)
        return self.conv_last(x) + self.mean


class _Cascade(nn.Module):
    """Each unit reads what a 1x1 convolution makes of the input and of all units before it."""

    def __init__(self, units):
        super().__init__()
        self.units = nn.ModuleList(units)
        self.fusions = nn.ModuleList(nn.Conv2d((index + 2) * NUM_FEAT, NUM_FEAT, 1) for index in range(len(units)))

    def forward(self, x):
        seen = [x]
        for unit, fusion in zip(self.units, self.fusions, strict=True):
            seen.append(unit(x))
            x = F.relu(fusion(torch.cat(seen, dim=1)))
        return x


class _ResidualBlock(nn.Module):

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(NUM_FEAT, NUM_FEAT, 3, padding=1)
        self.conv2 = nn.Conv2d(NUM_FEAT, NUM_FEAT, 3, padding=1)

    def forward(self, x):
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))
