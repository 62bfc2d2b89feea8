import os
import pickle
import random
import shutil

import lmdb
import numpy as np
import pytest
from lmdb_fixture import encode_png, get_entry, paired_lmdb, photo_like, put_entry, write_lmdb

from deconas_plugin.data.image_source import LmdbImages, read_meta_info
from deconas_plugin.data.lmdb import open_lmdb
from deconas_plugin.errors import DataError


@pytest.fixture
def database(tmp_path):
    return paired_lmdb(tmp_path, count=4, size=16)[0]


def all_images(path):
    sizes = read_meta_info(path)
    return LmdbImages(path, sizes, list(sizes))


def test_one_reader_per_database_and_process(database, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = open_lmdb(database)
    assert open_lmdb(os.path.relpath(database)) is reader
    assert pickle.loads(pickle.dumps(reader)) is reader


def test_database_is_closed_with_its_last_reader(database):
    reader, other = open_lmdb(database), open_lmdb(database)
    del reader
    with pytest.raises(lmdb.Error):
        lmdb.open(database, readonly=True, lock=False)
    del other
    lmdb.open(database, readonly=True, lock=False).close()


def test_forked_process_reads_for_itself(database):
    images = all_images(database)
    expected = images[0].copy()
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(images[0], expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert np.array_equal(images[0], expected)


def test_pixels_are_rgb_planes(tmp_path):
    image = photo_like(10, 14, seed=1)
    write_lmdb(tmp_path / 'x.lmdb', {'a': image})
    assert np.array_equal(all_images(str(tmp_path / 'x.lmdb'))[0], image[:, :, ::-1].transpose(2, 0, 1))


def test_missing_key_names_database_and_key(database):
    put_entry(database, '0002_s001', None)
    with pytest.raises(DataError, match=r"HR_sub\.lmdb: key '0002_s001' stands in meta_info\.txt but not in"):
        all_images(database)[2]


def test_wrong_size_names_both_sizes(database):
    put_entry(database, '0002_s001', encode_png(photo_like(16, 15, 0)))
    with pytest.raises(DataError, match=r"'0002_s001': 16x15 pixels .* where meta_info\.txt says 16x16"):
        all_images(database)[2]


def test_missing_database(tmp_path):
    with pytest.raises(DataError, match=r'no LMDB here \(data\.mdb is missing\); make it with python tools/prepare_'):
        open_lmdb(str(tmp_path))


def test_empty_database(tmp_path):
    lmdb.open(str(tmp_path / 'x.lmdb')).close()
    with pytest.raises(DataError, match='the LMDB is empty'):
        open_lmdb(str(tmp_path / 'x.lmdb'))


@pytest.mark.parametrize('share', [0, 0.01, 0.1, 0.5, 0.9])
def test_database_cut_short_is_an_error_before_anything_is_read(database, share):
    data_file = os.path.join(database, 'data.mdb')
    os.truncate(data_file, int(os.path.getsize(data_file) * share))
    with pytest.raises(DataError, match='cut short|does not open') as caught:
        open_lmdb(database)
    assert '\n' not in str(caught.value)


def test_file_that_is_no_database(database):
    shutil.copy(__file__, os.path.join(database, 'data.mdb'))
    with pytest.raises(DataError, match='does not open'):
        open_lmdb(database)


@pytest.mark.parametrize(('text', 'message'), [
    (None, 'not readable'),
    ('', 'names no images'),
    ('0001_s001.png (16,16,3) 1\n0001_s002 16 16\n', r"line 2: expected '0001_s001\.png .*', got '0001_s002 16 16'"),
    ('\udcff', 'not readable'),
])
def test_broken_meta_info(database, text, message):
    meta_file = os.path.join(database, 'meta_info.txt')
    if text is None:
        os.remove(meta_file)
    else:
        with open(meta_file, 'w', errors='surrogateescape') as file:
            file.write(text)
    with pytest.raises(DataError, match=message):
        read_meta_info(database)


def mutate(encoded, rng):
    """One of the ways in which an entry breaks on its way to this machine."""
    spoilt, kind = bytearray(encoded), rng.randrange(5)
    if kind == 0:
        return encoded[:rng.randrange(len(encoded))]
    if kind == 1:
        return bytes(rng.randrange(2 * len(encoded)))
    if kind == 2:
        return rng.randbytes(rng.randrange(len(encoded)))
    for _ in range(rng.randrange(1, 9)):
        spoilt[rng.randrange(30 if kind == 3 else len(spoilt))] = rng.randrange(256)
    return bytes(spoilt)


def test_200_mutated_entries_end_in_an_image_or_in_one_line_that_names_the_key(tmp_path):
    path, rng = str(tmp_path / 'x.lmdb'), random.Random(0)
    write_lmdb(path, {f'{number:04d}': photo_like(16, 16, number) for number in range(200)})
    with lmdb.open(path, map_size=2**24) as env, env.begin(write=True) as transaction:
        for number in range(200):
            key = f'{number:04d}'.encode()
            transaction.put(key, mutate(transaction.get(key), rng))
    images, refused = all_images(path), 0
    for index, key in enumerate(images.keys):
        try:
            assert images[index].shape == (3, 16, 16)
        except DataError as error:
            refused += 1
            assert str(error).startswith(f"{path}: key '{key}'") and '\n' not in str(error)
    assert refused > 150


def test_helper_reads_what_was_put(database):
    put_entry(database, '0001_s001', b'x')
    assert get_entry(database, '0001_s001') == b'x'
