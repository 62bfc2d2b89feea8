"""What the channel attentions of a network would pool over an image that it only sees in parts."""
from contextlib import ExitStack, nullcontext

import torch
from torch.nn import functional as F

from deconas_plugin.archs.attention import ChannelAttention
from deconas_plugin.inference.tile_net import CELL


class WholeImageMeans:
    """Runs a network on parts of an image, with the attentions pooling over the whole image.

    Until :meth:`settle` has been called, they pool over all parts of a batch; afterwards they use the means that were
    collected before.

    Args:
        net (Module): With :class:`ChannelAttention` inside.
        context (Callable[[], ContextManager]): What to run it under. Default: nothing.
    """

    def __init__(self, net, context=nullcontext):
        self.net = net
        self.context = context
        self.attentions = [module for module in net.modules() if isinstance(module, ChannelAttention)]
        self._means = None
        self._forget()

    def run(self, x, rows, columns):
        """Apply the network and collect what its attentions pool.

        Args:
            x (Tensor): Parts of an image, (N, C, h, w).
            rows, columns (slice): Where they count: the parts may overlap, what counts of them should not.

        Returns:
            Tensor: The network's output.
        """
        with ExitStack() as hooks:
            for index, attention in enumerate(self.attentions):
                hooks.enter_context(attention.register_forward_pre_hook(self._collector(index, rows, columns)))
                hooks.enter_context(attention.squeeze.register_forward_pre_hook(self._replacer(index)))
            hooks.enter_context(self.context())
            return self.net(x)

    @torch.no_grad()
    def settle(self):
        """Use the means that were collected since the last call.

        Returns:
            float: The largest change of a factor by which an attention multiplies; at first infinity.
        """
        means = [total / count for total, count in zip(self._sums, self._counts, strict=True)]
        change = 0. if self._means else float('inf')
        if self._means:
            changes = [(self._factors(*new) - self._factors(*old)).abs().max().item()
                       for new, old in zip(enumerate(means), enumerate(self._means), strict=True)]
            change = max(changes, default=0.)
        self._means = means
        self._forget()
        return change

    def _forget(self):
        self._sums, self._counts = [0.] * len(self.attentions), [0] * len(self.attentions)

    def _collector(self, index, rows, columns):

        def collect(attention, args):
            x, scale = args if len(args) == 2 else (*args, 1)
            seen = x[..., rows, columns]
            self._sums[index] = self._sums[index] + scale * seen.sum((0, 2, 3), keepdim=True, dtype=torch.float32)
            self._counts[index] += seen.shape[0] * seen.shape[2] * seen.shape[3]

        return collect

    def _replacer(self, index):

        def replace(squeeze, args):
            mean = self._means[index] if self._means else self._sums[index] / self._counts[index]
            return mean.to(args[0].dtype).expand_as(args[0])

        return replace

    def _factors(self, index, mean):
        attention = self.attentions[index]
        with torch.autocast(mean.device.type, enabled=False):
            squeezed = F.relu(attention.squeeze(mean.to(attention.squeeze.weight.dtype)))
            return torch.sigmoid(attention.excite(squeezed)).float()


class ExportedMeans(WholeImageMeans):
    """As :class:`WholeImageMeans`, with tiles in another runtime once the means are estimated.

    What counts is told to whole cells of pixels. A cell that only partly counts is taken as uniform, and the pixels
    beyond the last whole cell of an image that is not divided in this direction, fewer than :data:`CELL`, are left out.

    Args:
        net (FusedDeCoNASNet): In PyTorch; the estimate is made by it.
        run_tile (Callable): As :meth:`TileNet.forward`, on arrays of the CPU.
        run_whole (Callable): As the network's forward pass; for networks without such attentions.
        context: As for :class:`WholeImageMeans`.
    """

    def __init__(self, net, run_tile, run_whole, context):
        super().__init__(net, context)
        self._run_tile, self._run_whole = run_tile, run_whole
        self._channels = [attention.squeeze.in_channels for attention in self.attentions]

    def run(self, x, rows, columns):
        if not self.attentions:
            return self._run_whole(x)
        if not self._means:
            return super().run(x, rows, columns)
        down, across = (_covered(length, span) for length, span in zip(x.shape[-2:], (rows, columns), strict=True))
        count = down.sum() * across.sum()
        weights = (torch.outer(down, across) / count)[None, None]
        upscaled, seen = self._run_tile(x.contiguous(), torch.cat(self._means, dim=1), weights)
        for index, mean in enumerate(torch.split(seen, self._channels, dim=1)):
            self._sums[index] = self._sums[index] + mean * count
            self._counts[index] += count
        return upscaled


def _covered(length, span):
    """Tensor: How many pixels of each cell along a side lie in a span (slice)."""
    starts = CELL * torch.arange(length // CELL)
    ends = (starts + CELL).clamp(max=span.stop)
    return (ends - starts.clamp(min=span.start)).clamp(min=0).float()
