"""A folder that one process at a time writes into."""
import fcntl
import os
import sys
from contextlib import contextmanager

from deconas_plugin.errors import DataError


@contextmanager
def locked_folder(folder):
    """Create `folder` and hold it for this process alone; a second process waits. The lock dies with its holder.

    Raises:
        DataError: the folder cannot be made, or something cannot be written while it is held.
    """
    try:
        os.makedirs(folder, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise DataError(f'{folder}: cannot be used as output folder ({error.strerror})') from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f'{folder}: another process is preparing data here, waiting for it', file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    except OSError as error:
        raise DataError(f'{error.filename or folder}: cannot write ({error.strerror})') from error
    finally:
        os.close(handle)
