"""Upscaling an image of any size in tiles, with the result of upscaling it whole, and how large tiles may be."""
import math
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch

from deconas_plugin.archs.attention import SPATIAL_RADIUS
from deconas_plugin.archs.operations import build_operation
from deconas_plugin.errors import OptionError
from deconas_plugin.inference.means import WholeImageMeans
from deconas_plugin.inference.tile_net import CELL
from deconas_plugin.machine.device import free_memory, give_back_freed_memory

# The squares that the estimate is made from: a grid of at most this many a side, in LR pixels, of which the outermost
# are not counted, because the network misses what lies beyond them. Many small ones tell more than few large ones.
SQUARES, SQUARE_SIZE, SQUARE_MARGIN = 8, 32, 4
SMALLEST_TILE, LARGEST_TILE = 32, 256
# Features of a tile that are in memory at the same time at most, what a runtime copies and joins included.
FEATURES_OF_TORCH, FEATURES_OF_OTHERS = 45, 55
# What the process takes at most, and what it takes before the first image: PyTorch and the network, and other runtimes
# beside them.
TOTAL_MEMORY, OF_TORCH, OF_OTHERS = 1.45e9, 0.45e9, 0.7e9
# Still smaller tiles would mostly compute what lies around them.
LEAST_WORKING_MEMORY = 150e6
# Of the memory that is free; images, results and other programs want some as well.
SHARE = 0.5


@dataclass(frozen=True)
class View:
    """One way to look at images (..., H, W): some axes flipped, then perhaps transposed.

    Args:
        flip_rows, flip_columns, transposed (bool): Whether.
    """
    flip_rows: bool = False
    flip_columns: bool = False
    transposed: bool = False

    def apply(self, x):
        """Tensor: The view of images."""
        x = x.flip(self._dims)
        return x.mT if self.transposed else x

    def undo(self, x):
        """Tensor: The images of a view."""
        x = x.mT if self.transposed else x
        return x.flip(self._dims)

    def window(self, rows, columns, height, width):
        """tuple[slice, slice]: Where the view of an image of height x width shows its rows and columns (slices)."""
        rows = slice(height - rows.stop, height - rows.start) if self.flip_rows else rows
        columns = slice(width - columns.stop, width - columns.start) if self.flip_columns else columns
        return (columns, rows) if self.transposed else (rows, columns)

    @property
    def _dims(self):
        return [dim for dim, flipped in ((-2, self.flip_rows), (-1, self.flip_columns)) if flipped]


ALL_VIEWS = tuple(View(*choice) for choice in product((False, True), repeat=3))


@torch.no_grad()
def upscale_tiled(net, image, tile, overlap=None, tolerance=0.002, self_ensemble=False, dtype=torch.float32,
                  on_tile=None, take=None):
    """Upscale images in tiles, in memory that depends on the tile only, image and result aside.

    Args:
        net (DeCoNASNet | FusedDeCoNASNet | Backend): The network, in evaluation mode, or what runs one.
        image (Tensor): (N, C, H, W), RGB, [0, 1] or whole numbers up to the largest of uint8 or uint16. It may be on
            another device than the network.
        tile (int): Largest side of a tile in LR pixels, overlap aside. An image of no more pixels than a tile with its
            overlap is upscaled whole.
        overlap (int | None): LR pixels that the network sees around a tile. Default: as many as reach into it.
        tolerance (float): How far the factors of the channel attentions, which lie in [0, 1], may be from those of the
            whole image. With the default, 0.002, results of trained networks stayed within 0.2 of 255 grey levels
            (12 without knowledge of the whole image), mostly in two passes; 0 is exact up to rounding.
        self_ensemble (bool): Average the results for the eight flips and transpositions of the image.
        dtype (torch.dtype): Of the result: float32, or uint8 or uint16, rounded, with 1.0 as their largest value.
        on_tile (Callable[[int, int], None] | None): Called with how many tiles are done, of how many.
        take (Callable[[int, Tensor], None] | None): Gets the result of a single image strip by strip, instead of it
            being held and returned: the number of the first row and (1, C, rows, upscale * W), from top to bottom.
            A further pass begins at row 0 again, and what was handed over before no longer counts.

    Returns:
        Tensor | None: (N, C, upscale * H, upscale * W), on the device and in the memory layout of the image.

    Raises:
        OptionError: A size is out of range, or ``take`` was given with several images.
    """
    overlap = receptive_radius(net) if overlap is None else overlap
    if tile < 1 or overlap < 0:
        raise OptionError(f'tile, overlap: expected at least 1 and at least 0 pixels, got {tile} and {overlap}')
    if take is not None and len(image) != 1:
        raise OptionError(f'take: expected a single image, got {len(image)}')
    views = ALL_VIEWS if self_ensemble else ALL_VIEWS[:1]
    on_tile = on_tile or (lambda done, total: None)
    if take is not None:
        _TiledImage(net, image, partial(_empty, net, image, dtype), take, tile, overlap, views).upscale(
            tolerance, on_tile)
        return None
    output = _empty(net, image, dtype, slice(0, image.shape[2] * net.upscale))
    for one, upscaled in zip(image.split(1), output.split(1), strict=True):
        _TiledImage(net, one, lambda rows, whole=upscaled: whole[..., rows, :], lambda top, strip: None, tile, overlap,
                    views).upscale(tolerance, on_tile)
    return output


def _empty(net, image, dtype, rows):
    """Tensor: Room for some rows (slice) of the upscaled images."""
    layout = torch.channels_last if image.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
    size = (*image.shape[:2], rows.stop - rows.start, image.shape[3] * net.upscale)
    return torch.empty(size, dtype=dtype, device=image.device, memory_format=layout)


def receptive_radius(net):
    """int: How many LR pixels around its own place an output pixel depends on, the channel attentions aside."""
    genotype = net.genotype
    radii = [build_operation(name).radius for name in genotype.space.operations]
    around = SPATIAL_RADIUS if genotype.attention in ('spatial', 'both') else 0
    # Three convolutions around the blocks; the upsampler and the last convolution together reach less than 2 pixels.
    return 3 + sum(_block_radius(block, radii, around) for block in genotype.blocks) + 2


def _block_radius(genotype, radii, around):
    reach = [0]
    for layer_inputs in genotype.layer_inputs:
        read = zip(radii, layer_inputs, strict=True)
        reach.append(max((radius + reach[i] for radius, inputs in read for i in inputs), default=reach[-1]) + around)
    return max(reach[feature] for feature in genotype.local_fusion)


class _TiledImage:
    """One image (1, C, H, W), and its result strip by strip.

    ``room(rows)`` gives a strip (Tensor) to write rows (slice) of the result into, ``take(top, strip)`` gets it then.
    """

    def __init__(self, net, image, room, take, tile, overlap, views):
        self.net = net
        self.image = image
        self.room, self.take = room, take
        is_module = isinstance(net, torch.nn.Module)
        self.device = net.mean.device if is_module else net.device
        self.means = {view: WholeImageMeans(net) if is_module else net.whole_image_means() for view in views}
        height, width = image.shape[-2:]
        if height * width <= (tile + 2 * overlap)**2:
            tile = max(height, width)
        self.rows, self.columns = _windows(height, tile, overlap), _windows(width, tile, overlap)
        self.number = len(self.rows) * len(self.columns)

    def upscale(self, tolerance, on_tile):
        if self.number > 1:
            self._estimate()
        done, most_passes = 0, max(len(means.attentions) for means in self.means.values()) + 1
        for passes in range(1, most_passes + 1):
            for rows, seen_rows in self.rows:
                strip = self.room(self._scaled(rows))
                for columns, seen_columns in self.columns:
                    tile = self._upscaled_tile(rows, seen_rows, columns, seen_columns)
                    strip[..., self._scaled(columns)] = _converted(tile, strip)
                    done += 1
                    on_tile(done, passes * self.number)
                self.take(rows.start * self.net.upscale, strip)
            if self.number == 1 or max([means.settle() for means in self.means.values()]) <= tolerance:
                break

    def _estimate(self):
        """Estimate the means from squares all over the image."""
        size = [min(SQUARE_SIZE, length) for length in self.image.shape[-2:]]
        tops, lefts = (_spread(length, side) for length, side in zip(self.image.shape[-2:], size, strict=True))
        squares = torch.cat([self._to_net(self.image[..., top:top + size[0], left:left + size[1]])
                             for top in tops for left in lefts])
        counted = [slice(SQUARE_MARGIN, side - SQUARE_MARGIN) if side < length else slice(0, side)
                   for side, length in zip(size, self.image.shape[-2:], strict=True)]
        for view, means in self.means.items():
            means.run(view.apply(squares), *view.window(*counted, *size))
            means.settle()
        # In the gaps that other sizes leave, tiles do not fit.
        give_back_freed_memory()

    def _upscaled_tile(self, rows, seen_rows, columns, seen_columns):
        x = self._to_net(self.image[..., seen_rows, seen_columns])
        core = [slice(span.start - seen.start, span.stop - seen.start)
                for span, seen in ((rows, seen_rows), (columns, seen_columns))]
        upscaled = 0
        for view, means in self.means.items():
            seen = view.apply(x)
            one = self.net(seen) if self.number == 1 else means.run(seen, *view.window(*core, *x.shape[-2:]))
            upscaled = upscaled + view.undo(one).float()
        return upscaled[..., self._scaled(core[0]), self._scaled(core[1])] / len(self.means)

    def _to_net(self, x):
        x = x.to(self.device)
        return x if x.dtype.is_floating_point else x.float() / torch.iinfo(x.dtype).max

    def _scaled(self, span):
        return slice(span.start * self.net.upscale, span.stop * self.net.upscale)


def _windows(length, tile, overlap):
    """list[tuple[slice, slice]]: The tiles along a side, and what the network sees of it for each.

    That is of the same size for all, so that memory that one tile frees fits the next, and a whole number of cells.
    """
    number = math.ceil(length / tile)
    size = min(CELL * math.ceil((math.ceil(length / number) + 2 * overlap) / CELL), length)
    spans = [slice(index * length // number, (index + 1) * length // number) for index in range(number)]
    starts = [min(max(span.start - overlap, 0), length - size) for span in spans]
    return [(span, slice(start, start + size)) for span, start in zip(spans, starts, strict=True)]


def _spread(length, side):
    """list[int]: Where the squares of this side start, evenly spread over a length."""
    number = min(SQUARES, math.ceil(length / side))
    return torch.linspace(0, length - side, number).long().tolist()


def _converted(x, like):
    """Tensor: x in [0, 1] on the device and in the format of another one."""
    x = x.to(like.device)
    if like.dtype.is_floating_point:
        return x.to(like.dtype)
    return (x.clamp(0, 1) * torch.iinfo(like.dtype).max).round().to(like.dtype)


def usual_tile(backend, image_bytes=0):
    """int: The side of tiles, in LR pixels without overlap; on a CPU such that all memory stays within bounds.

    Args:
        backend (Backend): What runs them.
        image_bytes (int): Of the image, and of its result where that is held.
    """
    of_runtime = OF_TORCH if backend.name == 'torch' else OF_OTHERS
    working = max(TOTAL_MEMORY - of_runtime - image_bytes, LEAST_WORKING_MEMORY)
    tile = LARGEST_TILE
    while backend.device.type == 'cpu' and tile > SMALLEST_TILE and _needed(backend, tile) > working:
        tile -= CELL
    return tile


def fitting_tile(backend, tile):
    """int: The tile, halved until it fits into the memory that is free, as far as that is known.

    Args:
        backend (Backend): What runs it.
        tile (int): Its side in LR pixels, without overlap.
    """
    free = free_memory(backend.device)
    while free and tile // 2 >= SMALLEST_TILE and _needed(backend, tile) > SHARE * free:
        tile //= 2
    return tile


def is_out_of_memory(error):
    """bool: Whether an error (Exception) of a runtime says that there was no memory."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in text for words in ("can't allocate memory", 'not enough memory', 'failed to allocate', 'bad_alloc',
                                    'bad allocation', 'out of memory'))


def _needed(backend, tile):
    size = 2 if backend.precision in ('bf16', 'fp16') else 4
    features = FEATURES_OF_TORCH if backend.name == 'torch' else FEATURES_OF_OTHERS
    return features * backend.net.num_feat * size * (tile + 2 * receptive_radius(backend))**2
