"""Options that would run and mean nothing are refused or do what they say."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from helpers import changed
from run_fixture import log, run, search_options, train_options
from two_steps import base_options, run_two_steps

from deconas_plugin.options.defaults import with_defaults
from deconas_plugin.runs.derivation import SearchExperiment
from deconas_plugin.search.derive import Budget, derive

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope='module')
def searched(tmp_path_factory):
    """Folder of a finished search of 12 iterations, with checkpoints at 4, 8 and 12."""
    root = tmp_path_factory.mktemp('searched')
    run('search', root, search_options(root))
    return root / 'experiments/tiny'


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Where runs happen, and base options by task."""
    root = tmp_path_factory.mktemp('runs')
    return root, base_options(root / 'data')


COSINE = {'type': 'CosineAnnealingRestartLR', 'periods': [2], 'eta_min': 0.01}


@pytest.mark.parametrize('task, place, value, message', [
    ('train', 'train.warmup_iter', 2, 'train.warmup_iter: expected less than total_iter = 2, got 2; the learning rate'),
    ('search', 'derive.train.warmup_iter', 3, 'derive.train.warmup_iter: expected less than total_iter = 2, got 3'),
    ('train', 'train.optim_g.lr', 0, 'train.optim_g.lr: expected a number above 0, got 0'),
    ('train', 'train.optim_g.lr', True, 'train.optim_g.lr: expected a number above 0, got True'),
    ('train', 'train.optim_g.maximize', True, 'train.optim_g.maximize: expected false, got true'),
    ('train', 'train.pixel_opt.loss_weight', 0, 'train.pixel_opt.loss_weight: expected more than 0, got 0'),
    ('search', 'derive.train.pixel_opt.loss_weight', -1, 'derive.train.pixel_opt.loss_weight: expected more than 0'),
    ('train', 'train.frequency_opt', {'type': 'FrequencyLoss', 'loss_weight': 0}, 'train.frequency_opt.loss_weight: '),
    ('train', 'train.scheduler.gamma', 0, 'train.scheduler.gamma: expected more than 0, got 0'),
    ('train', 'train.scheduler.milestones', [1.5], 'train.scheduler.milestones: expected weight steps, whole numbers'),
    ('train', 'train.scheduler.milestones', [-1], 'train.scheduler.milestones: expected weight steps, whole numbers'),
    ('train', 'train.scheduler', COSINE, 'train.scheduler.eta_min: expected at most optim_g.lr = 0.001, got 0.01'),
    ('train', 'datasets.train.std', [1, 0, 1], 'datasets.train.std: expected '),
    ('train', 'path.ignore_resume_networks', ['net_g'], 'path.ignore_resume_networks: expected a list of'),
    ('test', 'datasets', {}, 'datasets: expected at least one to test on'),
    ('search', 'search.strategy.lr', 0, 'search.strategy.lr: expected more than 0, got 0'),
    ('search', 'search.strategy.entropy_weight', -1, 'search.strategy.entropy_weight: expected at least 0, got -1'),
    ('search', 'search.strategy.baseline_decay', 1, 'search.strategy.baseline_decay: expected at least 0 and less'),
    ('search', 'search.strategy', {'type': 'evolution'},
     'search.strategy.population: expected less than 4, the genotypes that 2 controller rounds score, got 50'),
    ('search', 'search.penalty', [{'type': 'params', 'weight': 1., 'target': 1e6}],
     'search.penalty: params: the target 1e+06 is not below 8279, which the largest network of the space costs'),
])
def test_what_would_train_nothing_is_refused(world, task, place, value, message):
    outcome = run_two_steps(task, changed(world[1][task], place, value), world[0])
    assert outcome.code == 2 and outcome.is_fine and outcome.error.startswith(message), outcome


def test_no_metrics_are_as_good_as_none(world):
    for task in ('train', 'test'):
        outcome = run_two_steps(task, changed(world[1][task], 'val.metrics', {}), world[0])
        assert outcome.code == 0, outcome.error


def test_an_untrained_network_is_not_tested_in_silence(world):
    for value, says in ((None, True), (world[1]['test']['path']['pretrain_network_g'], False)):
        outcome = run_two_steps('test', changed(world[1]['test'], 'path.pretrain_network_g', value), world[0])
        assert outcome.code == 0 and ('a network that nothing has trained' in outcome.said) == says


@pytest.mark.parametrize('changes, key', [
    ({'search.warmup_iter': 100}, 'warmup_iter'), ({'search.warmup_iter': 12}, 'warmup_iter'),
    ({'search.controller_freq': 13}, 'controller_freq'),
    ({'search.warmup_iter': 9, 'search.controller_freq': 8}, 'controller_freq')])
def test_a_search_without_a_controller_round_is_refused(tmp_path, changes, key):
    said = run('search', tmp_path, search_options(tmp_path, **changes), expected=2)
    assert f'error: search.{key}: expected a controller round within train.total_iter = 12' in said
    assert not (tmp_path / 'experiments').exists()


@pytest.mark.parametrize('milestones, expected', [
    ([100], [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]), ([6], [0.25, 0.5, 0.75, 1, 1, 1, 0.5, 0.5]),
    ([2, 5], [0.25, 0.5, 0.75, 0.5, 0.5, 0.25, 0.25, 0.25])])
def test_the_warmup_ends_at_the_whole_learning_rate(tmp_path, milestones, expected):
    options = train_options(tmp_path, **{'train.warmup_iter': 4, 'train.scheduler.milestones': milestones,
                                         'train.total_iter': 8})
    run('train', tmp_path, options)
    rates = [float(line.split('lr:(')[1].split(',')[0]) for line in log(tmp_path).splitlines() if 'lr:(' in line]
    assert rates == pytest.approx([0.001 * share for share in expected])


@pytest.mark.parametrize('name', ['no_debugging', 'debug_x'])
def test_a_name_changes_no_frequency(tmp_path, name):
    options = train_options(tmp_path, name=name, **{'train.total_iter': 4, 'logger.print_freq': 2,
                                                    'logger.save_checkpoint_freq': 3, 'logger.use_tb_logger': True})
    run('train', tmp_path, options)
    assert [path.name for path in (tmp_path / 'experiments' / name / 'training_states').iterdir()] == ['3.state']
    assert [line.split('iter:')[1][:8].strip() for line in log(tmp_path, name).splitlines() if '][epoch:' in line] == \
        ['2', '4']
    assert list((tmp_path / 'tb_logger' / name).iterdir())


def test_less_is_better_for_some_metrics(tmp_path):
    options = train_options(tmp_path, **{'val.metrics': {
        'quality': {'type': 'calculate_niqe', 'crop_border': 2}, 'psnr': {'type': 'calculate_psnr', 'crop_border': 2},
        'other': {'type': 'calculate_niqe', 'crop_border': 2, 'better': 'higher'}}})
    metrics = with_defaults(options, 'train')['val']['metrics']
    assert [metric.get('better') for metric in metrics.values()] == ['lower', None, 'higher']


def test_the_newest_checkpoint_is_that_of_the_latest_iteration_whatever_its_date(searched, tmp_path):
    models = searched / 'models'
    assert torch.load(models / 'net_c_latest.pth', weights_only=True)['iter'] == 12
    copy = tmp_path / 'copy'
    shutil.copytree(searched, copy)
    for index, name in enumerate(['net_c_latest.pth', 'net_g_latest.pth', 'net_c_12.pth', 'net_c_4.pth']):
        os.utime(copy / 'models' / name, (10**9 + index, 10**9 + index))
    assert SearchExperiment(copy).iteration == 'latest'
    # A run that went on from 12 and was killed: what it saved is newer than the end of the run before.
    for label in ('net_g', 'net_c'):
        shutil.copy(models / f'{label}_12.pth', copy / 'models' / f'{label}_16.pth')
        os.utime(copy / 'models' / f'{label}_16.pth', (10**9, 10**9))
    assert SearchExperiment(copy).iteration == 'latest'  # it was not whole yet
    shutil.copy(copy / 'training_states/12.state', copy / 'training_states/16.state')
    assert SearchExperiment(copy).iteration == 16


def candidates(folder):
    found = SearchExperiment(folder)
    scores = derive(found.strategy, found.reward, found.reward_set, found.counter, 40, Budget(), 2,
                    found.opt['manual_seed'])
    return [(str(score.genotype), score.psnr) for score in scores]


def test_derivations_of_one_checkpoint_have_the_same_candidates_in_any_state_of_the_generators(searched):
    torch.manual_seed(1)
    first = candidates(searched)
    torch.manual_seed(2)
    assert candidates(searched) == first and len(first) > 30


DERIVE = """
import sys
sys.path[:0] = [{tests!r}, {here!r}]
import deconas_plugin
from test_senseless import candidates
print(candidates({folder!r}))
"""


@pytest.mark.slow
def test_derivations_in_fresh_processes_with_other_threads(searched):
    said = set()
    for number in range(6):
        environment = {**os.environ, 'OMP_NUM_THREADS': str(1 + number % 2), 'PYTHONHASHSEED': str(number)}
        script = DERIVE.format(tests=str(ROOT / 'tests'), here=str(Path(__file__).parent), folder=str(searched))
        said.add(subprocess.run([sys.executable, '-c', script], env=environment, check=True, capture_output=True,
                                text=True).stdout.splitlines()[-1])
    assert len(said) == 1
