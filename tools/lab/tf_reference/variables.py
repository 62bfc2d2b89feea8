"""Reading the reference's variables from a checkpoint or an ``.npz``."""
import re
import zipfile
from pathlib import Path

import numpy as np

from deconas_plugin.errors import WeightsError

# What a checkpoint of a training holds besides the network.
OPTIMIZER_SLOT = re.compile(r'/(Adam|Adam_1|Momentum|RMSProp|RMSProp_1)$')


class Variables:
    """The variables of the network.

    Args:
        source (str | Path): A checkpoint without its ending, such as ``model.ckpt-931000`` (needs tensorflow), or an
            ``.npz`` of arrays keyed by variable name. What is not below ``child/`` is left alone.

    Raises:
        WeightsError: There is no such file, it is damaged, or tensorflow is needed and not installed.
    """

    def __init__(self, source):
        read = _read_npz if str(source).endswith('.npz') else _read_checkpoint
        self._arrays = {name.removeprefix('child/').removesuffix(':0'): array for name, array in read(source).items()
                        if name.startswith('child/') and not OPTIMIZER_SLOT.search(name.removesuffix(':0'))}
        if not self._arrays:
            raise WeightsError(f'{source}: found no variables below child/; expected those of the reference')

    def __contains__(self, name):
        return name in self._arrays

    def __iter__(self):
        return iter(self._arrays)

    def kernel(self, name):
        """ndarray: (height, width, in, out), or (height, width, channels, 1) of a depthwise convolution.

        Raises:
            WeightsError: It is missing or no kernel.
        """
        return self._array(name, 4)

    def bias(self, name):
        """ndarray: (channels,).

        Raises:
            WeightsError: It is missing or no bias.
        """
        return self._array(name, 1)

    def _array(self, name, num_dims):
        if name not in self._arrays:
            raise WeightsError(f'child/{name}: missing among {len(self._arrays)} variables')
        array = self._arrays[name]
        if array.ndim != num_dims or not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
            raise WeightsError(f'child/{name}: expected finite numbers in {num_dims} dimensions, got {array.dtype} of '
                               f'shape {array.shape}')
        return array


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays}
    except (OSError, ValueError, EOFError, LookupError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise WeightsError(f'{path}: not a readable .npz of arrays: {" ".join(str(error).split())}') from error


def _read_checkpoint(path):
    if not Path(f'{path}.index').is_file():
        raise WeightsError(f'{path}: expected an .npz, or a checkpoint without its ending, beside which there is '
                           f'{Path(path).name}.index')
    try:
        from tensorflow.errors import OpError
        from tensorflow.train import load_checkpoint
    except ImportError as error:
        raise WeightsError(f'{path}: a checkpoint needs tensorflow to be read; install it, or save the variables as an '
                           '.npz where it is') from error
    try:
        reader = load_checkpoint(str(path))
        names = [name for name in reader.get_variable_to_shape_map() if name.startswith('child/')]
        return {name: reader.get_tensor(name) for name in names}
    except (OpError, ValueError) as error:
        raise WeightsError(f'{path}: not a readable checkpoint: {" ".join(str(error).split())[:200]}') from error
