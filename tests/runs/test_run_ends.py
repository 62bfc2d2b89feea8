"""Whatever goes wrong in a run with loading processes: it says so, and every process ends at once."""
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from faults import BrokenValidation, DyingWorker, RecordWorkers
from lmdb_fixture import paired_folder
from run_fixture import Run, changed, train_options

from deconas_plugin.machine.console import run_tool

SECONDS = 10


def options_with_workers(folder, broken=(), dataset_type='DeCoNASPatchDataset', **loading):
    gt, lq = paired_folder(folder / 'images', count=8)
    for name in broken:
        Path(gt, f'{name}.png').write_bytes(Path(gt, f'{name}.png').read_bytes()[:400])
    train = {'type': dataset_type, 'name': 'train', 'dataroot_gt': gt, 'dataroot_lq': lq, 'gt_size': 16,
             'io_backend': {'type': 'disk'}, 'batch_size_per_gpu': 2, 'num_worker_per_gpu': 2,
             'dataset_enlarge_ratio': 50, **loading}
    return train_options(folder, **{'datasets.train': train, 'val.val_freq': 2, 'train.total_iter': 10**6})


def ended(folder, process, what):
    """What a run has said, once it is found that it ended soon after saying ``what``, with all its workers."""
    deadline = time.monotonic() + 60
    while what not in process.text and time.monotonic() < deadline and process.process.is_alive():
        time.sleep(0.05)
    said = time.monotonic()
    process.process.join(SECONDS)
    if process.process.is_alive():
        process.process.kill()
        pytest.fail(f'still running: {process.text[-2000:]}')
    assert time.monotonic() - said < SECONDS and what in process.text, process.text[-2000:]
    for pid in map(int, (folder / 'workers.txt').read_text().split()):
        while True:  # a dead orphan is there until the system has buried it
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                break
            assert time.monotonic() - said < SECONDS, f'worker {pid} is still there'
            time.sleep(0.1)
    return process.text


@pytest.mark.parametrize('loading', [{}, {'prefetch_mode': 'cpu'}, {'persistent_workers': True},
                                     {'prefetch_mode': 'cpu', 'num_worker_per_gpu': 0}])
def test_a_broken_image(tmp_path, loading):
    options = options_with_workers(tmp_path, broken=['0003_s001'], **loading)
    (tmp_path / 'workers.txt').touch()
    process = Run('train', tmp_path, options, prepare=RecordWorkers(tmp_path))
    said = ended(tmp_path, process, 'error: ')
    assert process.process.exitcode == 2
    line = next(line for line in said.splitlines() if line.startswith('error: '))
    assert '0003_s001' in line and 'Traceback' not in said
    workers = (tmp_path / 'workers.txt').read_text().split()
    assert len(workers) >= 2 or not loading.get('num_worker_per_gpu', 2)


def test_an_error_in_the_validation(tmp_path):
    options = options_with_workers(tmp_path)
    process = Run('train', tmp_path, options, prepare=BrokenValidation(tmp_path))
    ended(tmp_path, process, 'RuntimeError: this validation had an accident')
    assert process.process.exitcode == 1 and len((tmp_path / 'workers.txt').read_text().split()) == 2


def test_a_worker_that_does_not_start(tmp_path):
    process = Run('train', tmp_path, options_with_workers(tmp_path), prepare=RecordWorkers(tmp_path, bad_start=True))
    ended(tmp_path, process, 'RuntimeError: this worker had a bad start')
    assert process.process.exitcode == 1


def test_a_worker_that_is_killed(tmp_path):
    process = Run('train', tmp_path, options_with_workers(tmp_path, persistent_workers=True),
                  prepare=RecordWorkers(tmp_path))
    deadline, workers = time.monotonic() + 60, tmp_path / 'workers.txt'
    while not (workers.exists() and len(workers.read_text().split()) == 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    worker = int(workers.read_text().split()[0])
    os.kill(worker, signal.SIGKILL)  # as the system does where memory runs out
    said = ended(tmp_path, process, 'error: a process that loads training data has died')
    assert process.process.exitcode == 2 and 'lower datasets.train.num_worker_per_gpu' in said
    assert 'Traceback' not in said


@pytest.mark.parametrize('loading', [{}, {'persistent_workers': True}, {'prefetch_mode': 'cpu'}])
def test_a_worker_that_is_killed_as_it_asks_for_its_end(tmp_path, loading):
    process = Run('train', tmp_path, options_with_workers(tmp_path, **loading), prepare=DyingWorker(tmp_path))
    ended(tmp_path, process, 'error: a process that loads training data has died')
    assert process.process.exitcode == 2


def test_a_run_that_ends_well_leaves_no_worker(tmp_path):
    options = changed(options_with_workers(tmp_path, persistent_workers=True), **{'train.total_iter': 3})
    process = Run('train', tmp_path, options, prepare=RecordWorkers(tmp_path))
    ended(tmp_path, process, 'Save the latest model')
    assert process.process.exitcode == 0 and len((tmp_path / 'workers.txt').read_text().split()) == 2


def test_nobody_reads_the_output(monkeypatch):
    for text in ('short', 'x' * 10**6):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, 'w') as output:
            monkeypatch.setattr(sys, 'stdout', output)
            assert run_tool(print, text) == 141

    def lose_a_worker():
        raise BrokenPipeError('this pipe is none of the output')

    monkeypatch.undo()
    with pytest.raises(BrokenPipeError):
        run_tool(lose_a_worker)
