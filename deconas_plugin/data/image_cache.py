"""Decoded images side by side in one flat uint8 array, filled once and read by every worker."""
import logging
import time
from concurrent.futures import ThreadPoolExecutor

import torch

from deconas_plugin.data.parallel import available_cores
from deconas_plugin.errors import DataError

_LOG_SECONDS = 20
_DECODED_AHEAD = 64  # images in host memory at a time while a cache fills


def decode_all(images, indices, broken=None):
    """Decode ``images[i]`` for every i of ``indices`` on all cores, in order.

    Args:
        images (Sequence): LmdbImages or FileImages.
        indices (list[int]): Which images.
        broken (dict[int, str] | None): Takes the reason why an image cannot be read. None: raise it.

    Yields:
        tuple[int, ndarray]: index and image, (3, h, w) uint8; broken ones are left out.
    """
    def read(index):
        try:
            return images[index]
        except DataError as error:
            if broken is None:
                raise
            broken[index] = str(error)
            return None

    logger = logging.getLogger('basicsr')
    logged = time.monotonic()
    with ThreadPoolExecutor(available_cores()) as pool:
        for start in range(0, len(indices), _DECODED_AHEAD):
            group = indices[start:start + _DECODED_AHEAD]
            for index, image in zip(group, pool.map(read, group), strict=True):
                if image is not None:
                    yield index, image
            if time.monotonic() - logged > _LOG_SECONDS:
                logged = time.monotonic()
                logger.info(f'Decoded {start + len(group)} of {len(indices)} images of {images.path}.')


class FlatImages:
    """Images that lie in one flat uint8 array, each as (3, h, w) RGB.

    Args:
        sizes (list[tuple[int, int]]): (height, width) of each image.
        starts (list[int]): Where each image starts in the array.

    Attributes:
        broken (dict[int, str]): Images that could not be read, and why.
    """

    def __init__(self, sizes, starts):
        self.sizes, self.starts = sizes, starts
        self.broken = {}
        self._flat = None

    def _open(self):
        """The flat array, as seen from this process."""
        raise NotImplementedError

    def __len__(self):
        return len(self.sizes)

    def place(self, index):
        """Start in the flat array, height and width of an image; DataError where the image is broken."""
        if index in self.broken:
            raise DataError(self.broken[index])
        return self.starts[index], *self.sizes[index]

    def __getitem__(self, index):
        """View of an image, (3, h, w) uint8 RGB, not to be written to; DataError where it is broken."""
        start, height, width = self.place(index)
        if self._flat is None:
            self._flat = self._open()
        return self._flat[start:start + 3 * height * width].reshape(3, height, width)

    def __getstate__(self):
        # A spawned worker opens its own view; pickling an array would copy the whole data set.
        return {**self.__dict__, '_flat': None}


class MemoryImages(FlatImages):
    """Images decoded into memory, on the CPU or on a GPU.

    Forked workers share the pages, spawned ones get them as PyTorch's shared memory.

    Args:
        images (LmdbImages): Where they come from.
        skip_broken (bool): Note images that cannot be read in ``broken`` instead of raising the first.
        device (torch.device | str): Where ``pixels``, the flat tensor, shall lie. Default: 'cpu'.

    Raises:
        DataError: an image is broken, or a GPU's memory cannot take them all.
    """

    def __init__(self, images, skip_broken=False, device='cpu'):
        starts, total = lay_out(images.sizes)
        super().__init__(images.sizes, starts)
        try:
            self.pixels = torch.empty(total, dtype=torch.uint8, device=device)
        except torch.cuda.OutOfMemoryError as error:
            raise DataError(f'{images.path}: the decoded images need {total / 1e9:.1f} GB, more than {device} has '
                            'free; set cache: disk') from error
        for index, image in decode_all(images, range(len(images)), self.broken if skip_broken else None):
            self.pixels[starts[index]:starts[index] + image.size] = torch.from_numpy(image.reshape(-1))

    def _open(self):
        return self.pixels.numpy()


def lay_out(sizes):
    """Start of each image in the flat array, and the array's length in bytes."""
    starts, total = [], 0
    for height, width in sizes:
        starts.append(total)
        total += 3 * height * width
    return starts, total
