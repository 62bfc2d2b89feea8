"""Killed at any moment and started again, the tool must end with the bytes of an uninterrupted run."""
import multiprocessing
import os
import random
import resource
import shutil
import signal
import time

import cv2
import numpy as np
import pytest

from deconas_plugin.data.lmdb import LmdbWriter
from tools.prepare_data import main


def make_images(folder):
    folder.mkdir()
    rng = np.random.default_rng(2)
    for i in range(1, 13):
        cv2.imwrite(str(folder / f'{i:04d}.png'), rng.integers(0, 256, (120 + 5 * i, 200, 3), np.uint8))


def run(hr, out):
    raise SystemExit(main(['--hr', str(hr), '--out', str(out), '--scale', '2', '--size', '96', '--step', '48',
                           '--workers', '2']))


def start(hr, out):
    process = multiprocessing.get_context('fork').Process(target=run, args=(hr, out))
    process.start()
    return process


def content(out):
    return {path.relative_to(out): path.read_bytes() for path in sorted(out.rglob('*')) if path.is_file()}


@pytest.fixture(autouse=True)
def no_threads_of_opencv():
    # A forked process waits for ever for the threads of OpenCV that an earlier test has started in its parent.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    yield
    cv2.setNumThreads(threads)


@pytest.fixture
def hr(tmp_path):
    make_images(tmp_path / 'HR')
    return tmp_path / 'HR'


def test_killed_at_ten_moments_and_resumed_equals_uninterrupted(hr, tmp_path):
    whole, out = tmp_path / 'whole', tmp_path / 'out'
    begun = time.monotonic()
    uninterrupted = start(hr, whole)
    uninterrupted.join()
    duration = time.monotonic() - begun
    expected = content(whole)
    assert uninterrupted.exitcode == 0 and len(expected) == 7  # two databases of three files, and the lock

    moments, killed = random.Random(3), 0
    while killed < 10:
        process = start(hr, out)
        process.join(moments.uniform(0, duration))
        if process.exitcode is None:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
            for lmdb in out.glob('*.lmdb'):  # what has its final name is whole
                assert content(lmdb) == content(whole / lmdb.name)
        else:  # this kill would have come too late
            assert process.exitcode == 0 and content(out) == expected
            shutil.rmtree(out)
    resumed = start(hr, out)
    resumed.join()
    assert resumed.exitcode == 0 and content(out) == expected


def test_finished_images_are_not_done_again(hr, tmp_path, capfd):
    process = start(hr, tmp_path / 'out')
    data = tmp_path / 'out/DIV2K_train_LR_bicubic_X2_sub.lmdb.partial/data.mdb'
    while process.is_alive() and not (data.exists() and data.stat().st_size > 300_000):  # some 70 KB an image
        time.sleep(.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    capfd.readouterr()
    resumed = start(hr, tmp_path / 'out')
    resumed.join()
    cut = [line for line in capfd.readouterr().err.splitlines() if line.startswith('DIV2K train x2:')]
    assert resumed.exitcode == 0 and (not cut or int(cut[-1].split('/')[-1]) < 12)


def test_two_at_once_wait_for_each_other(hr, tmp_path):
    together = [start(hr, tmp_path / 'out') for _ in range(2)]
    for process in together:
        process.join()
    assert [process.exitcode for process in together] == [0, 0]
    alone = start(hr, tmp_path / 'alone')
    alone.join()
    assert content(tmp_path / 'out') == content(tmp_path / 'alone')


def run_on_a_full_disk(hr, out):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
    run(hr, out)


def test_a_full_disk_is_named_and_what_is_finished_is_kept(hr, tmp_path, capfd):
    out = tmp_path / 'out'
    full = multiprocessing.get_context('fork').Process(target=run_on_a_full_disk, args=(hr, out))
    full.start()
    full.join()
    assert full.exitcode == 2
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith('error: ') and 'cannot write' in last and 'run the same command again' in last
    for path in (out, tmp_path / 'alone'):
        process = start(hr, path)
        process.join()
        assert process.exitcode == 0
    assert content(out) == content(tmp_path / 'alone')


def test_an_interrupted_transaction_leaves_no_trace(tmp_path):
    written = []
    for name in ('whole.lmdb', 'interrupted.lmdb'):
        writer = LmdbWriter(tmp_path / name, {})
        writer.add([('a', b'a' * 5000)])
        if name == 'interrupted.lmdb':
            with open(writer.partial / 'data.mdb', 'ab') as data:
                data.write(b'b' * 8192)  # pages of the next one, without the one that makes them valid
        writer.add([('b', b'b' * 20000)])
        written.append((writer.partial / 'data.mdb').read_bytes())
    assert written[0] == written[1]
