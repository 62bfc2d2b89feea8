"""What a genotype chooses for all layers: the activation and the attention."""
from functools import partial

import torch
from torch import nn
from torch.nn import functional as F

ACTIVATION_FUNCTIONS = {
    'relu': F.relu,
    'lrelu': partial(F.leaky_relu, negative_slope=0.05),
    'silu': F.silu,
    'gelu': F.gelu,
    'gelu8': F.gelu,
}
# Those of which activation(scale * x) is scale * activation(x) for positive scales.
HOMOGENEOUS = ('relu', 'lrelu')
# Those that are function(gain * x) / gain. Features are about 0.1 in size, where a plain GELU (or SiLU) bends so little
# that it is all but linear, and a short training never gets beyond a linear upsampler (docs/searching.md).
GAINS = {'gelu8': 8}


def activate(x, activation):
    """The activation of a name, of features of any shape."""
    gain = GAINS.get(activation, 1)
    function = ACTIVATION_FUNCTIONS[activation]
    return function(x) if gain == 1 else function(x * gain) / gain


KERNEL_SIZE, DILATION = 5, 3
# How many pixels around its own place a spatial attention looks at.
SPATIAL_RADIUS = KERNEL_SIZE // 2 * DILATION


def squeezed_channels(num_feat):
    """int: Channels inside an attention: a quarter."""
    return max(num_feat // 4, 1)


class ChannelAttention(nn.Module):
    """Squeeze and excitation: weighs each channel by its global average, (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, num_feat):
        super().__init__()
        num_squeezed = squeezed_channels(num_feat)
        self.squeeze = nn.Conv2d(num_feat, num_squeezed, 1)
        self.excite = nn.Conv2d(num_squeezed, num_feat, 1)

    def forward(self, x, scale=1):
        """The attention of ``scale * x``, where ``scale`` costs no pass over the image."""
        return x * (scale * torch.sigmoid(self.excite(F.relu(self.squeeze(self._average(x) * scale)))))

    def _average(self, x):
        """(N, C, H, W) -> (N, C, 1, 1)."""
        # In fp16 the sum over a large image is beyond all numbers.
        wide = torch.float32 if x.dtype == torch.float16 else None
        if self.training:
            # The gradient of an average is divided pixel by pixel and written out, in another memory layout: 8 % of a
            # training step in bf16. That of a sum is neither.
            return (x.sum((2, 3), keepdim=True, dtype=wide) / (x.shape[2] * x.shape[3])).to(x.dtype)
        if wide:
            return x.mean((2, 3), keepdim=True, dtype=wide).to(x.dtype)
        # What exporters and other runtimes know as global average pooling.
        return F.adaptive_avg_pool2d(x, 1)


class SpatialAttention(nn.Module):
    """Weighs every channel at every place by what is around it, 13x13 pixels: (N, C, H, W) -> (N, C, H, W).

    In the manner of the enhanced spatial attention of RFANet (Liu et al., CVPR 2020): few channels, a large field,
    sigmoid. But the field is that of a dilated depthwise convolution instead of strides and pooling, so that the result
    does not depend on where an image is cut, and tiles that overlap by the field are exact.
    """

    def __init__(self, num_feat):
        super().__init__()
        num_squeezed = squeezed_channels(num_feat)
        self.squeeze = nn.Conv2d(num_feat, num_squeezed, 1)
        self.field = nn.Conv2d(num_squeezed, num_squeezed, KERNEL_SIZE, padding=SPATIAL_RADIUS, dilation=DILATION,
                               groups=num_squeezed)
        self.excite = nn.Conv2d(num_squeezed, num_feat, 1)

    def forward(self, x, scale=1):
        """The attention of ``scale * x``, where ``scale`` costs no pass over x. Factors lie in (0, 2), 1 at first."""
        squeezed = F.conv2d(x, self.squeeze.weight)
        squeezed = F.relu(squeezed * scale + self.squeeze.bias.to(squeezed.dtype).view(1, -1, 1, 1))
        return x * (2 * scale * self.excite(self._around(squeezed) + squeezed).sigmoid())

    def _around(self, squeezed):
        weight = self.field.weight
        if squeezed.dtype != weight.dtype:
            # Not in the bf16 of an autocast: on a CPU oneDNN (seen in torch 2.13) gives NaN as the gradient of such a
            # weight. The meta device knows no autocast, so that it must not be asked for in vain.
            with torch.autocast(squeezed.device.type, enabled=False):
                return self._around(squeezed.to(weight.dtype)).to(squeezed.dtype)
        # By its weights alone: in a narrow network of a supernet they are fewer than the module was built with.
        return F.conv2d(squeezed, weight, self.field.bias, padding=SPATIAL_RADIUS, dilation=DILATION,
                        groups=squeezed.shape[1])
