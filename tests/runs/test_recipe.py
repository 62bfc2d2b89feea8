"""What a modern recipe needs, each against numbers, and all of it together under interruptions."""
import math
import re
import signal
import time
from collections import Counter

import pytest
import torch
from faults import SavedOnGPU, SignalAt, TimeIsUpAt
from lmdb_fixture import dataset_options, paired_lmdb
from run_fixture import changed, differences, log, results, run, search_options, train_options
from torch import nn

from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.patch_draw import PatchDraw
from deconas_plugin.errors import DeCoNASError
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.options.check import check_options
from deconas_plugin.training.loaders import TrainingData
from deconas_plugin.training.losses import FrequencyLoss
from deconas_plugin.training.schedules import WarmupCosineLR, ema_decay_at

RECIPE = {
    'train.optim_g': {'type': 'AdamW', 'lr': 0.002, 'betas': [0.9, 0.99], 'weight_decay': 0.0001},
    'train.scheduler': {'type': 'WarmupCosineLR'}, 'train.warmup_iter': 3, 'train.ema_decay': 0.9,
    'train.pixel_opt': {'type': 'CharbonnierLoss', 'eps': 1.0e-6}, 'train.grad_clip': 0.5,
    'train.frequency_opt': {'type': 'FrequencyLoss', 'loss_weight': 0.5}, 'train.frequency_share': 0.5,
    'datasets.train.final_gt_size': 32, 'datasets.train.final_share': 0.34,
    'datasets.train.use_channel_shuffle': True,
}


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """Options of a run with the whole recipe, its results when nothing disturbed it, and its log."""
    root = tmp_path_factory.mktemp('recipe')
    options = train_options(root, **RECIPE)
    run('train', root, options)
    return options, results(root), log(root)


def rates(warmup_iter, total_iter=10, peak=1.0, **keywords):
    """Learning rates of iterations 1 to ``total_iter``, as BasicSR's models set them."""
    optimizer = torch.optim.Adam([nn.Parameter(torch.zeros(1))], peak)
    model = DeCoNASModel.__new__(DeCoNASModel)
    model.optimizers = [optimizer]
    model.schedulers = [WarmupCosineLR(optimizer, total_iter, warmup_iter, **keywords)]
    found = []
    for current_iter in range(1, total_iter + 1):
        model.update_learning_rate(current_iter, warmup_iter)
        optimizer.step()
        found.append(optimizer.param_groups[0]['lr'])
    return found


def test_the_rate_rises_linearly_and_falls_on_one_cosine_to_its_minimum():
    found = rates(4)
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx([(1 + math.cos(math.pi * i / 6)) / 2 for i in range(1, 7)])
    assert found[-1] == 0
    assert rates(-1, eta_min=0.1)[4] == pytest.approx(0.55) and rates(-1, eta_min=0.1)[-1] == pytest.approx(0.1)


def test_frequency_loss_of_a_constant_and_its_independence_of_the_size():
    # Of a constant there is one coefficient, N times as large, among the 2 N (N / 2 + 1) numbers of a real transform.
    image = torch.rand(2, 3, 8, 8)
    assert FrequencyLoss(loss_weight=2.0)(image + 0.1, image).item() == pytest.approx(2 * 0.1 / (8 + 2), rel=1e-4)
    torch.manual_seed(0)
    small, large = (FrequencyLoss()(torch.randn(1, 3, size, size), torch.zeros(1, 3, size, size)).item()
                    for size in (16, 128))
    assert small == pytest.approx(large, rel=0.1)
    prediction = torch.rand(1, 3, 8, 8, dtype=torch.bfloat16, requires_grad=True)
    FrequencyLoss()(prediction, torch.zeros(1, 3, 8, 8)).backward()
    assert prediction.grad.abs().sum() > 0


def test_averaged_weights_forget_the_initial_ones_at_once():
    assert [ema_decay_at(0.999, i) for i in (0, 90, 10**6)] == pytest.approx([0.1, 0.91, 0.999])
    model = DeCoNASModel.__new__(DeCoNASModel)
    model.net_g, model.net_g_ema = (nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)) for _ in range(2))
    first = [weight.clone() for weight in model.net_g_ema.parameters()]
    model.net_g(torch.rand(4, 2))
    model.model_ema(0.75)
    for before, now, target in zip(first, model.net_g_ema.parameters(), model.net_g.parameters(), strict=True):
        torch.testing.assert_close(now, 0.75 * before + 0.25 * target)
    assert all(torch.equal(*pair) for pair in zip(model.net_g.buffers(), model.net_g_ema.buffers(), strict=True))


def test_averaged_weights_are_what_is_validated(tmp_path, finished):
    """The last PSNR that the run logged is that of the averaged weights in net_g_latest.pth, and of no others."""
    from basicsr.archs import build_network
    from basicsr.data import build_dataset
    from basicsr.metrics import calculate_psnr
    from basicsr.utils import tensor2img
    options, found, logged = finished
    net = build_network(dict(options['network_g']))
    dataset = build_dataset({**options['datasets']['val'], 'phase': 'val', 'scale': 2})
    psnr = {}
    for key in ('params', 'params_ema'):
        net.load_state_dict(found['net_g_latest.pth'][key])
        with torch.no_grad():
            pairs = [(tensor2img([net(data['lq'][None])]), tensor2img([data['gt']])) for data in dataset]
        psnr[key] = sum(calculate_psnr(*pair, crop_border=2) for pair in pairs) / len(pairs)
    last = float(re.findall(r'# psnr: ([\d.]+)', logged)[-1])
    assert psnr['params_ema'] == pytest.approx(last, abs=1e-3)
    assert abs(psnr['params'] - last) > 0.01


def test_channels_are_shuffled_alike_in_both_patches_and_by_the_draw_alone(tmp_path):
    databases = paired_lmdb(tmp_path)
    plain, shuffled = (DeCoNASPatchDataset(dataset_options(*databases, use_channel_shuffle=shuffle))
                       for shuffle in (False, True))
    orders = Counter()
    for position in range(60):
        draw = PatchDraw(position % 6, 0, position, 7)
        ours, reference = shuffled[draw], plain[draw]
        order = [next(c for c in range(3) if torch.equal(reference['gt'][c], channel)) for channel in ours['gt']]
        assert torch.equal(ours['lq'], reference['lq'][order])
        assert torch.equal(ours['gt'], shuffled[draw]['gt'])
        orders[tuple(order)] += 1
    assert len(orders) == 6 and max(orders.values()) < 25


@pytest.mark.parametrize('start', [0, 5, 8, 11])
def test_patches_are_larger_in_the_last_part_wherever_a_run_starts(tmp_path, start):
    options = train_options(tmp_path, **{'datasets.train.final_gt_size': 32, 'datasets.train.final_share': 0.25})
    options.update(rank=0, world_size=1, dist=False)
    options['datasets']['train'].update(phase='train', scale=2)
    data = TrainingData(options)
    per_epoch = len(data.sampler) // data.batch_size
    batches = data.batches(start // per_epoch, start % per_epoch * data.batch_size, start)
    found = [next(batches)[2]['gt'].shape[-1] for _ in range(start, 12)]
    assert found == ([16] * 9 + [32] * 3)[start:]


def test_interrupted_three_times_it_ends_the_same(tmp_path, finished):
    options, expected, logged = finished
    assert ' l_freq:' not in logged.split('iter:       7')[0] and logged.count(' l_freq:') == 6
    assert logged.count('lr:(2.000e-03') == logged.count('lr:(0.000e+00') == 1
    breaks = [TimeIsUpAt(2), SignalAt(5), TimeIsUpAt(10, in_validation=True)]
    for number, (prepare, code) in enumerate(zip(breaks, (0, 128 + signal.SIGTERM, 0), strict=True)):
        said = run('train', tmp_path, options, '--auto_resume', prepare=prepare, expected=code)
        assert f'topped at iter {prepare.iteration} and saved. The same command continues there.' in said
        assert ('The time of train.max_minutes is up' in said) == (number != 1)
    run('train', tmp_path, options, '--auto_resume')
    found = results(tmp_path)
    for iteration in (2, 5, 10):
        found.pop(f'net_g_{iteration}.pth', None)
    assert differences(found, expected) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason='a GPU would take them back')
def test_a_state_that_was_saved_on_a_gpu_continues_on_the_cpu(tmp_path, finished):
    options, expected, _ = finished
    run('train', tmp_path, options, prepare=SavedOnGPU(SignalAt(5)), expected=128 + signal.SIGTERM)
    with pytest.raises(RuntimeError, match='deserialize object on a CUDA device'):
        torch.load(tmp_path / 'experiments/tiny/training_states/5.state', weights_only=True)
    run('train', tmp_path, options, '--auto_resume')
    (tmp_path / 'experiments/tiny/models/net_g_5.pth').unlink()
    (tmp_path / 'experiments/tiny/models/net_g_4.pth').unlink()
    found = results(tmp_path)
    assert differences(found, {name: expected[name] for name in found}) == []


def test_a_validation_that_was_cut_off_at_the_end_is_made_up_for(tmp_path, finished):
    options, expected, _ = finished
    said = run('train', tmp_path, options, prepare=TimeIsUpAt(12, in_validation=True))
    assert 'stopped at iter 12 and saved. The same command with --auto_resume continues there.' in said
    assert results(tmp_path)['state']['best_metric_results']['val']['psnr']['iter'] < 12
    run('train', tmp_path, options, '--auto_resume')
    assert differences(results(tmp_path), expected) == []


def test_a_time_limit_is_kept_and_a_minute_is_a_checkpoint(tmp_path, finished):  # imports are done then
    options = train_options(tmp_path, **{
        'train.total_iter': 10**7, 'train.max_minutes': 0.05, 'val': None, 'logger.print_freq': 1000,
        'logger.save_checkpoint_freq': 10**6, 'logger.save_checkpoint_minutes': 0.004, 'logger.keep_states': 2})
    started = time.monotonic()
    said = run('train', tmp_path, options)
    assert 3 <= time.monotonic() - started < 3 + 15
    assert said.count('Saving models') > 4 and 'The time of train.max_minutes is up' in said
    folder = tmp_path / 'experiments/tiny'
    states = {path.stem for path in folder.glob('training_states/*.state')}
    assert len(states) == 2
    # None of these checkpoints was one of save_checkpoint_freq, so none of the older networks stays.
    assert {path.stem.removeprefix('net_g_') for path in folder.glob('models/*.pth')} == states


def test_a_search_stops_in_time_too_and_does_not_derive(tmp_path):
    options = search_options(tmp_path, **{'train.max_minutes': 1})
    said = run('search', tmp_path, options, prepare=TimeIsUpAt(3))
    assert 'stopped at iter 3' in said and not (tmp_path / 'experiments/tiny/derived').exists()


@pytest.mark.parametrize('changes, message', [
    ({'train.warmup_iter': 12, 'train.scheduler': {'type': 'WarmupCosineLR'}},
     'train.scheduler: .*expected fewer warm-up iterations than the 12 of the training, got 12'),
    ({'train.scheduler': {'type': 'WarmupCosineLR', 'warmup_iter': 2}}, 'WarmupCosineLR has no such option'),
    ({'train.scheduler': {'type': 'WarmupCosineLR'}, 'model_type': 'SRModel'},
     'train.scheduler.type: SRModel does not know it; set model_type: DeCoNASModel'),
    ({'train.frequency_opt': {'type': 'FrequencyLoss'}, 'model_type': 'SRModel'}, 'train.frequency_opt: SRModel does'),
    ({'train.precision': 'bf16', 'model_type': 'SRModel'}, "train.precision: SRModel ignores it, got 'bf16'"),
    ({'train.grad_clip': 1.0, 'model_type': 'SRModel'}, 'train.grad_clip: SRModel ignores it, got 1.0'),
    ({'train.frequency_opt': {'type': 'FrequencyLos'}}, 'train.frequency_opt.type: .*did you mean FrequencyLoss'),
    ({'train.frequency_share': 2}, 'train.frequency_share: expected at most 1, got 2'),
    ({'train.max_minutes': 0}, 'train.max_minutes: expected more than 0, got 0'),
    ({'datasets.train.final_gt_size': 8}, 'final_gt_size: expected a multiple of the scale, 2, from gt_size on, got 8'),
    ({'datasets.train.final_gt_size': 64}, 'is smaller than final_gt_size 64 .lower final_gt_size'),
    ({'datasets.train.type': 'PairedImageDataset', 'datasets.train.final_gt_size': 32},
     'datasets.train.final_gt_size: PairedImageDataset has no such option'),
])
def test_mistakes_are_named(tmp_path, changes, message):
    with pytest.raises(DeCoNASError, match=message) as caught:
        check_options(changed(train_options(tmp_path), **changes), 'train.yml', 'train')
    assert '\n' not in str(caught.value)
