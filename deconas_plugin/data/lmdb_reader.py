"""LMDBs opened once per process, whatever the number of datasets and workers that read them."""
import os
import weakref
from contextlib import contextmanager

import lmdb

from deconas_plugin.errors import DataError
from deconas_plugin.utils.paths import tool_command

_AGAIN = f'again with {tool_command("prepare-data")}'

# LMDB refuses to open one database twice in a process. The last reader that lets go of it closes it.
_open_readers = weakref.WeakValueDictionary()


def open_lmdb(path):
    """The process's one reader of the database in folder ``path``.

    Raises:
        DataError: there is no database, or it is empty, broken or cut short.
    """
    path = os.path.realpath(path)
    reader = _open_readers.get(path)
    if reader is None:
        reader = _open_readers[path] = LmdbReader(path)
    return reader


class LmdbReader:
    """Read-only database of encoded images; get it from :func:`open_lmdb`.

    A forked worker opens its own environment at the first read, a spawned one at unpickling.
    """

    def __init__(self, path):
        self.path = path
        self._open()

    def _open(self):
        data_file = os.path.join(self.path, 'data.mdb')
        if not os.path.isfile(data_file):
            raise DataError(f'{self.path}: no LMDB here (data.mdb is missing); make it {_AGAIN.removeprefix("again ")}')
        try:
            self._env = lmdb.open(self.path, readonly=True, lock=False, readahead=False)
            used = (self._env.info()['last_pgno'] + 1) * self._env.stat()['psize']
            entries = self._env.stat()['entries']
        except lmdb.Error as error:
            raise DataError(f'{self.path}: the LMDB does not open ({error}); make it {_AGAIN}, '
                            'or, where another dataset class holds it open, use DeCoNASPatchDataset there too'
                            ) from error
        self._pid = os.getpid()
        # LMDB maps the file: reading past its end would kill the process instead of raising.
        found = os.path.getsize(data_file)
        if found < used:
            raise DataError(f'{data_file}: cut short, {found} bytes where {used} are in use; '
                            f'copy it again, or make it {_AGAIN}')
        if entries == 0:
            raise DataError(f'{self.path}: the LMDB is empty; make it {_AGAIN}')

    def get(self, key):
        """The bytes stored under ``key`` (str).

        Raises:
            DataError: the database has no such key or cannot be read there.
        """
        with self._transaction(key) as transaction:
            value = transaction.get(key.encode())
        if value is None:
            raise self._lacks(key)
        return value

    def require(self, keys):
        """Check that there is something under each of the keys (list[str]), without reading it.

        Raises:
            DataError: the database lacks one or cannot be read there.
        """
        for key in keys:
            with self._transaction(key) as transaction, transaction.cursor() as cursor:
                if not cursor.set_key(key.encode()):
                    raise self._lacks(key)

    @contextmanager
    def _transaction(self, key):
        if self._pid != os.getpid():
            self._env.close()
            self._open()
        try:
            with self._env.begin() as transaction:
                yield transaction
        except lmdb.Error as error:
            raise DataError(f"{self.path}: key '{key}' cannot be read ({error}); "
                            f'make the LMDB {_AGAIN}, or set on_error: skip') from error

    def _lacks(self, key):
        return DataError(f"{self.path}: key '{key}' stands in meta_info.txt but not in the database; "
                         f'make the LMDB {_AGAIN}, or set on_error: skip')

    def __reduce__(self):
        return open_lmdb, (self.path, )
