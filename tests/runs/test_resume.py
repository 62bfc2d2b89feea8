"""A run that was stopped or killed ends as the run that was not: same weights, genotypes, rewards, random numbers."""
import random
import signal
import time

import pytest
import torch
from faults import BasicSRPipeline, FullDisk, SignalAt, WatchMemory
from run_fixture import Run, differences, log, results, run, search_options, train_options

from deconas_plugin.runs.derivation import SearchExperiment

OPTIONS = {'search': search_options, 'train': train_options}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """task -> (options, results) of a run that nothing disturbed."""
    found = {}
    for task, options in OPTIONS.items():
        root = tmp_path_factory.mktemp(task)
        found[task] = options(root)
        run(task, root, found[task])
        found[task] = found[task], results(root)
    return found


@pytest.mark.parametrize('task', OPTIONS)
@pytest.mark.parametrize('iteration', [5, 6, 8])  # in an epoch, at its end, after a controller round
def test_a_stopped_run_continues_exactly(tmp_path, finished, task, iteration):
    options, expected = finished[task]
    said = run(task, tmp_path, options, prepare=SignalAt(iteration), expected=128 + signal.SIGTERM)
    assert f'Stopped at iter {iteration} and saved' in said and '--auto_resume' in said
    said = run(task, tmp_path, options, '--auto_resume')
    assert f'iter: {iteration}.' in said
    found = results(tmp_path)
    for name in set(found) - set(expected):  # the checkpoint that the signal asked for
        assert name.endswith(f'_{iteration}.pth')
        del found[name]
    assert differences(found, expected) == []


def test_a_run_ends_at_total_iter_and_keeps_the_newest_states(tmp_path, finished):
    options = finished['train'][0]
    options = {**options, 'logger': {**options['logger'], 'keep_states': 2, 'save_checkpoint_freq': 3}}
    run('train', tmp_path, options)
    assert 'iter:      12' in log(tmp_path) and 'iter:      13' not in log(tmp_path)
    folder = tmp_path / 'experiments/tiny'
    assert sorted(path.name for path in folder.glob('training_states/*')) == ['12.state', '9.state']
    assert len(list(folder.glob('models/net_g_[0-9]*.pth'))) == 4


def test_the_best_network_is_kept(finished):
    models = finished['train'][1]
    best = models['state']['best_metric_results']['val']['psnr']
    assert best['iter'] in (5, 10, 12)
    assert set(models['net_g_best.pth']) == {'params', 'params_ema', 'iter'}


def test_workers_do_not_matter_to_the_patch_dataset(tmp_path, finished):
    options, expected = finished['train']
    train = {**options['datasets']['train'], 'num_worker_per_gpu': 2}
    options = {**options, 'datasets': {**options['datasets'], 'train': train}}
    said = run('train', tmp_path, options, prepare=SignalAt(5, signal.SIGINT), expected=128 + signal.SIGINT)
    assert 'not be exact' not in said
    run('train', tmp_path, options, '--auto_resume')
    assert differences(results(tmp_path)['net_g_latest.pth'], expected['net_g_latest.pth']) == []


@pytest.mark.parametrize('workers', [0, 2])
def test_datasets_of_basicsr_are_exact_without_workers_and_say_so(tmp_path, finished, workers):
    options = finished['train'][0]
    train = {**options['datasets']['train'], 'type': 'PairedImageDataset', 'num_worker_per_gpu': workers,
             'use_hflip': True, 'use_rot': True}
    options = {**options, 'datasets': {**options['datasets'], 'train': train}}
    if workers:
        said = run('train', tmp_path / 'a', {**options, 'train': {**options['train'], 'total_iter': 1}})
        assert 'Resuming will not be exact' in said and 'num_worker_per_gpu: 0' in said
        return
    assert 'not be exact' not in run('train', tmp_path / 'a', options)
    run('train', tmp_path / 'b', options, prepare=SignalAt(5), expected=143)
    run('train', tmp_path / 'b', options, '--auto_resume')
    first, second = (results(tmp_path / folder) for folder in 'ab')
    assert differences(first['net_g_latest.pth'], second['net_g_latest.pth']) == []


def test_a_second_signal_stops_at_once(tmp_path, finished):
    options = finished['train'][0]
    said = run('train', tmp_path, options, prepare=SignalAt(6, signal.SIGINT, times=2), expected=-signal.SIGINT)
    assert 'Stopped at' not in said
    assert not (tmp_path / 'experiments/tiny/training_states/6.state').exists()


def test_a_broken_checkpoint_is_passed_over_and_set_aside(tmp_path, finished):
    options, expected = finished['train']
    run('train', tmp_path, options, prepare=SignalAt(9), expected=143)
    folder = tmp_path / 'experiments/tiny'
    state, network = folder / 'training_states/9.state', folder / 'models/net_g_8.pth'
    state.write_bytes(state.read_bytes()[:-500])
    network.write_bytes(network.read_bytes()[:100])
    said = run('train', tmp_path, options, '--auto_resume')
    assert 'Resuming training from epoch: 0, iter: 4.' in said
    assert said.count('Not whole') == 2 and str(state) in said and str(network) in said
    assert differences(results(tmp_path)['net_g_latest.pth'], expected['net_g_latest.pth']) == []
    assert len(list(folder.glob('training_states/*_archived_*'))) == 2


def test_changed_options_are_named_or_refused(tmp_path, finished):
    options = finished['search'][0]
    run('search', tmp_path, options, prepare=SignalAt(5), expected=143)
    longer = {**options, 'train': {**options['train'], 'total_iter': 6}}
    assert 'train.total_iter: 12 -> 6' in run('search', tmp_path, longer, '--auto_resume')
    wider = {**options, 'network_g': {**options['network_g'], 'num_feat': 16}}
    said = run('search', tmp_path, wider, '--auto_resume', expected=2)
    assert 'error: network_g.num_feat: this run began with 8' in said and 'Traceback' not in said


def test_a_changed_schedule_takes_effect(tmp_path, finished):
    options = finished['train'][0]
    run('train', tmp_path, options, prepare=SignalAt(5), expected=143)
    schedule = {**options['train']['scheduler'], 'milestones': [10]}
    run('train', tmp_path, {**options, 'train': {**options['train'], 'scheduler': schedule}}, '--auto_resume')
    assert 'iter:       9, lr:(1.000e-03' in log(tmp_path) and 'iter:      12, lr:(5.000e-04' in log(tmp_path)


def test_a_drawn_seed_is_kept(tmp_path, finished):
    options = {**finished['train'][0], 'manual_seed': None}
    run('train', tmp_path, options, prepare=SignalAt(5), expected=143)
    state = torch.load(tmp_path / 'experiments/tiny/training_states/5.state', weights_only=True)
    assert f'manual_seed: {state["options"]["manual_seed"]}' in run('train', tmp_path, options, '--auto_resume')


@pytest.mark.parametrize('ending', ['8.state', 'net_g_8.pth', 'net_c_8.pth'])
def test_a_full_disk_leaves_the_last_checkpoint_whole(tmp_path, finished, ending):
    options, expected = finished['search']
    said = run('search', tmp_path, options, prepare=FullDisk(ending), expected=2)
    assert f'{ending}: cannot be written (No space left on device)' in said and 'Traceback' not in said
    assert not list(tmp_path.rglob('.*.tmp'))
    run('search', tmp_path, options, '--auto_resume')
    assert differences(results(tmp_path), expected) == []


def test_a_state_of_basicsrs_own_pipeline_is_continued_and_called_inexact(tmp_path, finished):
    options = finished['train'][0]
    run('train', tmp_path, {**options, 'train': {**options['train'], 'total_iter': 8}}, prepare=BasicSRPipeline())
    said = run('train', tmp_path, options, '--auto_resume')
    assert 'Resuming is not exact' in said and 'Resuming training from epoch: 1, iter: 8.' in said
    assert (tmp_path / 'experiments/tiny/models/net_g_12.pth').exists()


@pytest.mark.slow
def test_a_long_search_does_not_grow(tmp_path):
    options = search_options(tmp_path, **{'train.total_iter': 2000, 'search.controller_freq': 10,
                                          'val.val_freq': 100, 'logger.save_checkpoint_freq': 100})
    process = Run('search', tmp_path, options, prepare=WatchMemory(tmp_path, 100))
    assert process.wait(550) == 0
    memory = [float(line) for line in (tmp_path / 'memory.txt').read_text().split()]
    assert len(memory) == 20
    assert memory[-1] - memory[4] < 5, memory  # MiB, from iteration 500 on


def kill_at_random(tmp_path, options, kills, seed):
    """Kill a search at random moments, each time going on with --auto_resume, then let it end."""
    rng = random.Random(seed)
    run_seconds = 1.5
    for _ in range(kills):
        process = Run('search', tmp_path, options, '--auto_resume')
        time.sleep(rng.uniform(0.3, run_seconds))
        process.process.kill()
        process.wait()
        if process.process.exitcode == 0:  # it was faster
            return kills
    run('search', tmp_path, options, '--auto_resume')


def test_killed_at_three_moments(tmp_path, finished):
    options, expected = finished['search']
    kill_at_random(tmp_path, options, 3, seed=1)
    assert differences(results(tmp_path), expected) == []


@pytest.mark.slow
def test_killed_at_twenty_moments(tmp_path):
    options = search_options(tmp_path, **{'train.total_iter': 200, 'logger.save_checkpoint_freq': 5,
                                          'val.val_freq': 40})
    run('search', tmp_path / 'whole', options)
    kill_at_random(tmp_path / 'killed', options, 20, seed=2)
    assert differences(results(tmp_path / 'killed'), results(tmp_path / 'whole')) == []


def test_what_an_extended_search_left_behind_does_not_count(tmp_path):
    options = search_options(tmp_path, **{'train.total_iter': 6, 'search.controller_freq': 2,
                                          'search.strategy': {'type': 'random'}})
    folder = tmp_path / 'experiments/tiny'
    run('search', tmp_path, options)
    assert SearchExperiment(folder).iteration == 'latest'  # 6, beyond net_c_4
    longer = {**options, 'train': {**options['train'], 'total_iter': 12}}
    run('search', tmp_path, longer, '--auto_resume', prepare=SignalAt(11, signal.SIGKILL), expected=-signal.SIGKILL)
    found = SearchExperiment(folder)
    assert found.iteration == 8 and (folder / 'models/net_c_latest.pth').exists()
    saved = torch.load(folder / 'models/net_g_8.pth', weights_only=True)['params']
    assert differences(found.supernet.state_dict(), saved) == []
    # What was scored after this checkpoint, and written, is not known to it.
    history = results(tmp_path)['search_history.jsonl']
    assert {line['iter'] for line in history} == {4, 6, 8, 10}
    known = {str(genotype) for genotype in found.strategy.scored}
    assert known == {line['genotype'] for line in history if line['iter'] <= 8}
    run('search', tmp_path, longer, '--auto_resume')
    assert SearchExperiment(folder).iteration == 'latest'
