"""Files and folders that one process at a time writes into."""
import os
import sys
from contextlib import contextmanager
from os import path as osp

from filelock import FileLock, Timeout

from deconas_plugin.errors import DataError


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
