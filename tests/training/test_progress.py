"""The progress of a search: a display on a terminal, plain lines elsewhere, nothing twice, the log file untouched."""
import io
import os
import pty
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fresh_fixture import run_fresh
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from deconas_plugin.training.progress import RunProgress
from deconas_plugin.visual.samples import Sample, add_bit_probabilities, add_sample

ROOT = Path(__file__).resolve().parents[2]
COLOUR = re.compile(r'\x1b\[[\d;]*(?<![\d])(3\d|4\d|9\d|10\d)[\d;]*m')


def start(folder, stdio=None, **changes):
    """subprocess.CompletedProcess: Of a run of 25 iterations."""
    kept = {key: value for key, value in os.environ.items() if key not in ('NO_COLOR', 'FORCE_COLOR')}
    environment = {**kept, 'TERM': 'xterm-256color', 'COLUMNS': '100', 'LINES': '40', **changes}
    code = (ROOT / 'tests/progress_run.py').read_text()
    return run_fresh(code, str(folder / 'train.log'), '25', '10', stdio=stdio, environment=environment)


def run_on_terminal(folder, **changes):
    """str: All that a terminal is sent."""
    reader, writer = pty.openpty()
    sent = io.BytesIO()

    def read():
        while True:
            try:
                block = os.read(reader, 65536)
            except OSError:  # Linux reports the end of a terminal so
                return
            sent.write(block)

    reading = threading.Thread(target=read)
    reading.start()
    process = start(folder, os.ttyname(writer), **changes)
    os.close(writer)
    reading.join()
    os.close(reader)
    assert process.returncode == 0, sent.getvalue()
    return sent.getvalue().decode()


@pytest.fixture(scope='module')
def plain(tmp_path_factory):
    """tuple: A run whose output goes to files, and its log; with FORCE_COLOR as many CI services set it."""
    folder = tmp_path_factory.mktemp('plain')
    process = start(folder, FORCE_COLOR='1')
    assert process.returncode == 0, process.stderr
    return process, (folder / 'train.log').read_text()


@pytest.fixture(scope='module')
def terminal(tmp_path_factory):
    """str: What a run sends to a terminal."""
    return run_on_terminal(tmp_path_factory.mktemp('terminal'))


def test_without_a_terminal_plain_lines_are_written(plain):
    process, _ = plain
    assert not re.search(r'[\x00-\x08\x0b-\x1f\x7f]', process.stderr + process.stdout)
    lines = [line for line in process.stderr.splitlines() if ' search ' in line]
    assert [re.search(r'search (\S+) \((\S+)\)', line).groups() for line in lines] == [
        ('10/25', '40.0%'), ('20/25', '80.0%'), ('25/25', '100.0%')]
    assert 'loss 0.2500, speed ' in lines[0] and 'reward' not in lines[0]
    for part in ('PSNR 31.50 dB', 'reward 30.50 dB', 'baseline 30.25 dB', 'entropy 20.79 nats', ' images/s',
                 'best 1011 (30.50 dB)', 'ETA 0:00:0'):
        assert part in lines[1]
    assert process.stdout == 'a line on stdout\n'


def test_nothing_is_printed_twice_and_the_log_file_has_all(plain):
    process, log = plain
    for text in ('Training statistics.', '# psnr: 30.1', 'After the search.'):
        assert process.stderr.count(text) == 1 and log.count(text) == 1
    assert 'l_pix' not in process.stderr and log.count('l_pix: 2.5000e-01') == 5
    assert 'ETA' not in log


def test_terminal_shows_a_display_below_what_is_logged(terminal):
    shown = re.sub(r'\x1b\[[\d;?]*[a-zA-Z]', '', terminal)
    for text in ('Training statistics.', '# psnr: 30.1', 'a line on stdout', 'After the search.'):
        assert shown.count(text) == 1
    assert 'l_pix' not in shown
    last = shown[shown.rindex('25/25'):]
    for text in ('loss 0.2500', 'PSNR 31.50 dB', 'entropy 20.79 nats', ' images/s', 'best 1011 (30.50 dB)'):
        assert text in last
    assert last.rstrip().endswith('After the search.')
    assert terminal.count('\x1b[?25l') == terminal.count('\x1b[?25h') == 1  # the cursor comes back


def test_no_color_is_respected(terminal, tmp_path):
    assert COLOUR.search(terminal)
    sent = run_on_terminal(tmp_path, NO_COLOR='1')
    assert '25/25' in sent and not COLOUR.search(sent)


def test_dumb_terminal_gets_plain_lines(tmp_path):
    sent = run_on_terminal(tmp_path, TERM='dumb')
    assert '\x1b' not in sent and ' search 10/25 (40.0%)' in sent


def test_remaining_time_counts_from_the_resumed_iteration(monkeypatch, capsys):
    now = [100.]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    with RunProgress(1000, start_iter=600, line_freq=50) as progress:
        assert progress.eta == '–'
        for iteration in range(601, 651):
            now[0] += 2
            progress.update(iteration, num_images=32)
        assert progress.eta == '0:11:40'  # 350 iterations of 2 s
        assert progress.values['rate'] == pytest.approx(16)
    assert capsys.readouterr().err.count('650/1,000 (65.0%)') == 1


def test_speed_follows_the_last_half_minute(monkeypatch):
    now = [0.]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    with RunProgress(1000) as progress:
        for iteration in range(1, 201):
            now[0] += 1 if iteration <= 100 else 0.5
            progress.update(iteration, num_images=10)
        assert progress.values['rate'] == pytest.approx(20)


def test_an_error_passes_through_and_names_of_values_are_checked():
    with pytest.raises(ZeroDivisionError), RunProgress(10) as progress:
        with pytest.raises(TypeError, match="unexpected value 'rewards'"):
            progress.update(1, rewards=1.)
        1 / 0  # noqa: B018


def read_back(folder):
    events = EventAccumulator(str(folder), size_guidance={'images': 0, 'scalars': 0})
    events.Reload()
    return events


def test_tensorboard_holds_the_bits_over_time_and_samples(tmp_path):
    from PIL import Image
    with SummaryWriter(tmp_path) as writer:
        add_bit_probabilities(writer, [[0.5, 1., 0.], [0., 0.5, 1.]], 200)
        image = np.zeros((6, 5, 3), np.uint8)
        image[..., 0] = 255  # blue, as BasicSR's images are BGR
        add_sample(writer, Sample('a', {'LR': image, 'bicubic': image, 'network': image, 'HR': image}, {}), 200)
    events = read_back(tmp_path)
    bits = np.asarray(Image.open(io.BytesIO(events.Images('search/bit_probabilities')[0].encoded_image_string)))
    assert bits.shape == (24, 16, 3) and bits[0, 0].tolist() == [255, 255, 255]
    sample = np.asarray(Image.open(io.BytesIO(events.Images('samples/a')[0].encoded_image_string)))
    assert sample.shape == (6, 15, 3) and sample[0, 0].tolist() == [0, 0, 255]

