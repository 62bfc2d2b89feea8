"""The speed benchmark: what it times and what it says of the times."""
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from lmdb_fixture import dataset_options, paired_lmdb
from torch.nn import functional

from deconas_plugin.doctor.workloads import inference, load_patches, training_step
from deconas_plugin.errors import OptionError, StorageError, WeightsError
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.machine.timing import OwnProcess, in_turns, ratio, timed
from tools.lab.speed import backend_speed, limits, network_speed, run, search_speed
from tools.lab.speed.results import SpeedReport, Way, Work, to_json, to_markdown
from tools.lab.speed.traffic import bytes_beside_convolutions

CPU = torch.device('cpu')
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'benchmark_speed.py'


class Sleep(float):
    """Sleeps for so many seconds, or for as many as it is called with."""

    def __call__(self, seconds=None):
        time.sleep(seconds or self)


def build_sleep(device, seconds):
    return Sleep(seconds)


def build_failure(device):
    raise ValueError('no such work')


def test_runs_take_turns_and_start_with_either():
    calls = []
    times = in_turns({name: lambda name=name: calls.append(name) or len(calls) for name in 'ab'}, rounds=3)
    assert ''.join(calls) == 'ab' + 'ab' + 'ba' + 'ab'  # the first two for warming up
    assert times == {'a': [3, 6, 7], 'b': [4, 5, 8]}


def test_no_more_rounds_than_the_time_allows():
    times = in_turns({'a': lambda: time.sleep(0.02)}, rounds=100, seconds=0.05)
    assert len(times['a']) == 3


def test_runs_that_are_warm_are_not_warmed_up_again():
    calls = []
    assert in_turns({'a': lambda: calls.append(0) or 1}, rounds=3, warm_up=False) == {'a': [1, 1, 1]}
    assert len(calls) == 3


def test_ratio_is_the_median_over_the_rounds_not_of_the_times():
    # Both ways were slow in the second round.
    assert ratio([2, 20, 2], [1, 10, 1]) == 2


def test_a_process_of_its_own_times_what_it_runs():
    with OwnProcess(build_sleep, CPU, seconds=0.05) as run_sleep:
        assert 0.05 <= run_sleep() < 1
        assert 0.1 <= run_sleep(0.1) < 1
        assert run_sleep.ask('as_integer_ratio') == 0.05.as_integer_ratio()
        assert run_sleep.peak_memory() is None or run_sleep.peak_memory() < 2**24


def test_a_process_that_fails_says_whose_it_was():
    with OwnProcess(build_failure, CPU) as run_failure, pytest.raises(RuntimeError, match='build_failure'):
        run_failure()


def test_work_states_ratios_rates_and_shares():
    work = Work.of('Step', {'slow': [2.0, 4.0, 2.0], 'fast': [1.0, 2.0, 1.0]}, operations=100,
                   limits={'slow': 100, 'fast': 200}, memory={'slow': 3 * 2**20, 'fast': 2**20})
    assert work.ways == [Way('slow', 2, 1, 50, 0.5, 3 * 2**20), Way('fast', 1, 0.5, 100, 0.5, 2**20)]


def test_report_as_table_and_json():
    work = Work.of('Step', {'slow': [0.2], 'fast': [0.1]})
    work.figures['hours'] = 12.345
    rates = {'inference': 4.6e11, 'training': 3.9e11, 'inference_bytes': 2e10, 'training_bytes': 3e10}
    report = SpeedReport('some device', 'some PyTorch', {'bf16': rates}, [work])
    table = to_markdown(report)
    assert '460 GFLOP/s on an image, 390 GFLOP/s forward and backward' in table
    assert '| fast | 100.0 | 0.500 (2.0x faster) |' in table
    assert '- hours: 12.35' in table
    assert 'GFLOP/s |' not in table and 'peak memory' not in table  # nothing known of them
    assert json.loads(to_json(report))['works'][0]['ways'][1]['relative'] == 0.5


def test_bytes_are_those_beside_convolutions_and_views():
    x, weight, one = torch.rand(1, 8, 10, 10), torch.rand(4, 8, 3, 3), torch.ones(1)

    def step():
        y = functional.conv2d(x, weight, padding=1)
        y = torch.cat([y.permute(0, 1, 3, 2), y], 1)  # reads and writes 800 numbers
        y + one.expand_as(y)  # reads 800 and 1, writes 800

    assert bytes_beside_convolutions(step) == 4 * (1600 + 1601)


def test_bytes_of_the_backward_pass_count_too():
    x = torch.rand(100, requires_grad=True)
    # (x * x).sum(): 300 and 101, and backward more of the same size
    assert bytes_beside_convolutions(lambda: (x * x).sum().backward()) > 4 * 700


def test_rates_are_positive(monkeypatch):
    monkeypatch.setattr(limits, 'IMAGE', (1, 64, 16, 16))
    rates = limits.machine_rates(CPU, ['float32'])
    assert rates.keys() == {'float32'}
    assert all(1e8 < rate < 1e15 for rate in rates['float32'].values())


@pytest.mark.parametrize('model_type', ['SRModel', 'DeCoNASModel'])
def test_training_step_trains(model_type):
    network = {'type': 'DeCoNASNet', 'num_feat': 16, 'num_block': 1, 'num_layer': 1, 'genotype': '111'}
    step = training_step(CPU, model_type, network, batch=1, size=8)
    assert timed(step, CPU) > 0


def test_inference_runs_the_published_network_fused_or_not():
    for fused in (False, True):
        assert timed(inference(CPU, fused=fused, keep_memory=False, size=(8, 8)), CPU) > 0


@pytest.mark.parametrize('dataset', ['PairedImageDataset', 'DeCoNASPatchDataset'])
def test_patches_are_read_as_often_as_asked(tmp_path, dataset):
    read = load_patches(CPU, dataset_options(*paired_lmdb(tmp_path, count=2), type=dataset), num_patches=5, batch=2,
                        num_worker=1)
    assert timed(read, CPU) > 0


def test_operations_are_those_of_the_published_network():
    assert network_speed._operations_per_pixel() == pytest.approx(2 * 382.7e9 / (640 * 360), rel=1e-3)


def test_controller_round_is_timed_with_its_parts(monkeypatch):
    monkeypatch.setattr(search_speed, 'REWARD_BATCH', 1)
    monkeypatch.setattr(search_speed, 'REWARD_SIZE', 8)
    work = search_speed.controller_speed(CPU, rounds=3)
    assert [way.name for way in work.ways] == ['32 steps with 1 sample', '1 step with 32 samples']
    assert work.ways[1].relative < 1 / 3
    assert [text.split(',')[0] for text in work.figures] == ['sampling', 'scoring on 1 patches 8x8',
                                                             'learning and history']


def test_supernet_and_derived_network_are_timed_on_the_same_genotypes():
    work = search_speed.supernet_speed(CPU, rounds=3, num_genotypes=1, batch=1, size=8)
    assert [way.name for way in work.ways] == ['derived network', 'supernet']
    assert work.ways[1].relative > 0


def test_schedule_adds_up_its_two_phases(monkeypatch):
    for name, value in (('WEIGHT_BATCH', 1), ('WEIGHT_SIZE', 8), ('REWARD_BATCH', 1), ('REWARD_SIZE', 8)):
        monkeypatch.setattr(search_speed, name, value)
    weight, controller, hours = search_speed.paper_schedule(CPU, rounds=2).figures.values()
    assert hours == pytest.approx((200_000 * weight + 19_500 * controller) / 3.6e6)


def test_only_the_chosen_parts_run_and_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr(run, 'machine_rates', lambda device, precisions: {})
    monkeypatch.setattr(run, 'controller_speed', lambda device, rounds: Work('controller', figures={'rounds': rounds}))
    report = run.run_speed_benchmark(CPU, f'{tmp_path}/results/speed', ['controller'], rounds=3)
    assert [work.title for work in report.works] == ['controller']
    assert json.loads((tmp_path / 'results' / 'speed.json').read_text())['works'][0]['figures'] == {'rounds': 3}
    assert '**controller**' in (tmp_path / 'results' / 'speed.md').read_text()


def test_too_few_rounds_for_a_median_are_refused(tmp_path):
    with pytest.raises(OptionError, match='--rounds: expected at least 3, got 2'):
        run.run_speed_benchmark(CPU, tmp_path / 'speed', ['controller'], rounds=2)


def test_networks_without_the_part_that_takes_them_are_refused(tmp_path):
    with pytest.raises(OptionError, match='--zoo: only the part auto takes networks'):
        run.run_speed_benchmark(CPU, tmp_path / 'speed', ['controller'], networks=['DeCoNASNet_x2_24G'])


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(StorageError, match='cannot be written'):
        run.run_speed_benchmark(CPU, tmp_path / 'file' / 'speed', ['controller'])


def test_help_answers_without_torch():
    script = ('import runpy, sys; sys.argv = ["x", "--help"]; sys.modules["torch"] = None; '
              f'runpy.run_path({str(TOOL)!r}, run_name="__main__")')
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert done.returncode == 0
    assert '--device' in done.stdout and 'examples:' in done.stdout


class HereInstead:
    """Like OwnProcess, without a process; knows which are open."""
    open = []

    def __init__(self, build, device, **options):
        self.run, self.device, self.options = build(device, **options), device, options
        self.open.append(self)
        assert len({one.options.get('weights') for one in self.open}) == 1, 'two networks in memory'

    def __call__(self, *arguments):
        return timed(lambda: self.run(*arguments), self.device)

    def ask(self, method, *arguments):
        return getattr(self.run, method)(*arguments)

    def peak_memory(self):
        return 2**20

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.open.remove(self)


def test_auto_is_compared_with_every_backend_one_network_after_the_other(tmp_path, monkeypatch):
    monkeypatch.setenv('DECONAS_CACHE', str(tmp_path))
    monkeypatch.setattr(backend_speed, 'OwnProcess', HereInstead)
    monkeypatch.setattr(backend_speed, 'installed_backends', lambda device, precision: ['torch'])
    work = backend_speed.auto_speed(CPU, ['float32'], 3, sizes=((8, 12), (12, 8)))
    best = [load_zoo().best(scale) for scale in (2, 3, 4)]
    assert list(work.figures) == [f'{network}, {size}, float32: auto (torch) / best (torch)'
                                  for network in best for size in ('12x8', '8x12')]
    assert all(0.1 < value < 10 for value in work.figures.values()) and not HereInstead.open


def test_a_network_that_the_zoo_lacks_is_refused_before_anything_is_timed(monkeypatch):
    monkeypatch.setattr(backend_speed, 'OwnProcess', None)
    with pytest.raises(WeightsError, match='DeCoNASNet_x2_24: .* did you mean DeCoNASNet_x2_24G'):
        backend_speed.auto_speed(CPU, ['float32'], 3, ['DeCoNASNet_x3_34G', 'DeCoNASNet_x2_24'])


def test_the_first_compiled_step_is_told_apart(monkeypatch):

    def step(device, compile, batch):
        waits = iter([0.2 * compile])  # as if it compiled
        return lambda: time.sleep(next(waits, 0.01 * batch))

    monkeypatch.setattr(network_speed, 'OwnProcess', HereInstead)
    monkeypatch.setattr(network_speed, 'training_step', step)
    work = network_speed.compile_speed(CPU, 'bf16', 3, batch=2)
    assert [way.name for way in work.ways] == ['DeCoNASModel, bf16', 'DeCoNASModel, bf16, train.compile']
    assert all(0.02 <= way.seconds < 0.2 for way in work.ways)
    assert work.figures['first step [s], DeCoNASModel, bf16, train.compile'] >= 0.2


def test_backends_stand_beside_stock_basicsr_and_the_limit(tmp_path, monkeypatch):
    monkeypatch.setenv('DECONAS_CACHE', str(tmp_path))
    monkeypatch.setattr(network_speed, 'installed_backends', lambda device, precision: ['torch'])
    monkeypatch.setattr(network_speed, 'OwnProcess', HereInstead)
    rates = {'float32': {'inference': 1e12, 'inference_bytes': 1e11}}
    work = network_speed.inference_speed(CPU, ['float32'], rates, 3, size=(36, 64))
    assert work.title == 'Inference to 128x72'
    assert [way.name for way in work.ways] == ['BasicSR: float32, default layout', 'float32, torch']
    figures = work.figures
    # 673 G for an image of 640x360, a little more for the border of a smaller one.
    operations = figures['float32, torch: operations of convolutions [G]']
    assert operations == pytest.approx(6.73, rel=0.1)
    moved = figures['float32, torch: read and written beside convolutions [GB]']
    least = figures['float32, torch: least time for both at the rates above [ms]']
    assert least == pytest.approx(operations + 10 * moved)
    assert figures['float32, torch: share of that limit'] == pytest.approx(least / 1e3 / work.ways[1].seconds)
    assert figures['float32, torch, the fastest: times stock BasicSR'] == pytest.approx(1 / work.ways[1].relative)
    assert figures['fused / not fused, float32, torch, 64x36'] > 0
