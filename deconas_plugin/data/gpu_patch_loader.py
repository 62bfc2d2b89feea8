"""Batches cut and augmented on the GPU, from a data set that lies in its memory."""
import torch
from torch.utils.data import BatchSampler

from deconas_plugin.data.image_cache import MemoryImages


class GpuPatchLoader:
    """Stands in for a DataLoader where the dataset's option is ``cache: cuda``.

    The same draws give the same batches as through a DataLoader, bit for bit. Decoding happens once, at
    construction. Each process keeps a copy of the data set: height*width*3 bytes per image.

    Args:
        dataset (DeCoNASPatchDataset): Its images and options.
        batch_size (int): Patches per batch; a last, smaller batch of an epoch is left out, as in BasicSR.
        sampler (Iterable): Yields PatchDraw or int.
        device (torch.device | str): Where the images and batches shall lie.

    Raises:
        DataError: an image is broken, or the images do not fit into the device's memory.
    """

    def __init__(self, dataset, batch_size, sampler, device):
        self.dataset = dataset
        self.device = torch.device(device)
        self._batches = BatchSampler(sampler, batch_size, drop_last=True)
        self._lq = MemoryImages(dataset.lq, dataset.options.skip_broken, self.device)
        self._gt = MemoryImages(dataset.gt, dataset.options.skip_broken, self.device)

    def __len__(self):
        return len(self._batches)

    def __iter__(self):
        for items in self._batches:
            yield self._batch(items)

    def _batch(self, items):
        gt_size, lq_size = self.dataset.patch_sizes(items[0])
        indices, lq_steps, gt_steps = zip(*(self._pick(item) for item in items), strict=True)
        return {
            'lq': self._gather(self._lq.pixels, lq_steps, lq_size),
            'gt': self._gather(self._gt.pixels, gt_steps, gt_size),
            'lq_path': [self.dataset.lq_paths[index] for index in indices],
            'gt_path': [self.dataset.gt_paths[index] for index in indices],
        }

    def _pick(self, item):
        """Index of the image that ``item`` asks for, and the steps to its LQ and GT patch."""
        gt_size, lq_size = self.dataset.patch_sizes(item)
        index, (lq, gt) = self.dataset.first_readable(item, self._places)
        window = self.dataset.draw_window(item, *lq[1:])
        return index, _steps(*lq, window, lq_size), _steps(*gt, window, gt_size, gt_size // lq_size)

    def _places(self, index):
        return self._lq.place(index), self._gt.place(index)

    def _gather(self, pixels, steps, size):
        """Patches (n, 3, size, size) float32 out of the flat pixels."""
        steps = torch.tensor(steps)
        if self.device.type == 'cuda':
            steps = steps.pin_memory()  # a copy from pageable memory would wait for the GPU
        steps = steps.to(self.device, non_blocking=True)
        planes = steps[:, :3].view(-1, 3, 1, 1)
        row, column = steps[:, 3:].view(-1, 2, 1, 1, 1).unbind(1)
        side = torch.arange(size, device=self.device)
        return self.dataset.to_float(pixels[planes + row * side.view(-1, 1) + column * side])


def _steps(start, height, width, window, size, scale=1):
    """Place of a patch's first pixel of each channel in the flat pixels; the steps to the next row and column."""
    first = start + window.top * scale * width + window.left * scale
    row, column = width, 1
    if window.hflip:
        first, column = first + (size - 1) * column, -column
    if window.vflip:
        first, row = first + (size - 1) * row, -row
    if window.rot90:
        row, column = column, row
    return *(first + height * width * channel for channel in window.channels), row, column
