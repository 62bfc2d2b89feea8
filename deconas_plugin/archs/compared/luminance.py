"""RGB around networks that were made for luminance alone."""
from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import nn

from deconas_plugin.errors import OptionError

RED, GREEN, BLUE = 0.299, 0.587, 0.114  # shares of luminance, ITU-R BT.601
BORDER = 3  # LR pixels; the bicubic kernel reaches two


class ScaledNet(nn.Module):
    """A network with a scale.

    Args:
        upscale (int): One of ``scales``.

    Attributes:
        scales (tuple[int]): What it was published for.

    Raises:
        OptionError: It was not published for this scale.
    """
    scales = (2, 3, 4)

    def __init__(self, upscale):
        super().__init__()
        if upscale not in self.scales:
            raise OptionError(f'network_g.upscale: {type(self).__name__} was published for '
                              f'{", ".join(map(str, self.scales))}, got {upscale!r}')
        self.upscale = upscale


class LuminanceNet(ScaledNet, ABC):
    """A network that computes luminance, with RGB in and out; chroma is enlarged by bicubic interpolation.

    To replace the luminance of an RGB image and keep its chroma, the same amount is added to all three channels, in
    YCbCr as well as in YPbPr; so the colours need neither to be converted there and back nor to be clipped:

        RGB out = bicubic(RGB) + (luminance out - luminance of bicubic(RGB)) / span

    Attributes:
        bicubic_first (bool): Whether the network gets luminance at the size of the output.
        foot, span (float): Luminance of black, and of white less that of black. Default: 16 and 219 of 255, YCbCr.
    """
    bicubic_first = False
    foot, span = 16 / 255, 219 / 255

    def forward(self, x):
        """Upscale: (N, 3, H, W) in [0, 1], RGB -> (N, 3, upscale * H, upscale * W)."""
        interpolated = upscale_bicubic(x, self.upscale)
        luminance = self.luminance(interpolated)
        computed = self.run(luminance if self.bicubic_first else self.luminance(x))
        return interpolated + (computed - luminance) / self.span

    def luminance(self, x):
        """Tensor: (N, 3, H, W), RGB -> (N, 1, H, W)."""
        red, green, blue = x.split(1, dim=1)
        return self.foot + self.span * (RED * red + GREEN * green + BLUE * blue)

    @abstractmethod
    def run(self, y):
        """Tensor: Luminance (N, 1, H, W), of the output's size already where :attr:`bicubic_first` -> (N, 1, upscale *
        H, upscale * W)."""


def upscale_bicubic(x, scale):
    """Enlarge as MATLAB's imresize does, differentiably.

    Args:
        x (Tensor): (N, C, H, W), at least 3 pixels a side.
        scale (int): Factor for both sides.

    Returns:
        Tensor: (N, C, scale * H, scale * W), not clipped.
    """
    for dim in (2, 3):
        last = x.shape[dim] - BORDER
        x = torch.cat([x.narrow(dim, 0, BORDER).flip(dim), x, x.narrow(dim, last, BORDER).flip(dim)], dim)
    # With antialias PyTorch takes MATLAB's kernel, a = -0.5; without it is a = -0.75.
    x = F.interpolate(x, scale_factor=scale, mode='bicubic', antialias=True)
    border = BORDER * scale
    return x[..., border:-border, border:-border]
