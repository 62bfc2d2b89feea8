"""Files that are the old ones or the whole new ones, whatever happens, written by one process at a time."""
import io
import os
import shutil
import sys
from contextlib import contextmanager
from os import path as osp
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from deconas_plugin.errors import DataError, StorageError


def sync_folder(folder):
    """Make renames and new files in `folder` survive a power failure, where the system lets a folder be synced."""
    if os.name == 'nt':  # no folder can be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_file(path, content):
    """Write bytes to `path` so that no reader ever sees a part of them.

    Raises:
        OSError: They could not be written; what was there before still is, and nothing is left beside it.
    """
    with _replacing(path) as file:
        file.write(content)


def copy_file(source, path):
    """Write what an open binary file holds from its present place on, as :func:`write_file` does."""
    with _replacing(path) as file:
        shutil.copyfileobj(source, file, 2**20)


@contextmanager
def _replacing(path):
    path = Path(path)
    temporary = path.with_name(f'.{path.name}.tmp')
    try:
        with open(temporary, 'wb') as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def save_text(text, path):
    """Write a text file as :func:`write_file` does.

    Raises:
        StorageError: It could not be written.
    """
    with explained(path):
        write_file(path, text.encode())


def save_tensors(content, path):
    """``torch.save`` as :func:`write_file` does.

    Raises:
        StorageError: It could not be written.
    """
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with explained(path):
        write_file(path, buffer.getbuffer())


@contextmanager
def explained(path):
    """Turn the OSError of a failed write to ``path`` into a StorageError of one line."""
    try:
        yield
    except OSError as error:
        raise StorageError(f'{path}: cannot be written ({error.strerror}); what was there before is unharmed. Make '
                           'room or choose another place, then continue with --auto_resume') from error


@contextmanager
def one_at_a_time(lock, on_wait):
    """Hold a lock for this process alone; a second process waits. The lock dies with its holder.

    Args:
        lock (str): A file for the lock, in a folder that exists. It stays, empty: removing it would let a waiting and
            a new process each hold a lock of that name.
        on_wait (Callable[[], None]): Called once where another process holds the lock.

    Raises:
        OSError: The file cannot be made.
    """
    lock = FileLock(lock)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        on_wait()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def locked_folder(folder):
    """Create `folder` and hold it for this process alone; a second process waits.

    Raises:
        DataError: the folder cannot be made, or something cannot be written while it is held.
    """
    def tell():
        print(f'{folder}: another process is preparing data here, waiting for it', file=sys.stderr)

    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise DataError(f'{folder}: cannot be used as output folder ({error.strerror})') from error
    try:
        with one_at_a_time(osp.join(folder, '.lock'), tell):
            yield
    except OSError as error:
        raise DataError(f'{error.filename or folder}: cannot write ({error.strerror})') from error
