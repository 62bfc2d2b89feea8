import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from fresh_fixture import output_of

from deconas_plugin.errors import DataError
from deconas_plugin.machine.parallel import ordered_map, progress


def slow_square(number):
    time.sleep(.02 * (number % 3))
    return number ** 2


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def tell_pid(folder):
    (folder / str(os.getpid())).touch()
    time.sleep(60)


def consume(folder):
    list(ordered_map(tell_pid, [folder] * 2, 2))


def running(pid):
    try:
        return Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0] not in 'ZX'
    except FileNotFoundError:
        return False


def wait_for(condition):
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(.05)
    return condition()


@pytest.mark.parametrize('workers', [1, 2])
def test_results_come_in_order(workers):
    assert list(ordered_map(slow_square, range(20), workers)) == [i ** 2 for i in range(20)]


def test_only_a_few_items_are_taken_ahead():
    taken = []
    results = ordered_map(slow_square, (taken.append(i) or i for i in range(100)), 2)
    next(results)
    assert len(taken) <= 6
    results.close()


def test_a_dying_worker_is_an_error_with_a_remedy():
    with pytest.raises(DataError, match='--workers'):
        list(ordered_map(die, range(2), 2))


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='reads /proc')
def test_no_worker_outlives_a_killed_parent(tmp_path):
    parent = multiprocessing.get_context('fork').Process(target=consume, args=(tmp_path,))
    parent.start()
    assert wait_for(lambda: len(list(tmp_path.iterdir())) == 2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.join()
    assert wait_for(lambda: not any(running(path.name) for path in tmp_path.iterdir()))


def test_progress_without_a_terminal_is_plain_lines(capsys):
    assert list(progress(iter('abc'), 3, 'Set5 x2')) == ['a', 'b', 'c']
    assert capsys.readouterr().err == 'Set5 x2: 3/3\n'


def test_works_in_a_process_whose_opencv_has_used_its_threads():
    script = """
import cv2, numpy, deconas_plugin
from deconas_plugin.machine.parallel import ordered_map
cv2.setNumThreads(2)
cv2.resize(numpy.zeros((4000, 4000), numpy.float32), (100, 100), interpolation=cv2.INTER_CUBIC)
print(list(ordered_map(abs, [-1, -2, -3], 2)), cv2.getNumThreads())
"""
    assert output_of(script).split('\n')[0] == '[1, 2, 3] 2'
