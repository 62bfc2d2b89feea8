"""What cannot work is refused in one line, before a folder is touched; what can is taken as it is meant."""
import codecs
import re
from pathlib import Path

import pytest
import torch
import yaml
from helpers import changed
from lmdb_fixture import paired_folder, paired_lmdb
from safetensors.torch import save_file
from two_steps import base_options, run_two_steps


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp('runs')
    return root, base_options(root / 'data')


def refused(world, task, options):
    """str: The line that refuses options, after a look at what was touched."""
    outcome = run_two_steps(task, options, world[0])
    assert outcome.code == 2 and outcome.is_fine, outcome
    return outcome.error


@pytest.mark.parametrize('task, place, value, message', [
    ('train', 'num_gpu', 1, 'num_gpu: expected auto or 0, as there is no GPU here, got 1'),
    ('train', 'num_gpu', 1.5, 'num_gpu: expected auto or 0'),
    ('test', 'num_gpu', -1, 'num_gpu: expected auto or 0'),
    ('search', 'num_gpu', 'Auto', "num_gpu: expected auto or 0, .* got 'Auto'"),
    ('train', 'num_gpu', True, 'num_gpu: expected auto or 0'),
    ('train', 'num_gpu', None, 'num_gpu: expected auto or 0'),
    ('search', 'sample_photos', '', "sample_photos: expected a folder, got ''"),
    ('train', 'datasets.train.prefetch_mode', 'cuda', 'datasets.train.prefetch_mode: cuda needs a GPU'),
    ('train', 'datasets.val.prefetch_mode', 'cuda', 'datasets.val.prefetch_mode: cuda needs a GPU'),
    ('train', 'datasets.train.cache', 'cuda', 'datasets.train.cache: cuda needs a GPU'),
    ('train', 'datasets.train.persistent_workers', True, 'persistent_workers: expected num_worker_per_gpu'),
    ('train', 'datasets.val.persistent_workers', True, 'datasets.val.persistent_workers: only training data'),
    ('train', 'datasets.train.num_worker_per_gpu', 513, 'num_worker_per_gpu: expected at most 512'),
    ('train', 'datasets.train.batch_size_per_gpu', 33, 'dataset_enlarge_ratio: expected an epoch of at least one'),
    ('train', 'datasets.train.color', 'y', 'datasets.train.color: expected rgb .PairedImageDataset serves others'),
    ('train', 'datasets.val.name', 'a/b', "datasets.val.name: .*'a/b' has '/'"),
    ('train', 'datasets.val_2', 'datasets.val', 'datasets.val_2.name: expected another name than that of datasets.val'),
    ('train', 'logger.save_checkpoint_freq', 0, 'logger.save_checkpoint_freq: expected at least 1, got 0'),
    ('train', 'logger.save_checkpoint_freq', 2.5, 'logger.save_checkpoint_freq: expected a whole number, got 2.5'),
    ('train', 'logger.wandb', {'project': 'p'}, 'logger.wandb.project: expected use_tb_logger: true'),
    ('train', 'logger', {'print_freq': 1, 'save_checkpoint_freq': 1, 'use_tb_logger': True,
                         'wandb': {'project': 'p'}}, 'logger.wandb.project: wandb is not installed'),
    ('train', 'manual_seed', 2**33, 'manual_seed: expected at most 4000000000'),
    ('train', 'manual_seed', -1, 'manual_seed: expected at least 0'),
    ('train', 'model_type', 'ESRGANModel', 'model_type: expected DeCoNASModel or SRModel'),
    ('test', 'model_type', 'SwinIRModel', 'network_g.window_size: missing'),
    ('train', 'train.optim_g.type', 'LBFGS', 'train.optim_g: no step can be taken'),
    ('train', 'train.pixel_opt.reduction', 'none', 'train.pixel_opt: '),
    ('train', 'datasets.train.num_worker_per_gpu', 400, 'num_worker_per_gpu: expected at most [0-9]+ on the'),
    ('train', 'train.optim_g', {'type': 'Adam'}, 'train.optim_g.lr: missing'),
    ('train', 'train.ema_decay', 1, 'train.ema_decay: expected at most'),
    ('train', 'network_g.num_in_ch', 1, 'num_in_ch|rgb_mean'),
    ('test', 'val.metrics.psnr.better', 'less', 'val.metrics.psnr.better: expected higher or lower'),
    ('test', 'val.metrics.psnr.input_order', 'WHC', 'val.metrics.psnr: calculate_psnr gives no number'),
    ('test', 'val.metrics.psnr.type', 'calculate_niqe', 'calculate_niqe gives no number for 32x32 pixels'),
    ('test', 'network_g.operations', -1, 'network_g: .* describe no network'),
    ('train', 'network_g.num_layer', 10**30, 'network_g.num_layer: expected at most 32'),
    ('train', 'network_g.pretrained', ['x'], 'network_g.pretrained: expected the name'),
    ('test', 'val.suffix', '../x', 'val.suffix: expected a name'),
    ('search', 'search.reward.dataset.type', 'PairedImageDataset', 'search.reward.dataset.type: expected DeCoNASPatch'),
    ('search', 'search.reward.num_patches', 10**30, 'search.reward.num_patches: expected at most'),
    ('search', 'sample_photos', 'photos', 'scale: expected one of'),
])
def test_refused(world, task, place, value, message):
    options = changed(world[1][task], place, value)
    if value == 'datasets.val':
        options['datasets']['val_2'] = options['datasets']['val']
    if value == 'photos':
        options['scale'] = 5
    error = refused(world, task, options)
    assert re.search(message, error), error
    assert not (world[0] / 'photos').exists()


@pytest.mark.parametrize('name', ['', '.', '..', 'a/b', '../a', 'a\\b', '/tmp/a', '.hidden', 'a.', ' a', 'a ', '-rf',
                                  '~a', '<b>', 'a"b', 'a:b', 'a*', 'a?', 'a|b', 'a&b', "a'b", 'a\tb', 'nul', 'com1.x',
                                  'x' * 151, 'é' * 80])
def test_names_that_files_and_pages_do_not_take(world, name):
    assert refused(world, 'train', changed(world[1]['train'], 'name', name)).startswith('name: ')


@pytest.mark.parametrize('name', ['two words', 'Größe_x2', 'a.b-c_d+e=f@(g)[h],!', '実験', 'x' * 150])
def test_names_that_work(world, name):
    outcome = run_two_steps('train', changed(world[1]['train'], 'name', name), world[0])
    assert outcome.code == 0, outcome.error
    assert (world[0] / 'experiments' / name / 'models' / 'net_g_latest.pth').is_file()


def test_whole_floats_are_whole_numbers(world):
    options = world[1]['search']
    for place in ('scale', 'num_gpu', 'manual_seed', 'datasets.train.gt_size', 'datasets.train.batch_size_per_gpu',
                  'train.total_iter', 'train.scheduler.milestones', 'val.val_freq', 'val.metrics.psnr.crop_border',
                  'logger.print_freq', 'logger.save_checkpoint_freq', 'network_g.num_feat', 'network_c.num_hidden',
                  'search.warmup_iter', 'search.controller_freq', 'search.reward.num_patches', 'derive.num_samples',
                  'derive.train.total_iter'):
        value = options
        for name in place.split('.'):
            value = value[name]
        options = changed(options, place, [float(item) for item in value] if isinstance(value, list) else float(value))
    outcome = run_two_steps('search', options, world[0])
    assert outcome.code == 0, outcome.error
    text = yaml.safe_dump(world[1]['train'], sort_keys=False).replace('total_iter: 2', 'total_iter: !!float 2e0')
    assert run_two_steps('train', text.encode(), world[0]).code == 0


@pytest.mark.parametrize('encode, message', [
    (lambda text: text.replace('name: two\n', 'name: two\nname: three\n', 1), "line 2: the key 'name' stands twice"),
    (lambda text: text.replace('    gt_size: 16\n', '    gt_size: 16\n    gt_size: 32\n', 1),
     "the key 'gt_size' stands twice in one section"),
    (lambda text: ('# größer\n' + text).encode('latin-1'), 'is not in UTF-8'),
    (lambda text: text.encode('utf-16-le'), 'is not in UTF-8|is no YAML'),
])
def test_files_that_do_not_say_what_they_seem_to(world, encode, message):
    content = encode(yaml.safe_dump(world[1]['train'], sort_keys=False))
    error = refused(world, 'train', content if isinstance(content, bytes) else content.encode())
    assert re.search(message, error), error


@pytest.mark.parametrize('encode', [lambda text: codecs.BOM_UTF8 + text.encode(), lambda text: text.encode('utf-16'),
                                    lambda text: ('# größer\r\n' + text).encode()])
def test_files_in_other_encodings_of_unicode(world, encode):
    outcome = run_two_steps('train', encode(yaml.safe_dump(world[1]['train'], sort_keys=False)), world[0])
    assert outcome.code == 0, outcome.error
    copy = (world[0] / 'experiments/two/options.yml').read_text(encoding='utf-8')
    assert yaml.safe_load(copy)['name'] == 'two' and 'GENERATE TIME' in copy


def test_a_byte_order_mark_in_meta_info(world, tmp_path):
    gt, lq = paired_lmdb(tmp_path, count=16)
    for folder in (gt, lq):
        file = Path(folder, 'meta_info.txt')
        file.write_bytes(codecs.BOM_UTF8 + file.read_bytes())
    options = changed(changed(world[1]['train'], 'datasets.train.dataroot_gt', gt), 'datasets.train.dataroot_lq', lq)
    assert run_two_steps('train', options, world[0]).code == 0
    error = refused(world, 'train', changed(options, 'datasets.train.type', 'PairedImageDataset'))
    assert error.startswith('datasets.train: no sample can be read from this PairedImageDataset')


def test_validation_pairs_of_wrong_sizes(world):
    dataset = world[1]['train']['datasets']['val']
    swapped = {**dataset, 'dataroot_gt': dataset['dataroot_lq'], 'dataroot_lq': dataset['dataroot_gt']}
    for task, phase in (('train', 'val'), ('test', 'test_1')):
        error = refused(world, task, changed(world[1][task], f'datasets.{phase}', swapped))
        assert f'datasets.{phase}' in error and 'does not fit scale 2' in error


def test_single_images(world, tmp_path):
    _, lq = paired_folder(tmp_path, count=1, size=32)
    dataset = {'name': 'one', 'type': 'SingleImageDataset', 'dataroot_lq': lq, 'io_backend': {'type': 'disk'}}
    options = changed(world[1]['test'], 'datasets.test_1', dataset)
    assert 'val.metrics.psnr: calculate_psnr compares with HR images' in refused(world, 'test', options)
    options = changed(changed(options, 'val.metrics', None), 'val.save_img', True)
    outcome = run_two_steps('test', options, world[0])
    assert outcome.code == 0, outcome.error
    assert len(list((world[0] / 'results/two/visualization/one').glob('*.png'))) == 1
    assert 'io_backend: missing' in refused(world, 'test', changed(options, 'datasets.test_1.io_backend'))


@pytest.fixture
def weights(world):
    """dict[str, Tensor]: Of the network of the tests."""
    return torch.load(world[1]['test']['path']['pretrain_network_g'], weights_only=True)['params']


def test_weights_of_compiled_and_parallel_networks_load(world, weights, tmp_path):
    wrapped = tmp_path / 'wrapped.pth'
    torch.save({'params': {f'_orig_mod.module.{name}': value for name, value in weights.items()}}, wrapped)
    options = changed(world[1]['test'], 'path.pretrain_network_g', str(wrapped))
    assert run_two_steps('test', options, world[0]).code == 0
    error = refused(world, 'test', changed(options, 'model_type', 'SRModel'))
    assert 'it has names that begin with _orig_mod.' in error and 'set model_type: DeCoNASModel' in error


def test_weights_of_another_kind_are_called_by_their_name(world, weights, tmp_path):
    from deconas_plugin.archs.deconas_arch import DeCoNASNet
    options = {key: value for key, value in world[1]['test']['network_g'].items() if key != 'type'}
    net = DeCoNASNet(**options)
    torch.save({'params': net.fuse().state_dict()}, tmp_path / 'merged.pth')
    torch.save(weights, tmp_path / 'bare.pth')
    save_file({name: value.contiguous() for name, value in weights.items()}, tmp_path / 'net.safetensors')
    torch.save({'params': {'x': torch.zeros(1)}}, tmp_path / 'other.pth')
    for file, model, message in (
            ('merged.pth', 'SRModel', 'these are weights of a merged network'),
            ('merged.pth', 'DeCoNASModel', 'these are weights of a merged network'),
            ('bare.pth', 'SRModel', 'it holds no params'),
            ('net.safetensors', 'SRModel', 'SRModel reads .pth files alone'),
            ('other.pth', 'DeCoNASModel', 'it does not fit DeCoNASNet'),
            ('none.pth', 'DeCoNASModel', 'does not exist')):
        for task in ('test', 'train'):
            opt = changed(changed(world[1][task], 'path.pretrain_network_g', str(tmp_path / file)), 'model_type', model)
            error = refused(world, task, opt)
            assert error.startswith('path.pretrain_network_g: ') and message in error, error
    for file in ('bare.pth', 'net.safetensors'):
        assert run_two_steps('test', changed(world[1]['test'], 'path.pretrain_network_g', str(tmp_path / file)),
                             world[0]).code == 0
