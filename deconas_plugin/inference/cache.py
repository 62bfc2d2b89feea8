"""What is worth keeping between runs: converted and compiled networks, and which backend was the fastest."""
import hashlib
import json
import os
import platform
import shutil
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import torch

from deconas_plugin import __version__
from deconas_plugin.machine.device import device_name

CONTENTS = 'contents.json'


def cache_folder():
    """Path: ``$DECONAS_CACHE``, else the folder for caches of this system's user."""
    if 'DECONAS_CACHE' in os.environ:
        return Path(os.environ['DECONAS_CACHE']).expanduser()
    if sys.platform == 'win32':
        user = os.environ.get('LOCALAPPDATA', '~/AppData/Local')
    elif sys.platform == 'darwin':
        user = '~/Library/Caches'
    else:
        user = os.environ.get('XDG_CACHE_HOME') or '~/.cache'
    return Path(user).expanduser() / 'deconas'


def cache_key(net, *more):
    """str: Names a network together with processor, threads, versions of this plugin and torch, and what else counts.

    Args:
        net (nn.Module): Its weights and buffers count.
        more: Strings and numbers.
    """
    digest = hashlib.sha256()
    for name, tensor in net.state_dict().items():
        digest.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    machine = (device_name(torch.device('cpu')), platform.node(), platform.platform())
    digest.update(repr((__version__, torch.__version__, machine, more)).encode())
    return digest.hexdigest()[:32]


def cached_files(folder, make):
    """Files that are made once; again where they are missing, cut short or changed.

    Args:
        folder (Path): Theirs, named by a key.
        make (Callable[[Path], None]): Writes them into a new folder.

    Returns:
        Path | None: The folder; None where nothing can be written.
    """
    if _is_whole(folder):
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix='.making-', dir=folder.parent))
    except OSError:
        return None
    try:
        make(temporary)
        contents = {path.name: _digest(path) for path in temporary.iterdir() if path.is_file()}
        (temporary / CONTENTS).write_text(json.dumps(contents))
        shutil.rmtree(folder, ignore_errors=True)
        # Another process may have been faster: then its files serve as well.
        with suppress(OSError):
            os.replace(temporary, folder)
        return folder if _is_whole(folder) else None
    except OSError:
        return None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def read_json(path):
    """dict: What a file holds; nothing where it is missing, cut short or something else."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_json(path, content):
    """Write a file for :func:`read_json`, where that is possible."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f'.{path.name}.{os.getpid()}')
        temporary.write_text(json.dumps(content, indent=1))
        os.replace(temporary, path)


def _is_whole(folder):
    contents = read_json(folder / CONTENTS)
    try:
        return bool(contents) and all(_digest(folder / name) == digest for name, digest in contents.items())
    except OSError:
        return False


def _digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()
