"""Paired patches for super-resolution, cut from images that are decoded once."""
import logging
import random

import numpy as np
import torch
from basicsr.utils.registry import DATASET_REGISTRY
from torch.utils import data

from deconas_plugin.data.image_cache import DiskImages, MemoryImages
from deconas_plugin.data.pairs import check_pair, list_pairs
from deconas_plugin.data.patch_draw import PatchDraw, cut_window, draw_window
from deconas_plugin.data.patch_options import PatchOptions
from deconas_plugin.errors import DataError, OptionError
from deconas_plugin.files.paths import tool_command


@DATASET_REGISTRY.register()
class DeCoNASPatchDataset(data.Dataset):
    """BasicSR's PairedImageDataset without its cost: the same options, patches and pixels, decoded once.

    ``dataset[int]`` draws crop and augmentation from Python's ``random``, as PairedImageDataset does;
    ``dataset[PatchDraw]`` from the draw alone, so that a run is repeatable with any number of workers.
    Samples are dicts: ``lq``, ``gt`` (float32 tensors (3, h, w), RGB, [0, 1]), ``lq_path``, ``gt_path``.

    Args:
        opt (dict): A dataset section of an option file, with PairedImageDataset's keys:
            dataroot_gt (str), dataroot_lq (str): LMDBs, or folders of images.
            io_backend (dict): ``type: lmdb`` or ``type: disk`` (folders).
            meta_info_file (str), filename_tmpl (str): Which files to take; for folders.
            gt_size (int): Side of a training patch in GT pixels, a multiple of the scale.
            use_hflip (bool): Flip half of the patches. Default: True.
            use_rot (bool): Rotate by 0, 90, 180, 270 degrees. Default: True.
            use_channel_shuffle (bool): Put the colour channels of patches into a random order. Default: False.
            final_gt_size (int): Side of the patches in the last part of the training (``final_share``, which the
                training pipeline reads), not smaller than ``gt_size``. Default: ``gt_size``.
            mean, std (list[float]): Normalise by these, per RGB channel.
            scale (int), phase (str): Set by BasicSR. Phase train cuts patches, val and test give whole images.

            and its own:

            keys (str | list[str]): Images to take, by name, e.g. '0001-0750': see :func:`select_keys`.
            cache (str): Where decoded images are kept. ``disk`` (the default for training from LMDBs): a
                memory-mapped file that all workers, ranks and runs share; it needs height*width*3 bytes per
                image. ``memory``: this process's memory, filled anew in each run. ``cuda``: the GPU; needs a
                GpuPatchLoader. ``device``: ``cuda`` in a training on a GPU, else ``disk``. ``none`` (the default
                for whole images and folders): decode at each access.
            cache_dir (str): Folder for ``cache: disk``. Default: beside the LMDB, or the user's cache folder where
                that cannot be written.
            on_error (str): ``raise`` a DataError at a broken image, or ``skip`` it: the next one stands in,
                and it is logged once and counted (:attr:`skipped`). Default: raise.

    Raises:
        OptionError: an option is unknown or cannot be served.
        DataError: images are missing, broken, too small, or do not belong together.
    """

    def __init__(self, opt):
        super().__init__()
        self.opt = opt
        self.options = options = PatchOptions.from_opt(opt)
        lq, gt, self.lq_paths, self.gt_paths = list_pairs(options)
        if options.backend == 'lmdb':
            for lq_size, gt_size, path in zip(lq.sizes, gt.sizes, self.gt_paths, strict=True):
                check_pair(lq_size, gt_size, path, options)
        self.lq, self.gt = self._cached(lq), self._cached(gt)
        self._skips = torch.zeros(len(gt), dtype=torch.int32).share_memory_()  # all workers count here

    def _cached(self, images):
        if self.options.cache == 'disk':
            return DiskImages(images, self.options.skip_broken, self.options.cache_dir)
        if self.options.cache == 'memory':
            return MemoryImages(images, self.options.skip_broken)
        return images

    @property
    def accepts_draws(self):
        """Can a sampler ask for ``dataset[PatchDraw]``?"""
        return self.options.phase == 'train'

    @property
    def skipped(self):
        """dict[str, int]: how often each broken image was drawn and replaced (``on_error: skip``)."""
        return {self.gt_paths[index]: int(self._skips[index]) for index in self._skips.nonzero().flatten()}

    def __len__(self):
        return len(self.gt_paths)

    def __getitem__(self, item):
        return self.__getitems__([item])[0]

    def __getitems__(self, items):
        """Samples of a whole batch, which DataLoader asks for in one call; converted to float32 at once."""
        if self.options.cache == 'cuda':
            raise OptionError('datasets.train.cache: cuda needs the GpuPatchLoader of searches and '
                              'trainings; set cache: disk for other loaders')
        if self.options.phase != 'train':
            return [self._whole_images(index) for index in items]
        size, lq_size = self.patch_sizes(items[0])  # of the whole batch
        gt = np.empty((len(items), 3, size, size), np.uint8)
        lq = np.empty((len(items), 3, lq_size, lq_size), np.uint8)
        indices = [self._cut(item, lq[row], gt[row]) for row, item in enumerate(items)]
        return self._samples(indices, self.to_float(torch.from_numpy(lq)), self.to_float(torch.from_numpy(gt)))

    def _cut(self, item, lq_patch, gt_patch):
        """Cut the patches that ``item`` asks for; return the index of the image they come from."""
        options = self.options
        index, (lq, gt) = self.first_readable(item, self._read_pair)
        window = self.draw_window(item, *lq.shape[1:])
        lq_patch[:] = cut_window(lq, window, lq_patch.shape[1])
        gt_patch[:] = cut_window(gt, window, gt_patch.shape[1], options.scale)
        return index

    def _whole_images(self, index):
        index, (lq, gt) = self.first_readable(index, self._read_pair)
        scale = self.options.scale
        gt = gt[:, :lq.shape[1] * scale, :lq.shape[2] * scale]
        lq, gt = (self.to_float(torch.from_numpy(np.array(image)[None])) for image in (lq, gt))
        return self._samples([index], lq, gt)[0]

    def _samples(self, indices, lq, gt):
        return [{'lq': lq[row], 'gt': gt[row], 'lq_path': self.lq_paths[index], 'gt_path': self.gt_paths[index]}
                for row, index in enumerate(indices)]

    def _read_pair(self, index):
        lq, gt = self.lq[index], self.gt[index]
        check_pair(lq.shape[1:], gt.shape[1:], self.gt_paths[index], self.options)
        return lq, gt

    def draw_window(self, item, height, width):
        """The window that ``item`` (int or PatchDraw) cuts from an LQ image of this size."""
        rng = item.generator() if isinstance(item, PatchDraw) else random
        options, (_, size) = self.options, self.patch_sizes(item)
        return draw_window(rng, height, width, size, options.use_hflip, options.use_rot, options.use_channel_shuffle)

    def patch_sizes(self, item):
        """tuple[int, int]: Sides of the GT and of the LQ patch that ``item`` (int or PatchDraw) asks for."""
        size = getattr(item, 'gt_size', None) or self.options.gt_size
        return size, size // self.options.scale

    def first_readable(self, item, read):
        """``read(index)`` for the image that ``item`` asks for, or, where it is broken, for the next whole one.

        Returns:
            tuple: index of the image that was read, and what ``read`` returned.

        Raises:
            DataError: the image is broken and ``on_error`` is raise, or all images are broken.
        """
        wanted = item.index if isinstance(item, PatchDraw) else item
        if not -len(self) <= wanted < len(self):
            raise IndexError(f'image {wanted} of {len(self)}')
        for step in range(len(self)):
            index = (wanted + step) % len(self)
            try:
                return index, read(index)
            except DataError as error:
                if not self.options.skip_broken:
                    raise
                if self._skips[index] == 0:
                    logging.getLogger('basicsr').warning(f'Skipped: {error}')
                self._skips[index] += 1
        raise DataError(f'{self.options.dataroot_gt}: none of the {len(self)} images can be read; '
                        f'make the data again with {tool_command("prepare-data")}')

    def to_float(self, patches):
        """uint8 tensor (n, 3, h, w) -> float32 in [0, 1], normalised where ``mean`` and ``std`` are given."""
        # A divisor on the same device: PyTorch multiplies CUDA tensors by the inverse of a Python number,
        # which rounds otherwise than BasicSR's division.
        patches = patches.float().div_(torch.tensor(255., device=patches.device))
        if self.options.mean is not None:
            mean, std = (torch.tensor(value, device=patches.device).view(3, 1, 1)
                         for value in (self.options.mean, self.options.std))
            patches.sub_(mean).div_(std)
        return patches
