import logging
import multiprocessing
import os
import resource
import shutil
from pathlib import Path

import numpy as np
import pytest
from lmdb_fixture import encode_png, paired_lmdb, photo_like, put_entry

from deconas_plugin.data import image_cache as disk_cache
from deconas_plugin.data.image_cache import DiskImages
from deconas_plugin.data.image_source import LmdbImages, read_meta_info
from deconas_plugin.errors import DataError


class CountedImages(LmdbImages):
    """LmdbImages that count what is decoded, and can end the process at one of them."""

    def __init__(self, path, keys=None, die_at=None):
        sizes = read_meta_info(path)
        super().__init__(path, sizes, keys or list(sizes))
        self.decoded, self.die_at = [], die_at

    def __getitem__(self, index):
        if self.die_at is not None and len(self.decoded) >= self.die_at:
            os._exit(9)  # like SIGKILL: nothing is flushed, nothing cleaned up
        self.decoded.append(self.keys[index])
        return super().__getitem__(index)


@pytest.fixture
def database(tmp_path):
    return paired_lmdb(tmp_path / 'data', count=8, size=16)[0]


def expected(path):
    images = CountedImages(path)
    return [images[index].copy() for index in range(len(images))]


def equal(images, arrays):
    return len(images) == len(arrays) and all(map(np.array_equal, images, arrays))


def decoded_anew(path, **options):
    images = CountedImages(path)
    cached = DiskImages(images, **options)
    assert equal(cached, expected(path))
    return len(images.decoded)


def cache_files(path):
    return sorted(file.suffix for file in Path(f'{path}.cache').iterdir())


def test_images_are_decoded_once(database):
    assert [decoded_anew(database) for _ in range(3)] == [8, 0, 0]
    assert cache_files(database) == ['', '.filled', '.uint8']


def test_selections_share_one_file_and_decode_what_is_missing(database):
    for keys, missing in ((['0001_s001', '0002_s001'], 2), (['0002_s001', '0004_s002'], 1), (None, 5)):
        images = CountedImages(database, keys)
        DiskImages(images)
        assert len(images.decoded) == missing
    assert decoded_anew(database) == 0
    assert cache_files(database) == ['', '.filled', '.uint8']


def test_images_cannot_be_written_to(database):
    with pytest.raises(ValueError, match='read-only'):
        DiskImages(CountedImages(database))[0][:] = 0


@pytest.mark.parametrize('change', ['entry', 'time', 'keys'])
def test_change_of_the_database_makes_a_new_cache_and_removes_the_old(database, change):
    decoded_anew(database)
    old = DiskImages(CountedImages(database))
    first = old[0].copy()
    if change == 'entry':
        put_entry(database, '0001_s001', encode_png(photo_like(16, 16, 99)))
    elif change == 'time':
        os.utime(Path(database, 'data.mdb'), ns=(1, 1))
    else:
        put_entry(database, '0009_s001', encode_png(photo_like(12, 20, 9)))
        with open(Path(database, 'meta_info.txt'), 'a') as meta_info:
            meta_info.write('0009_s001.png (12,20,3) 1\n')
    assert decoded_anew(database) == (9 if change == 'keys' else 8)
    assert cache_files(database) == ['', '.filled', '.uint8']
    assert np.array_equal(old[0], first)  # a run that still maps the old file keeps it


@pytest.mark.parametrize('damage', ['pixels cut short', 'pixels missing', 'record cut short', 'record missing'])
def test_damaged_cache_is_made_anew(database, damage):
    decoded_anew(database)
    file = next(Path(f'{database}.cache').glob('*.uint8' if 'pixels' in damage else '*.filled'))
    os.remove(file) if 'missing' in damage else os.truncate(file, file.stat().st_size - 1)
    assert [decoded_anew(database), decoded_anew(database)] == [8, 0]


@pytest.mark.parametrize('die_at', range(0, 9, 2))
def test_killed_at_any_image_loses_at_most_what_was_not_recorded(database, die_at, monkeypatch):
    monkeypatch.setattr(disk_cache, '_RECORD_EVERY', 2)
    monkeypatch.setattr('deconas_plugin.data.image_cache._DECODED_AHEAD', 1)
    child = os.fork()
    if child == 0:
        DiskImages(CountedImages(database, die_at=die_at))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (9 if die_at < 8 else 0)
    assert decoded_anew(database) == 8 - die_at


def test_killed_while_it_replaces_lost_pixels(database):
    decoded_anew(database)
    os.remove(next(Path(f'{database}.cache').glob('*.uint8')))
    child = os.fork()
    if child == 0:
        DiskImages(CountedImages(database, die_at=3))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert decoded_anew(database) == 8


def test_processes_that_start_together_decode_once(database, tmp_path):
    def build():
        images = CountedImages(database)
        equal_to_source = equal(DiskImages(images), expected_images)
        (tmp_path / f'{os.getpid()}.count').write_text(f'{len(images.decoded)} {equal_to_source}')

    expected_images = expected(database)
    fork = multiprocessing.get_context('fork')
    processes = [fork.Process(target=build) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(file.read_text() for file in tmp_path.glob('*.count')) == ['0 True', '0 True', '8 True']


def test_broken_image_keeps_what_was_decoded_before_it(database):
    put_entry(database, '0004_s001', b'broken')
    with pytest.raises(DataError, match="key '0004_s001'"):
        DiskImages(CountedImages(database))
    images = CountedImages(database)
    cached = DiskImages(images, skip_broken=True)
    assert images.decoded == ['0004_s001', '0004_s002']
    assert list(cached.broken) == [6]
    with pytest.raises(DataError, match="key '0004_s001'"):
        cached[6]


# ---- where it lies ----

def test_cache_dir(database, tmp_path):
    other = shutil.copytree(database, tmp_path / 'elsewhere' / 'HR_sub.lmdb')
    for path in (database, str(other)):
        assert [decoded_anew(path, cache_dir=str(tmp_path / 'cache')) for _ in range(2)] == [8, 0]
    assert len(list((tmp_path / 'cache').iterdir())) == 2  # one name, two databases
    assert not Path(f'{database}.cache').exists()


def test_user_cache_folder_where_the_database_cannot_be_written(database, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'home'))
    monkeypatch.setattr(logging.getLogger('basicsr'), 'propagate', True)
    Path(f'{database}.cache').write_text('in the way')
    assert [decoded_anew(database) for _ in range(2)] == [8, 0]
    assert len(list((tmp_path / 'home' / 'deconas').iterdir())) == 1
    assert f'{database}.cache: the cache of decoded images cannot be written here' in caplog.text


def test_cache_beside_a_read_only_database_is_used(database, tmp_path, monkeypatch):
    decoded_anew(database)
    monkeypatch.setattr(os, 'makedirs', lambda *_, **__: pytest.fail('nothing is to be written'))
    assert decoded_anew(database) == 0


def test_nowhere_to_write(database, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(DataError, match=r'set cache_dir to another folder, or cache: none') as caught:
        DiskImages(CountedImages(database), cache_dir=str(tmp_path / 'file'))
    assert '\n' not in str(caught.value)


def test_disk_too_small(database, monkeypatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda folder: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match=r'the decoded images need .* GB are free; set cache_dir to a larger disk'):
        DiskImages(CountedImages(database))


def test_disk_that_fills_up_leaves_a_usable_cache(database):
    DiskImages(CountedImages(database, ['0001_s001']))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * 16 * 16 * 5, hard))
    try:
        with pytest.raises(DataError, match=r'\.uint8: cannot be written \(File too large\); set cache_dir'):
            DiskImages(CountedImages(database))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert decoded_anew(database) == 7
