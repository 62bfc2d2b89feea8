"""Upscaling an image of any size in tiles, with the result of upscaling it whole.

Convolutions see only so far, thus tiles that overlap by that much leave no seams. The channel attentions are different:
each multiplies by what follows from its mean over the whole image, which no tile knows. They are therefore given those
means: at first estimated from squares spread over the image, then, where that was not close enough, measured over all
tiles. The means of the first attention are right after one pass over the tiles, those of the n-th after n passes at
the latest; in practice, one or two passes do.
"""
import torch
from torch.nn import functional as F

from deconas_plugin.archs.deconas_util import ChannelAttention
from deconas_plugin.archs.operations import build_operation
from deconas_plugin.errors import OptionError

# The squares from which the means are estimated: at most this many, of this many LR pixels a side.
NUM_SAMPLE = 49
SAMPLE_SIZE = 96
# What an estimate may ignore at the edge of a square, where the network misses the pixels beyond.
SAMPLE_MARGIN = 12


@torch.no_grad()
def upscale_tiled(net, image, tile, overlap=None, tolerance=0.01):
    """Upscale images in tiles.

    Args:
        net (DeCoNASNet): The network, in evaluation mode.
        image (Tensor): (N, C, H, W), [0, 1], RGB.
        tile (int): Side of a tile in LR pixels, without overlap.
        overlap (int | None): LR pixels around a tile that the network sees too. Default: as many as matter.
        tolerance (float): By how much the factors of the channel attentions, in [0, 1], may miss those of the whole
            image. Default: 0.01.

    Returns:
        Tensor: (N, C, upscale * H, upscale * W).

    Raises:
        OptionError: A size is out of range.
    """
    overlap = receptive_radius(net) if overlap is None else overlap
    if tile < 1 or overlap < 0:
        raise OptionError(f'tile, overlap: expected at least 1 and 0, got {tile} and {overlap}')
    return torch.cat([_upscale_one(net, one, tile, overlap, tolerance) for one in image.split(1)])


def receptive_radius(net):
    """int: How many LR pixels around its own place an output pixel depends on, the channel attentions aside."""
    genotype = net.genotype
    radii = [build_operation(name).radius for name in genotype.space.operations]
    reach = [0]
    for layer_inputs in genotype.layer_inputs:
        read = zip(radii, layer_inputs, strict=True)
        reach.append(max((radius + reach[i] for radius, inputs in read for i in inputs), default=reach[-1]))
    block = max(reach[feature] for feature in genotype.local_fusion)
    # Three convolutions around the blocks; the upsampler and the last convolution together reach less than 2 pixels.
    return 3 + genotype.space.num_block * block + 2


def _upscale_one(net, image, tile, overlap, tolerance):
    height, width = image.shape[-2:]
    if max(height, width) <= tile:
        return net(image)
    output = image.new_empty(1, image.shape[1], height * net.upscale, width * net.upscale)
    with WholeImageMeans(net) as means:
        means.rows, means.columns = (_sample_core(size) for size in (height, width))
        net(_sample(image))
        means.settle()
        for _ in means.attentions:
            for rows in _spans(height, tile):
                for columns in _spans(width, tile):
                    _upscale_tile(net, image, rows, columns, overlap, output, means)
            if means.settle() <= tolerance:
                break
    return output


def _upscale_tile(net, image, rows, columns, overlap, output, means):
    """Write one tile, of the LR pixels ``rows`` and ``columns`` (slices), into the output."""
    top, left = (max(span.start - overlap, 0) for span in (rows, columns))
    means.rows = slice(rows.start - top, rows.stop - top)
    means.columns = slice(columns.start - left, columns.stop - left)
    upscaled = net(image[..., top:rows.stop + overlap, left:columns.stop + overlap])
    output[..., _scaled(rows, net.upscale), _scaled(columns, net.upscale)] = upscaled[
        ..., _scaled(means.rows, net.upscale), _scaled(means.columns, net.upscale)]


def _spans(length, tile):
    return [slice(start, min(start + tile, length)) for start in range(0, length, tile)]


def _scaled(span, factor):
    return slice(span.start * factor, span.stop * factor)


def _sample(image):
    """Tensor: (n, C, h, w), squares spread evenly over an image (1, C, H, W)."""
    height, width = (min(SAMPLE_SIZE, size) for size in image.shape[-2:])
    per_side = int(NUM_SAMPLE**0.5)
    tops, lefts = (torch.linspace(0, full - part, per_side).long().unique().tolist()
                   for full, part in zip(image.shape[-2:], (height, width), strict=True))
    return torch.cat([image[..., top:top + height, left:left + width] for top in tops for left in lefts])


def _sample_core(size):
    return slice(SAMPLE_MARGIN, -SAMPLE_MARGIN) if size > SAMPLE_SIZE else slice(None)


class WholeImageMeans:
    """Context in which the channel attentions of a network use given means instead of what they see.

    Attributes:
        given (list[Tensor] | None): The mean that each attention uses, (1, C, 1, 1); None: what it sees in the batch.
        rows, columns (slice): The part of the images that counts for the means of the whole image.
    """

    def __init__(self, net):
        self.attentions = [module for module in net.modules() if isinstance(module, ChannelAttention)]
        self.given = None
        self.rows = self.columns = slice(None)
        self._sums = [0.] * len(self.attentions)
        self._counts = [0] * len(self.attentions)

    def __enter__(self):
        self._hooks = [
            hook for index, attention in enumerate(self.attentions) for hook in (
                attention.register_forward_pre_hook(lambda _, args, index=index: self._collect(index, *args)),
                attention.squeeze.register_forward_pre_hook(lambda _, args, index=index: self._replace(index, *args)))
        ]
        return self

    def __exit__(self, *_):
        for hook in self._hooks:
            hook.remove()

    def settle(self):
        """float: By how much the factors change that the attentions apply, now that they are given the new means."""
        means = [total / count for total, count in zip(self._sums, self._counts, strict=True)]
        self._sums, self._counts = [0.] * len(means), [0] * len(means)
        before, self.given = self.given, means
        if before is None:
            return float('inf')
        return max((self._factors(index, mean) - self._factors(index, old)).abs().max().item()
                   for index, (mean, old) in enumerate(zip(means, before, strict=True)))

    def _factors(self, index, mean):
        attention = self.attentions[index]
        return torch.sigmoid(attention.excite(F.relu(attention.squeeze.forward(mean))))

    def _collect(self, index, x, scale=1):
        seen = x[..., self.rows, self.columns]
        self._sums[index] = self._sums[index] + scale * seen.sum((0, 2, 3), keepdim=True, dtype=torch.float32)
        self._counts[index] += seen.shape[0] * seen.shape[2] * seen.shape[3]

    def _replace(self, index, mean):
        if self.given is None:
            return (self._sums[index] / self._counts[index]).to(mean).expand_as(mean)
        return self.given[index].to(mean).expand_as(mean)
