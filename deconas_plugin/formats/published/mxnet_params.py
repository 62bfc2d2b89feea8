"""Reading the arrays of an MXNet ``.params`` file, without MXNet.

The format: three 64-bit numbers (magic, 0, how many arrays), the arrays, 64 bits for the number of names, the names,
each after 64 bits for its length. An array: magic, kind of storage (0 is dense), number of dimensions (32 bits each),
the dimensions (64 bits each), kind and number of the device, kind of number (32 bits each), and the numbers. All are
little-endian.
"""
import math
import struct

import numpy as np

from deconas_plugin.errors import WeightsError

LIST_MAGIC = 0x112
ARRAY_MAGIC = 0xF993FAC9
DTYPES = {0: np.dtype('<f4'), 1: np.dtype('<f8'), 2: np.dtype('<f2')}
MOST_DIMENSIONS = 8


def read_params(path):
    """Read all arrays.

    Args:
        path (str | Path): The file.

    Returns:
        dict[str, ndarray]: By name, without ``arg:`` and ``aux:``.

    Raises:
        WeightsError: It is of another kind, truncated or damaged.
    """
    with open(path, 'rb') as file:
        reader = _Reader(file.read(), path)
    magic, _, number = reader.take('<QQQ')
    if magic != LIST_MAGIC:
        raise WeightsError(f'{path}: expected an MXNet .params, which begins with {LIST_MAGIC:#x}, got {magic:#x}')
    arrays = [reader.array() for _ in range(reader.count(number))]
    names = [reader.text(*reader.take('<Q')) for _ in range(reader.count(*reader.take('<Q')))]
    if len(set(names)) != len(arrays):
        raise WeightsError(f'{path}: expected a name for each of {len(arrays)} arrays, found {len(set(names))}')
    return dict(zip((name.partition(':')[2] or name for name in names), arrays, strict=True))


class _Reader:
    """The rest of the file; whatever is taken must be there."""

    def __init__(self, content, path):
        self.content, self.path, self.position = content, path, 0

    def take(self, layout):
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))

    def count(self, number):
        """int: How many items follow, which takes at least a byte for each."""
        if number > len(self.content) - self.position:
            self._refuse(f'{number} items are announced')
        return number

    def text(self, length):
        return self._bytes(length).decode('utf-8', 'replace')

    def array(self):
        magic, storage, num_dims = self.take('<III')
        if magic != ARRAY_MAGIC or storage != 0 or num_dims > MOST_DIMENSIONS:
            raise WeightsError(f'{self.path}: expected a dense array at byte {self.position - 12}, got magic '
                               f'{magic:#x}, storage {storage}, {num_dims} dimensions')
        shape = self.take(f'<{num_dims}Q')
        *_, kind = self.take('<III')
        if kind not in DTYPES:
            raise WeightsError(f'{self.path}: expected floating-point numbers, got kind {kind}')
        numbers = self._bytes(math.prod(shape) * DTYPES[kind].itemsize)
        return np.frombuffer(numbers, DTYPES[kind]).reshape(shape)

    def _bytes(self, number):
        if number > len(self.content) - self.position:
            self._refuse(f'{number} bytes are announced')
        self.position += number
        return self.content[self.position - number:self.position]

    def _refuse(self, found):
        raise WeightsError(f'{self.path}: it is truncated or damaged: at byte {self.position} of {len(self.content)} '
                           f'{found}; fetch it again')
