"""Decoded images side by side in one flat uint8 array, in memory or in a memory-mapped file, read by every worker."""
import contextlib
import hashlib
import logging
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from os import path as osp

import numpy as np
import torch

from deconas_plugin.errors import DataError
from deconas_plugin.files.atomic import one_at_a_time, write_file
from deconas_plugin.machine.parallel import available_cores

_LOG_SECONDS = 20
_DECODED_AHEAD = 64  # images in host memory at a time while a cache fills
_FORMAT = 1  # of the two files; part of the fingerprint
_RECORD_EVERY = 1024  # images


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


class DiskImages(FlatImages):
    """Images of an LMDB, decoded into a memory-mapped file at first use.

    Args:
        images (LmdbImages): Where they come from.
        skip_broken (bool): Note images that cannot be read in ``broken`` instead of raising the first.
        cache_dir (str | None): Folder for caches. None: beside the LMDB, or, where that cannot be written,
            the user's cache folder.

    Raises:
        DataError: an image is broken, or the cache cannot be written.
    """

    def __init__(self, images, skip_broken=False, cache_dir=None):
        starts, total = lay_out(images.all_sizes.values())
        row_of = {key: row for row, key in enumerate(images.all_sizes)}
        rows = np.array([row_of[key] for key in images.keys])
        super().__init__(images.sizes, [starts[row] for row in rows])

        files = [PixelFile(folder, _fingerprint(images), len(starts), total)
                 for folder in _folders(images.path, cache_dir)]
        complete = [file for file in files if file.filled()[rows].all()]
        if complete:
            self.file = complete[0]
        else:
            self.file = _first_writable(files)
            self._fill(images, rows, skip_broken)

    def _fill(self, images, rows, skip_broken):
        with self.file.locked():
            missing = np.flatnonzero(~self.file.filled()[rows]).tolist()
            if not missing:  # another process has filled it meanwhile
                return
            needed = sum(3 * height * width for height, width in (self.sizes[index] for index in missing))
            self.file.make_room(needed)
            logging.getLogger('basicsr').info(f'Decoding {len(missing)} images of {images.path} once, into '
                                              f'{self.file.pixels} ({needed / 1e9:.1f} GB).')
            decoded = decode_all(images, missing, self.broken if skip_broken else None)
            self.file.write((rows[index], self.starts[index], image) for index, image in decoded)

    def _open(self):
        return np.asarray(np.memmap(self.file.pixels, np.uint8, 'r'))


class PixelFile:
    """A file of ``total`` bytes for ``count`` images, and the record of which of them it holds."""

    def __init__(self, folder, name, count, total):
        self.folder = folder
        self.pixels, self.record = osp.join(folder, f'{name}.uint8'), osp.join(folder, f'{name}.filled')
        self.lock = osp.join(folder, 'lock')
        self._count, self._total = count, total

    def filled(self):
        """One bool per image: does the file hold it? All False where a file is missing or cut short."""
        with contextlib.suppress(OSError):
            filled = np.fromfile(self.record, bool)
            if len(filled) == self._count and osp.getsize(self.pixels) == self._total:
                return filled
        return np.zeros(self._count, bool)

    @contextlib.contextmanager
    def locked(self):
        """Let one process at a time fill the file, e.g. one of a node's ranks while the others wait.

        Raises:
            DataError: something cannot be written while it is held.
        """
        try:
            with one_at_a_time(self.lock, self._tell_waiting):
                yield
        except OSError as error:
            raise DataError(f'{self.pixels}: cannot be written ({error.strerror}); '
                            'set cache_dir to another disk, or cache: none') from error

    def _tell_waiting(self):
        logging.getLogger('basicsr').info(f'Waiting for the process that fills {self.pixels}.')

    def make_room(self, needed):
        """Remove caches of the LMDB's earlier states; DataError where ``needed`` bytes still do not fit."""
        for name in os.listdir(self.folder):
            path = osp.join(self.folder, name)
            if name.endswith(('.uint8', '.filled')) and path not in (self.pixels, self.record):
                os.remove(path)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise DataError(f'{self.folder}: the decoded images need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are '
                            'free; set cache_dir to a larger disk, or cache: none')

    def write(self, images):
        """Write ``images`` ((row, start, array) each) and record them, also those before an error."""
        filled = self.filled()
        if not filled.any():  # a record without its pixels must not outlive a kill between here and the first commit
            with contextlib.suppress(FileNotFoundError):
                os.remove(self.record)
        with open(os.open(self.pixels, os.O_RDWR | os.O_CREAT, 0o666), 'r+b') as file:
            file.truncate(self._total)
            try:
                for count, (row, start, image) in enumerate(images, 1):
                    file.seek(start)
                    file.write(image)
                    filled[row] = True
                    if count % _RECORD_EVERY == 0:
                        self._commit(file, filled)
            finally:
                self._commit(file, filled)

    def _commit(self, file, filled):
        file.flush()
        os.fsync(file.fileno())
        write_file(self.record, filled.tobytes())


def _fingerprint(images):
    """Short hash that changes whenever the LMDB does: its size, time of change, keys and image sizes."""
    state = os.stat(osp.join(images.path, 'data.mdb'))
    text = f'{_FORMAT} {state.st_size} {state.st_mtime_ns} {images.all_sizes}'
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _folders(path, cache_dir):
    """Where an LMDB's cache may lie, best first."""
    path = osp.realpath(path)
    # Databases of one name from different folders must not replace each other's caches.
    unique = f'{osp.basename(path)}-{hashlib.blake2b(path.encode(), digest_size=4).hexdigest()}'
    if cache_dir is not None:
        return [osp.join(osp.expanduser(cache_dir), unique)]
    user = os.environ.get('XDG_CACHE_HOME') or osp.join(osp.expanduser('~'), '.cache')
    return [f'{path}.cache', osp.join(user, 'deconas', unique)]


def _first_writable(files):
    for file in files:
        try:
            os.makedirs(file.folder, exist_ok=True)
            with open(file.lock, 'a'):
                return file
        except OSError as error:
            reason = f'{file.folder}: the cache of decoded images cannot be written here ({error.strerror})'
            logging.getLogger('basicsr').warning(reason)
    raise DataError(f'{reason}; set cache_dir to another folder, or cache: none')
