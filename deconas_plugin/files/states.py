"""Reading and writing weight files: tensors only, never code."""
import io
import pickle
import struct
import warnings
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as safetensors_bytes

from deconas_plugin.errors import StorageError, WeightsError
from deconas_plugin.files.atomic import write_file

# What BasicSR files its networks under, the averaged weights first.
PARAM_KEYS = ('params_ema', 'params')
# What DataParallel and torch.compile put before the names of a network's tensors.
WRAPPERS = ('module.', '_orig_mod.')

# What torch.load raises for a damaged file depends on the byte that is wrong.
DAMAGED = (AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
           ValueError, struct.error)


def load_state(path, keys=PARAM_KEYS):
    """Read a weight file, ``.pth`` or ``.safetensors``, without running any code that it may hold.

    Args:
        path (str | Path): A ``.pth`` with ``params_ema``, ``params`` or a bare state dict, or a ``.safetensors``.
        keys (tuple[str]): Which entry of a ``.pth`` to take: the first of these that is there.

    Returns:
        tuple[dict[str, Tensor], dict]: The state dict on the CPU, and what the file says about it: ``key`` (the entry
        of the ``.pth`` that was read, None for a bare state dict), ``metadata`` (dict[str, str], of the
        ``.safetensors``) and ``renamed`` (set[str]: the prefixes of wrappers that were taken off the names).

    Raises:
        WeightsError: The file is missing, broken, holds anything but tensors, or is of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f'{path}: there is no such file')
    if path.suffix == '.pth':
        return _load_pth(path, keys)
    if path.suffix == '.safetensors':
        return _load_safetensors(path)
    raise WeightsError(f'{path}: expected a .pth or .safetensors file')


def save_state(state, path, metadata):
    """Write a weight file, whole or not at all.

    Args:
        state (dict[str, Tensor]): What to write.
        path (str | Path): A ``.pth`` as BasicSR writes it, with ``params``, or a ``.safetensors``.
        metadata (dict[str, str]): What a ``.safetensors`` says about them; a ``.pth`` has no place for it.

    Raises:
        WeightsError: The file has another ending.
        StorageError: It cannot be written.
    """
    path = Path(path)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    if path.suffix == '.pth':
        buffer = io.BytesIO()
        torch.save({'params': state}, buffer)
        content = buffer.getvalue()
    elif path.suffix == '.safetensors':
        content = safetensors_bytes(state, metadata)
    else:
        raise WeightsError(f'{path}: expected a .pth or .safetensors file')
    write_weights(content, path)


def write_weights(content, path):
    """Write the bytes of a file for a network, whole or not at all.

    Raises:
        StorageError: It cannot be written.
    """
    try:
        write_file(path, content)
    except OSError as error:
        raise StorageError(f'{path}: cannot be written ({error.strerror})') from error


def read_pth(path):
    """What ``torch.save`` wrote: plain values and tensors on the CPU, never code.

    Raises:
        WeightsError: The file is missing, broken, or holds other objects.
    """
    try:
        with warnings.catch_warnings(action='ignore'):
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(f'{path}: expected tensors and plain values alone; it is damaged or holds other objects, '
                           'which are not read because they could run code') from error
    except DAMAGED as error:
        raise WeightsError(f'{path}: expected what torch.save writes; it is truncated or damaged, fetch or '
                           'write it again') from error


def newest_weights(folder, label, total_iter):
    """The weight file of a run that is newest by the iteration that it was saved at, whatever its date is.

    Args:
        folder (ExperimentFolder): Of the run.
        label (str): ``net_g`` or ``net_c``.
        total_iter (int): Of the run's options: when ``latest`` was saved by a version that did not write it down.

    Returns:
        Path | None: ``<label>_<iter>.pth`` or ``<label>_latest.pth``, the latter where both are of one iteration;
        None where there is neither. Weights beyond the newest training state do not count: their run went back.

    Raises:
        WeightsError: ``latest`` is unreadable.
    """
    iterations, states = folder.numbered_weights(label), folder.all_states()
    if states:
        newest = int(states[-1].stem)
        iterations = {path: iteration for path, iteration in iterations.items() if iteration <= newest}
    latest = folder.weights(label)
    if latest.is_file():
        content = read_pth(latest)
        saved = content.get('iter') if isinstance(content, dict) else None
        iterations[latest] = saved if isinstance(saved, int) else total_iter
    return max(iterations, key=lambda path: (iterations[path], path == latest), default=None)


def _load_pth(path, keys):
    content = read_pth(path)
    if isinstance(content, dict) and 'optimizers' in content:
        raise WeightsError(f'{path}: this is a training state; expected weights, such as models/net_g_latest.pth')
    key = next((key for key in keys if isinstance(content, dict) and key in content), None)
    state, renamed = _checked(content if key is None else content[key], path)
    return state, dict(key=key, metadata={}, renamed=renamed)


def _load_safetensors(path):
    try:
        with safe_open(path, framework='pt') as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no dict
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise WeightsError(f'{path}: expected a .safetensors; it is truncated or damaged, fetch or write it again'
                           ) from error
    state, renamed = _checked(state, path)
    return state, dict(key=None, metadata=metadata, renamed=renamed)


def _checked(state, path):
    if not isinstance(state, dict) or not state:
        raise WeightsError(f'{path}: expected tensors by name, found {"none" if state == {} else type(state).__name__}')
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(f'{path}: expected tensors by name, found {type(value).__name__} under {name!r}')
    renamed = set()
    return {_unwrapped(name, renamed): value for name, value in state.items()}, renamed


def _unwrapped(name, renamed):
    """str: A name without the prefixes of wrappers."""
    while prefix := next((prefix for prefix in WRAPPERS if name.startswith(prefix)), None):
        renamed.add(prefix)
        name = name.removeprefix(prefix)
    return name
