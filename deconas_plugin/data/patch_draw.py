"""Which patches a run sees: BasicSR's sampler with a seed and a start, and where each patch lies and is turned."""
import random
from typing import NamedTuple

import torch
from basicsr.data.data_sampler import EnlargedSampler

_SEED_STEP = 1_000_003  # PyTorch's CPU generator takes 32 bits of a seed: no room for seed and epoch side by side


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


class ResumableSampler(EnlargedSampler):
    """EnlargedSampler whose order depends on a seed and that can start in the middle of an epoch.

    Datasets with ``accepts_draws`` get a PatchDraw per sample, others the index. Seed 0 gives EnlargedSampler's order.

    Args:
        dataset (Dataset): Dataset to sample from.
        num_replicas (int): Number of processes.
        rank (int): Number of this process.
        ratio (int): How often an epoch runs through the dataset. Default: 1.
        seed (int): Seed of the order and of the draws, at least 0 and the same in all processes. Default: 0.
    """

    def __init__(self, dataset, num_replicas, rank, ratio=1, seed=0):
        super().__init__(dataset, num_replicas, rank, ratio)
        self.seed = seed
        self._start = (0, 0)  # epoch, samples of it that are done
        self._enlarged = (None, 0)  # GT size, and after how many samples of the epoch it holds

    def set_position(self, epoch, samples_done):
        """Start ``epoch`` after ``samples_done`` samples of this process: batches done times batch size.

        It holds for every pass through that epoch; :meth:`set_epoch` to another epoch starts at its beginning.
        """
        self._start = (epoch, samples_done)
        self.set_epoch(epoch)

    def enlarge_patches(self, gt_size, after):
        """Ask for patches of ``gt_size`` GT pixels, after so many samples of the epoch in this process."""
        self._enlarged = (gt_size, after)

    def __iter__(self):
        # EnlargedSampler's generator is seeded with the epoch alone; seeds lie further apart than epochs go.
        generator = torch.Generator().manual_seed(self.seed * _SEED_STEP + self.epoch)
        order = torch.randperm(self.total_size, generator=generator)
        start_epoch, done = self._start
        positions = range(self.rank, self.total_size, self.num_replicas)[done if self.epoch == start_epoch else 0:]
        indices = (order[positions.start::self.num_replicas] % len(self.dataset)).tolist()
        if not getattr(self.dataset, 'accepts_draws', False):
            return iter(indices)
        gt_size, after = self._enlarged
        numbers = range(len(self) - len(positions), len(self))
        return (PatchDraw(index, self.epoch, position, self.seed, gt_size if number >= after else None)
                for number, index, position in zip(numbers, indices, positions, strict=True))
