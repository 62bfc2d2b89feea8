"""Losses and rewards that are not finite, steps that explode, and a controller that settles too early."""
import math

import pytest
import torch
from faults import BrokenLosses, BrokenRewards
from run_fixture import log, results, run, search_options, train_options

from deconas_plugin.errors import DivergenceError
from deconas_plugin.search.reinforce import ControllerWatch
from deconas_plugin.search.reward import Score
from deconas_plugin.space.genotype import Genotype
from deconas_plugin.training.loss_guard import LossGuard


def test_the_guard_skips_what_is_not_finite_or_explodes():
    guard = LossGuard(skip_loss_over=2.0, max_skips=3)
    losses = [1.0, 2.1, 1.9, math.nan, math.inf, 1.0]
    # The mean is 1.0, then 1.009: 2.1 is over twice that, 1.9 is not.
    assert [guard.allows(step, loss) for step, loss in enumerate(losses)] == [True, False, True, False, False, True]
    assert not guard.allows(6, 1.0, gradient_norm=math.nan)
    assert guard.skipped == 4
    copy = LossGuard(skip_loss_over=2.0, max_skips=3)
    copy.load_state_dict(guard.state_dict())
    assert not copy.allows(7, 2.1)
    with pytest.raises(DivergenceError, match='3 steps in a row were skipped up to iter 8'):
        copy.allows(8, 5.0)


def test_without_an_option_only_what_is_not_finite_is_skipped():
    guard = LossGuard(None, max_skips=20)
    assert guard.allows(1, 1e-3) and guard.allows(2, 1e6) and not guard.allows(3, math.inf)


def test_skipped_steps_leave_weights_and_averages_alone(tmp_path):
    options = train_options(tmp_path, **{'train.total_iter': 6, 'logger.save_checkpoint_freq': 1})
    said = run('train', tmp_path, options, prepare=BrokenLosses(range(3, 5)))
    assert 'Skipped the step of iter 3: loss nan' in said and '2 skipped so far' in said
    assert 'skipped: 2' in log(tmp_path)
    models = results(tmp_path)
    for key in ('params', 'params_ema'):
        before, after, later = (models[f'net_g_{step}.pth'][key]['conv_first.weight'] for step in (2, 4, 5))
        assert torch.equal(before, after) and not torch.equal(after, later)


def test_a_run_that_does_not_recover_stops_and_names_the_last_good_state(tmp_path):
    options = train_options(tmp_path, **{'train.max_skips': 3})
    said = run('train', tmp_path, options, prepare=BrokenLosses(range(6, 99)), expected=2)
    assert 'error: train.max_skips: 3 steps in a row were skipped up to iter 8' in said
    assert '4.state' in said and 'Traceback' not in said


def test_an_exploding_loss_is_skipped_in_a_search(tmp_path):
    options = search_options(tmp_path, **{'train.skip_loss_over': 10.0})
    said = run('search', tmp_path, options, prepare=BrokenLosses(range(3, 4), factor=1e4))
    assert said.count('Skipped the step of') == 1


def scores(*psnrs):
    genotype = Genotype.parse('111 100010', 1, 2)
    return [Score(genotype, psnr, {'params': 1.0}) for psnr in psnrs]


def test_rewards_that_are_not_finite_are_left_out():
    watch = ControllerWatch(min_entropy=0.1)
    assert watch.usable(scores(30.0), 1) == scores(30.0)
    assert watch.usable(scores(30.0, math.nan, 31.0), 1) == scores(30.0, 31.0)
    # A single one has nothing to be compared with.
    assert watch.usable(scores(30.0, math.inf), 1) == []
    assert watch.dropped == 2


def test_a_search_survives_rewards_that_are_not_finite(tmp_path):
    options = search_options(tmp_path, **{'search.num_samples': 3, 'train.total_iter': 8})
    said = run('search', tmp_path, options, prepare=BrokenRewards())
    assert said.count('Left out 1 of 3 rewards') == 4 and 'nan of' in said
    lines = results(tmp_path)['search_history.jsonl']
    assert len(lines) == 8 and all(math.isfinite(line['reward']) for line in lines)
    assert all(torch.isfinite(weight).all() for weight in results(tmp_path)['net_c_latest.pth']['params'].values())


def test_a_collapse_of_the_controller_is_reported_once(tmp_path):
    said = run('search', tmp_path, search_options(tmp_path, **{'search.min_entropy': 0.7}))  # over ln 2 = 0.693
    assert said.count('The controller has collapsed at iter 4') == said.count('has collapsed') == 1
