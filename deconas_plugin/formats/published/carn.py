"""Weights of CARN: the authors' PyTorch file, or an export for MXNet."""
import math
import re
import struct

import numpy as np

from deconas_plugin.archs.compared import CARN
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.states import load_state

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


# Names in the authors' file: blocks b1 to b3 of residual blocks b1 to b3 and fusions c1 to c3, and fusions around them.
LAYERS = {r'entry': 'conv_first', r'exit': 'conv_last', r'c(\d)\.body\.0': 'body.fusions.{0}',
          r'b(\d)\.c(\d)\.body\.0': 'body.units.{0}.fusions.{1}',
          r'b(\d)\.b(\d)\.body\.0': 'body.units.{0}.units.{1}.conv1',
          r'b(\d)\.b(\d)\.body\.2': 'body.units.{0}.units.{1}.conv2'}


def read_carn(path, scale):
    """Read CARN.

    Args:
        path (Path): ``.pth`` of the authors, for several scales or one, or ``.params`` of MXNet for one scale, whose
            tensors are numbered in the order of the layers.
        scale (int): Of which scale.

    Returns:
        dict[str, ndarray]: By the names of our arch.

    Raises:
        WeightsError: It is no such file.
    """
    return _read_mxnet(path, scale) if path.suffix == '.params' else _read_pytorch(path, scale)


def _read_mxnet(path, scale):
    numbered = {}
    for name, array in read_params(path).items():
        number = re.search(r'\d+$', name)
        if number is None:
            raise WeightsError(f'{path}: expected numbered names such as learned_4, got {name}')
        numbered[int(number[0])] = array
    arrays = [numbered[number] for number in sorted(numbered)]
    # Subtracting and adding the mean of the colours are convolutions 3 -> 3 there.
    shifts = [index for index, array in enumerate(arrays) if array.shape == (3, 3, 1, 1)]
    arrays = [array for index, array in enumerate(arrays) if index not in shifts and index - 1 not in shifts]
    names = list(CARN(scale).state_dict())
    if len(arrays) != len(names):
        raise WeightsError(f'{path}: expected the {len(names)} tensors of CARN x{scale}, got {len(arrays)}')
    return dict(zip(names, arrays, strict=True))


def _read_pytorch(path, scale):
    tensors, _ = load_state(path)
    tails = sorted({match[1] for name in tensors if (match := re.match(r'upsample\.up(\d?)\.', name))})
    tail = next((tail for tail in (str(scale), '') if tail in tails), None)
    if tail is None:
        found = ', '.join(f'x{tail}' for tail in tails) or f'{min(tensors)} and other tensors'
        raise WeightsError(f'{path}: expected weights of CARN for x{scale}, found {found}')
    places = {name.rpartition('.')[0] for name in tensors if name.startswith(f'upsample.up{tail}.')}
    stages = {place: index for index, place in enumerate(sorted(places))}
    state = {}
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition('.')
        if re.match(r'(sub|add)_mean\.', layer) or layer.startswith('upsample.') and layer not in stages:
            continue
        state[f'{_rename(layer, stages, path)}.{kind}'] = tensor.numpy()
    return state


def _rename(layer, stages, path):
    if layer in stages:
        return f'upsample.{stages[layer]}'
    for pattern, ours in LAYERS.items():
        match = re.fullmatch(pattern, layer)
        if match:
            return ours.format(*(int(number) - 1 for number in match.groups()))
    raise WeightsError(f'{path}: expected layers of CARN such as b1.b1.body.0, got {layer}')
