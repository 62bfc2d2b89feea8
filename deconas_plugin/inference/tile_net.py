"""A network for one tile of an image, as other runtimes take it: the means of its attentions go in and come out."""
import copy

import torch
from torch import nn
from torch.nn import functional as F

from deconas_plugin.archs.attention import ChannelAttention

# Side of the squares of features that are averaged in the graph. Which of them count is decided outside, so that one
# graph serves every tile of an image, in the middle and at the border.
CELL = 8


class TileNet(nn.Module):
    """A network whose attentions multiply by what follows from given means, and tell what they would have pooled.

    Args:
        net (FusedDeCoNASNet): It is copied.
    """

    def __init__(self, net):
        super().__init__()
        self.net = copy.deepcopy(net)
        self.channels = [module.squeeze.in_channels for module in attentions(net)]
        self._given, self._seen, self._weights = [], [], None
        for parent in list(self.net.modules()):
            for name, module in list(parent.named_children()):
                if isinstance(module, ChannelAttention):
                    setattr(parent, name, _GivenAttention(module, self._next, self._collect))

    def forward(self, image, means, weights):
        """Upscale a tile.

        Args:
            image (Tensor): What the network sees of the image, (1, num_in_ch, H, W).
            means (Tensor): Of the features that the attentions pool, one attention after the other, (1, C, 1, 1).
            weights (Tensor): Of the cells, (1, 1, H // CELL, W // CELL).

        Returns:
            tuple[Tensor, Tensor]: The upscaled tile, and the weighted sums of the cells' means, (1, C, 1, 1).
        """
        self._given[:] = torch.split(means, self.channels, dim=1)
        self._seen.clear()
        self._weights = weights
        upscaled = self.net(image)
        return upscaled, torch.cat(self._seen, dim=1)

    def _next(self):
        return self._given[len(self._seen)]

    def _collect(self, x, scale):
        self._seen.append((F.avg_pool2d(x, CELL) * self._weights).sum((2, 3), keepdim=True) * scale)


class _GivenAttention(nn.Module):

    def __init__(self, attention, given, collect):
        super().__init__()
        self.squeeze, self.excite = attention.squeeze, attention.excite
        self._given, self._collect = given, collect

    def forward(self, x, scale=1):
        mean = self._given()
        self._collect(x, scale)
        return x * (scale * torch.sigmoid(self.excite(F.relu(self.squeeze(mean)))))


def attentions(net):
    """list[ChannelAttention]: In the order in which the network runs them."""
    return [module for module in net.modules() if isinstance(module, ChannelAttention)]
