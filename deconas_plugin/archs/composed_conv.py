"""Convolutions with nothing non-linear between them, as one convolution."""
import copy

import torch
from torch import nn
from torch.nn import functional as F

RADIUS = 2
# Pixels at each side of an image that determine the outermost ring of the stack's output.
STRIP = RADIUS + 1


class ComposedConv(nn.Module):
    """A stack of 3x3 convolutions and PixelShuffles as one 5x5 convolution and one PixelShuffle, for inference.

    Exact everywhere. In the outermost ring, where every convolution of the stack pads with zeros in between and the one
    convolution cannot, the stack itself is applied to strips of the image.

    Args:
        stack (nn.Sequential): Linear, and its output pixel depends on no more than 5x5 input pixels.
        num_in_ch (int): Its input channels.
        upscale (int): By how much it upscales. Default: 1.
    """

    def __init__(self, stack, num_in_ch, upscale=1):
        super().__init__()
        self.stack = copy.deepcopy(stack)
        self.upscale = upscale
        weight, bias = _impulse_response(stack, num_in_ch, upscale)
        self.conv = nn.Conv2d(num_in_ch, len(weight), 2 * RADIUS + 1, padding=RADIUS)
        self.conv.load_state_dict({'weight': weight, 'bias': bias})

    def forward(self, x):
        """(N, num_in_ch, H, W) -> (N, C, upscale * H, upscale * W)."""
        ring = self.upscale
        inner = F.pixel_shuffle(self.conv(x), self.upscale)
        left, right = self.stack(x[..., :STRIP]), self.stack(x[..., -STRIP:])
        top, bottom = self.stack(x[..., :STRIP, :]), self.stack(x[..., -STRIP:, :])
        # The second slice of right and bottom leaves nothing where left and top are the whole image, one pixel.
        rows = torch.cat([left[..., :ring], inner[..., ring:-ring], right[..., ring:][..., -ring:]], dim=3)
        return torch.cat([top[..., :ring, :], rows[..., ring:-ring, :], bottom[..., ring:, :][..., -ring:, :]], dim=2)


@torch.no_grad()
def _impulse_response(stack, num_in_ch, upscale):
    """tuple[Tensor, Tensor]: Weight and bias of the one convolution, from what the stack makes of single pixels."""
    stack = copy.deepcopy(stack).double().cpu()
    centre, size = 2 * RADIUS, 4 * RADIUS + 1
    impulses = torch.zeros(num_in_ch + 1, num_in_ch, size, size, dtype=torch.float64)
    for channel in range(num_in_ch):
        impulses[channel, channel, centre, centre] = 1
    response = F.pixel_unshuffle(stack(impulses), upscale)
    silence = response[-1:]
    window = slice(centre - RADIUS, centre + RADIUS + 1)
    # A convolution in the sense of PyTorch is a correlation: its kernel is the response, mirrored.
    weight = (response[:-1] - silence)[..., window, window].flip(2, 3).transpose(0, 1)
    return weight, silence[0, :, centre, centre]
