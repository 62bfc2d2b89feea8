"""Files that are the old ones or the whole new ones, whatever happens while they are written."""
import io
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import torch

from deconas_plugin.errors import StorageError


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
