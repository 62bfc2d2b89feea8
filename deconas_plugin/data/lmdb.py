"""LMDBs in BasicSR's layout: opened once per process, and written to be either whole or visibly unfinished."""
import json
import os
import shutil
import weakref
from contextlib import contextmanager
from pathlib import Path

import cv2
import lmdb
import numpy as np

from deconas_plugin.data.image_io import PNG_LEVEL
from deconas_plugin.errors import DataError
from deconas_plugin.files.atomic import sync_folder, write_file
from deconas_plugin.files.paths import tool_command

# Ends what messages ask for: to make the data.
AGAIN = f'again with {tool_command("prepare-data")}'
RECORD = 'prepared.json'  # in the folder: what the database was made of
PAGE = 4096  # bytes, of a database that is written

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
            raise DataError(f'{self.path}: no LMDB here (data.mdb is missing); make it {AGAIN.removeprefix("again ")}')
        try:
            self._env = lmdb.open(self.path, readonly=True, lock=False, readahead=False)
            used = (self._env.info()['last_pgno'] + 1) * self._env.stat()['psize']
            entries = self._env.stat()['entries']
        except lmdb.Error as error:
            raise DataError(f'{self.path}: the LMDB does not open ({error}); make it {AGAIN}, '
                            'or, where another dataset class holds it open, use DeCoNASPatchDataset there too'
                            ) from error
        self._pid = os.getpid()
        # LMDB maps the file: reading past its end would kill the process instead of raising.
        found = os.path.getsize(data_file)
        if found < used:
            raise DataError(f'{data_file}: cut short, {found} bytes where {used} are in use; '
                            f'copy it again, or make it {AGAIN}')
        if entries == 0:
            raise DataError(f'{self.path}: the LMDB is empty; make it {AGAIN}')

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
                            f'make the LMDB {AGAIN}, or set on_error: skip') from error

    def _lacks(self, key):
        return DataError(f"{self.path}: key '{key}' stands in meta_info.txt but not in the database; "
                         f'make the LMDB {AGAIN}, or set on_error: skip')

    def __reduce__(self):
        return open_lmdb, (self.path, )


class LmdbWriter:
    """Collects entries in `<path>.partial` and renames it to `path` when it is whole and checked.

    Every `add` is one durable transaction, so an interrupted run goes on where it stopped. The database is opened
    anew for each, so that the pages written depend only on what the file holds, and an interrupted and resumed run
    ends with the same file, byte for byte, as an uninterrupted one.

    Args:
        path (Path): The LMDB folder, ending in `.lmdb`.
        recipe (dict): What determines the content (JSON values). Kept in the folder, so that the next run knows
            whether what it finds is what it would make.
        overwrite (bool): Replace a finished LMDB made by another recipe.

    Raises:
        DataError: `path` holds something made by another recipe or another program.
    """

    def __init__(self, path, recipe, overwrite=False):
        self.path = Path(path)
        self.partial = self.path.with_name(f'{self.path.name}.partial')
        self.recipe = recipe
        self.skipped = {}
        self.whole = self._holds_recipe(overwrite)
        if not self.whole and self._record(self.partial).get('recipe') != recipe:
            shutil.rmtree(self.partial, ignore_errors=True)
            self.partial.mkdir()
            self._write_record()

    @property
    def folder(self):
        return self.path if self.whole else self.partial

    def keys(self):
        """All keys in the database, in its order."""
        if not (self.folder / 'data.mdb').exists():
            return []
        with _open(self.folder, readonly=True) as env, env.begin() as txn:
            return [key.decode('ascii') for key in txn.cursor().iternext(keys=True, values=False)]

    def add(self, entries):
        """Store (key, PNG bytes) pairs, all or none of them."""
        needed = sum(len(png) + 2 * PAGE for _, png in entries)
        try:
            with _open(self.partial) as env:
                # The size is written into the file. So it must follow from what is stored, not from the size of the
                # file, which an interrupted transaction may have left larger.
                used = (env.info()['last_pgno'] + 1) * PAGE
                env.set_mapsize(used + needed + 256 * PAGE)
                with env.begin(write=True) as txn:
                    for key, png in entries:
                        txn.put(key.encode('ascii'), png)
        except lmdb.Error as error:
            raise DataError(f'{self.partial}: cannot write ({error}); what is finished is kept: '
                            'solve this and run the same command again') from error

    def finish(self, shapes, skipped):
        """Add meta_info.txt and give the folder its final name.

        Args:
            shapes (list): (key, height, width) of every entry, as found by `check_entries`.
            skipped (dict): image name -> why it is missing.
        """
        lines = [f'{key}.png ({height},{width},3) {PNG_LEVEL}\n' for key, height, width in shapes]
        write_file(self.partial / 'meta_info.txt', ''.join(lines).encode('ascii'))
        self.skipped = skipped
        self._write_record()
        replaced = self.path.with_name(f'{self.path.name}.replaced')
        if self.path.exists():
            os.rename(self.path, replaced)
        os.rename(self.partial, self.path)
        sync_folder(self.path.parent)
        shutil.rmtree(replaced, ignore_errors=True)
        self.whole = True

    def _holds_recipe(self, overwrite):
        if not self.path.exists():
            return False
        record = self._record(self.path)
        found = record.get('recipe')
        if found == self.recipe:
            self.skipped = record['skipped']
            return True
        if overwrite:
            return False
        if found is None:
            raise DataError(f'{self.path}: exists and was not made by this tool; move it away or choose another folder')
        differing = ', '.join(f'{key} {found.get(key)}, asked {value}' for key, value in self.recipe.items()
                              if found.get(key) != value)
        raise DataError(f'{self.path}: exists and was made otherwise ({differing}); '
                        'overwrite it (--overwrite) or choose another folder')

    def _write_record(self):
        text = json.dumps({'recipe': self.recipe, 'skipped': self.skipped}, indent=2, sort_keys=True)
        write_file(self.partial / RECORD, f'{text}\n'.encode())

    @staticmethod
    def _record(folder):
        try:
            return json.loads((folder / RECORD).read_text())
        except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
            return {}


def check_entries(job):
    """Decode some entries of a database.

    Args:
        job (tuple): the LMDB folder and a list of keys.

    Returns:
        list: (key, height, width) of each.

    Raises:
        DataError: an entry is missing or is no image.
    """
    folder, keys = job
    shapes = []
    with _open(folder, readonly=True) as env, env.begin() as txn:
        for key in keys:
            png = txn.get(key.encode('ascii'))
            img = None if png is None else cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
            if img is None or img.ndim != 3:
                raise DataError(f'{folder}: entry {key} is damaged; delete this folder and run the same command again')
            shapes.append((key, *img.shape[:2]))
    return shapes


def _open(folder, **options):
    # Without LMDB's own lock file: the folder around is locked, and lock.mdb would differ from run to run.
    return lmdb.open(str(folder), lock=False, readahead=False, **options)
