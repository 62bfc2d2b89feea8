"""Where a patch is cut and how it is augmented, drawn as BasicSR's PairedImageDataset draws it."""
import random
from typing import NamedTuple


class PatchDraw(NamedTuple):
    """One draw of a training patch; everything random about it follows from the first four numbers.

    So it does not matter which process cuts the patch, nor what that process did before.
    """
    index: int  # image of the dataset
    epoch: int
    position: int  # in the epoch's order, counted over all processes
    seed: int
    gt_size: int | None = None  # side of the patch in GT pixels; None: as the options of the dataset say

    def generator(self):
        """Python random generator of this draw alone."""
        return random.Random(f'{self.seed},{self.epoch},{self.position},{self.index}')


class Window(NamedTuple):
    """A crop (LQ pixels) and its augmentation: flips first, then the transposition; and the order of the channels."""
    top: int
    left: int
    hflip: bool
    vflip: bool
    rot90: bool
    channels: tuple = (0, 1, 2)


def draw_window(rng, height, width, size, use_hflip, use_rot, shuffle_channels=False):
    """Draw a ``size`` x ``size`` window of a ``height`` x ``width`` image.

    ``rng`` is Python's ``random`` or a ``random.Random``. The calls come in BasicSR's order, so that one
    state of ``random`` gives one patch in both.
    """
    top = rng.randint(0, height - size)
    left = rng.randint(0, width - size)
    hflip = use_hflip and rng.random() < 0.5
    vflip = use_rot and rng.random() < 0.5
    rot90 = use_rot and rng.random() < 0.5
    channels = tuple(rng.sample(range(3), 3)) if shuffle_channels else (0, 1, 2)
    return Window(top, left, hflip, vflip, rot90, channels)


def cut_window(image, window, size, scale=1):
    """View of ``image`` (3, h, w) through ``window``, which counts in pixels of an image ``scale`` times smaller.

    ``size`` is the patch's side in pixels of ``image``.
    """
    top, left = window.top * scale, window.left * scale
    patch = image[:, top:top + size, left:left + size]
    if window.hflip:
        patch = patch[:, :, ::-1]
    if window.vflip:
        patch = patch[:, ::-1]
    if window.rot90:
        patch = patch.transpose(0, 2, 1)
    return patch if window.channels == (0, 1, 2) else patch[list(window.channels)]
