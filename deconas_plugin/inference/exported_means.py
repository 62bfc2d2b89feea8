"""Tiles of an image in a runtime other than PyTorch."""
import torch

from deconas_plugin.inference.tile_net import CELL
from deconas_plugin.utils.whole_image_means import WholeImageMeans


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
