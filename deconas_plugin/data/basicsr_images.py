"""BasicSR's datasets read images as the package's own do."""
import functools
import importlib

import lmdb
import numpy as np

from deconas_plugin.data.image_io import decode_image
from deconas_plugin.errors import DataError

DATASETS = {'paired_image_dataset': 'PairedImageDataset', 'single_image_dataset': 'SingleImageDataset'}


def adapt_datasets():
    """Let BasicSR's datasets of single images, wherever they are used, decode with :func:`decode_image`.

    OpenCV, their decoder, turns a JPEG upright and a TIFF not, and takes a truncated JPEG for a whole one. What one
    command measures then differs from what another does.
    """
    for module_name, class_name in DATASETS.items():
        module = importlib.import_module(f'basicsr.data.{module_name}')
        dataset = getattr(module, class_name)
        if module.imfrombytes is not read_bytes:
            module.imfrombytes = read_bytes
            dataset.__getitem__ = _naming_the_image(dataset.__getitem__)


def read_bytes(content, flag='color', float32=False):
    """BasicSR's imfrombytes: bytes -> (h, w, 3) BGR, uint8 or float32 in [0, 1].

    Raises:
        DataError: The image is broken, or has more than 8 bits per channel.
    """
    if flag != 'color':
        raise ValueError(f"flag: expected 'color', got {flag!r}")
    image = np.ascontiguousarray(decode_image(content, 'image')[:, :, ::-1])
    return image.astype(np.float32) / 255. if float32 else image


def _naming_the_image(read):
    @functools.wraps(read)
    def read_or_name(self, index):
        try:
            return read(self, index)
        except (DataError, OSError, lmdb.Error) as error:
            path = self.paths[index]
            names = ' or '.join(path.values()) if isinstance(path, dict) else path
            reason = str(error).removeprefix('image: ') if isinstance(error, DataError) else f'cannot be read ({error})'
            raise DataError(f'{names}: {reason}') from error

    return read_or_name


adapt_datasets()
