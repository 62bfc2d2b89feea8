"""Weights in ``.mat`` files of MATLAB: SRCNN, VDSR, LapSRN."""
import re
import struct
import zlib

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from deconas_plugin.errors import WeightsError

# What SciPy raises for a damaged file depends on the byte that is wrong.
DAMAGED = (ArithmeticError, LookupError, MatReadError, MemoryError, NotImplementedError, OSError, TypeError, ValueError,
           struct.error, zlib.error)
HWIO_TO_OIHW = (3, 2, 0, 1)


def read_srcnn(path, scale):
    """dict[str, ndarray]: SRCNN. Every kernel is a column, read down the columns of the image.

    Args:
        path (Path): ``weights_conv1`` (81, 64), ``weights_conv2`` (64, 25, 32), ``weights_conv3`` (32, 25) and
            ``biases_conv1`` to ``biases_conv3``.
        scale (int): Unused, the file does not say it.

    Raises:
        WeightsError: It is no such file.
    """
    content = _load(path)
    # To (out, in, height * width).
    kernels = {1: _numbers(content, 'weights_conv1', 2, path).T[:, None],
               2: _numbers(content, 'weights_conv2', 3, path).transpose(2, 0, 1),
               3: _numbers(content, 'weights_conv3', 2, path)[None]}
    state = {}
    for number, kernel in kernels.items():
        side = int(kernel.shape[2]**0.5)
        if side**2 != kernel.shape[2]:
            raise WeightsError(f'{path}: weights_conv{number}: expected square kernels, got {kernel.shape[2]} weights')
        state[f'conv{number}.weight'] = kernel.reshape(*kernel.shape[:2], side, side).swapaxes(2, 3)
        state[f'conv{number}.bias'] = _numbers(content, f'biases_conv{number}', 2, path).ravel()
    return state


def read_vdsr(path, scale):
    """dict[str, ndarray]: VDSR.

    Args:
        path (Path): ``model`` with the cells ``weight``, (3, 3, in, out) each, and ``bias``.
        scale (int): Unused, the weights are for all.

    Raises:
        WeightsError: It is no such file.
    """
    content = _load(path)
    weights, biases = (_cells(content, 'model', name, path) for name in ('weight', 'bias'))
    state = {}
    for name, arrays in (('weight', weights), ('bias', biases)):
        for index, array in enumerate(arrays):
            key = f'model.{name}{{{index + 1}}}'
            state[f'convs.{index}.{name}'] = _kernel(array, key, path) if name == 'weight' else _bias(array, key, path)
    return state


LAPSRN_LAYERS = {r'input_conv': 'conv_first', r'level(\d+)_conv(\d+)': 'levels.{}.convs.{}',
                 r'level(\d+)_upconv': 'levels.{}.up_features', r'level(\d+)_residual_conv': 'levels.{}.details',
                 r'level(\d+)_img_up': 'levels.{}.up_image'}


def read_lapsrn(path, scale):
    """dict[str, ndarray]: LapSRN.

    Args:
        path (Path): A dagnn of MatConvNet: ``net`` with ``params``, each of a ``name`` and a ``value``; kernels are
            (3, 3, in, out), those of transposed convolutions (3, 3, out, in).
        scale (int): Unused, the names of the file say it.

    Raises:
        WeightsError: It is no such file.
    """
    state = {}
    for entry in _cells(_load(path), 'net', 'params', path):
        try:
            name, value = str(entry['name'].item()), entry['value']
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise WeightsError(f'{path}: net.params: expected entries of a name and a value') from error
        layer, kind = name[:-2], name[-2:]
        found = next(((match, ours) for pattern, ours in LAPSRN_LAYERS.items()
                      if (match := re.fullmatch(pattern, layer))), None)
        if found is None or kind not in ('_f', '_b'):
            raise WeightsError(f'{path}: net.params: expected those of LapSRN such as level1_conv1_f, got {name}')
        match, ours = found
        ours = ours.format(*(int(number) - 1 for number in match.groups()))
        if kind == '_f':
            state[f'{ours}.weight'] = _kernel(value, name, path)
        else:
            state[f'{ours}.bias'] = _bias(value, name, path)
    return state


def _load(path):
    try:
        return loadmat(path)
    except DAMAGED as error:
        raise WeightsError(f'{path}: expected a .mat of MATLAB before 7.3; it is of another kind, truncated or damaged '
                           f'({" ".join(str(error).split())[:100]})') from error


def _cells(content, variable, field, path):
    """ndarray: The cells or the structure array that a field of a structure holds, one after the other."""
    try:
        return content[variable][0, 0][field].ravel()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f'{path}: expected {variable}.{field}, found {_variables(content)}') from error


def _numbers(content, name, num_dims, path):
    if name not in content:
        raise WeightsError(f'{path}: expected {name}, found {_variables(content)}')
    return _checked(content[name], name, num_dims, path)


def _kernel(array, name, path):
    """ndarray: (out, in, height, width). MATLAB drops dimensions of 1 at the end."""
    array = _checked(array, name, None, path)
    if array.ndim > 4:
        raise WeightsError(f'{path}: {name}: expected at most 4 dimensions, got {array.shape}')
    return array.reshape(array.shape + (1, ) * (4 - array.ndim)).transpose(HWIO_TO_OIHW)


def _bias(array, name, path):
    return _checked(array, name, 2, path).ravel()


def _checked(array, name, num_dims, path):
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating) or \
            num_dims not in (None, array.ndim):
        found = f'{array.dtype} of shape {array.shape}' if isinstance(array, np.ndarray) else type(array).__name__
        raise WeightsError(f'{path}: {name}: expected numbers{f" in {num_dims} dimensions" if num_dims else ""}, '
                           f'got {found}')
    return array


def _variables(content):
    return ', '.join(sorted(name for name in content if not name.startswith('__'))) or 'nothing'
