"""Images as they are stored, decoded at each access: in an LMDB of BasicSR's layout, or as files in a folder.

Images everywhere in this package are uint8 arrays of shape (3, h, w), RGB: planes make a crop's rows contiguous.
"""
import os
import re

import numpy as np

from deconas_plugin.data.image_io import decode_image
from deconas_plugin.data.lmdb import AGAIN, open_lmdb
from deconas_plugin.errors import DataError

_META_LINE = re.compile(r'(?P<key>.+)\.\w+ \((?P<height>\d+), ?(?P<width>\d+), ?\d+\)(?: \d+)?')
_REPAIR = f'make the data {AGAIN}, or set on_error: skip'


def decode_planes(encoded, where):
    """Decode a PNG, JPEG, ... to a (3, h, w) uint8 RGB array.

    Raises:
        DataError: ``encoded`` (bytes, read from ``where``) is no whole image of 8 bits per channel.
    """
    try:
        image = decode_image(encoded, where)
    except DataError as error:
        raise DataError(f'{error}; {_REPAIR}') from error
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def read_meta_info(path):
    """Keys and sizes of an LMDB's images, from the meta_info.txt that BasicSR writes into it.

    Returns:
        dict[str, tuple[int, int]]: key -> (height, width), sorted by key.

    Raises:
        DataError: the file is missing, empty or malformed.
    """
    meta_file = os.path.join(path, 'meta_info.txt')
    try:
        with open(meta_file, encoding='utf-8-sig') as lines:
            rows = [(number, line.strip()) for number, line in enumerate(lines, 1)]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f'{meta_file}: not readable ({error}); make the LMDB {AGAIN}') from error
    sizes = {}
    for number, row in rows:
        match = _META_LINE.fullmatch(row)
        if match is None:
            raise DataError(f"{meta_file}, line {number}: expected '0001_s001.png (480,480,3) 1', got '{row[:60]}'; "
                            f'make the LMDB {AGAIN}')
        sizes[match['key']] = int(match['height']), int(match['width'])
    if not sizes:
        raise DataError(f'{meta_file}: names no images; make the LMDB {AGAIN}')
    return dict(sorted(sizes.items()))


class LmdbImages:
    """Images of an LMDB.

    Args:
        path (str): Folder of the LMDB.
        sizes (dict[str, tuple[int, int]]): What :func:`read_meta_info` says of all its images.
        keys (list[str]): The images to take, in this order.
    """

    def __init__(self, path, sizes, keys):
        self.path, self.all_sizes, self.keys = path, sizes, keys
        self.sizes = [sizes[key] for key in keys]
        self._reader = open_lmdb(path)

    def __len__(self):
        return len(self.keys)

    def require_all(self):
        """Raise DataError unless the database has every image; they are not read."""
        self._reader.require(self.keys)

    def __getitem__(self, index):
        """Image number ``index``; DataError where it is missing, broken or not of the recorded size."""
        key, size = self.keys[index], self.sizes[index]
        where = f"{self.path}: key '{key}'"
        image = decode_planes(self._reader.get(key), where)
        if image.shape[1:] != size:
            raise DataError(f'{where}: {image.shape[1]}x{image.shape[2]} pixels (height x width) '
                            f'where meta_info.txt says {size[0]}x{size[1]}; {_REPAIR}')
        return image


class FileImages:
    """Images in files, in the order of ``paths``; their sizes are known only once they are decoded."""

    def __init__(self, paths):
        self.paths = paths

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        """Image number ``index``; DataError where it is missing or broken."""
        path = self.paths[index]
        try:
            with open(path, 'rb') as file:
                encoded = file.read()
        except OSError as error:
            raise DataError(f'{path}: not readable ({error.strerror}); {_REPAIR}') from error
        return decode_planes(encoded, path)
