"""Option files: those shipped are valid, and mistakes are named before any folder is made."""
import re
from pathlib import Path

import pytest
import torch
from helpers import changed
from lmdb_fixture import paired_folder, paired_lmdb, put_entry
from small_run import small_search, write_options

from deconas_plugin.errors import DataError, DeCoNASError, OptionError
from deconas_plugin.files.option_files import flat_options, save_options
from deconas_plugin.options import check as checker
from deconas_plugin.options.check import check_options
from deconas_plugin.options.read import load_options

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / 'options').glob('*.yml'))
SHIPPED = [path for path in FILES if not path.name.startswith('league')]


@pytest.fixture
def opt(tmp_path):
    return small_search(tmp_path)


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: path.name)
def test_shipped_options_are_valid(path, monkeypatch):
    monkeypatch.setattr(checker, 'check_data', lambda opt, task: None)
    monkeypatch.setattr(checker, 'check_weights', lambda opt, networks: None)
    check_options(load_options(path), str(path), path.name.split('_')[0])


def test_published_options_name_the_published_network():
    for path in SHIPPED:
        opt = load_options(path)
        if re.fullmatch(r'(train|test)_DeCoNASNet_x\d(_short|_from_x2)?', path.stem):
            assert opt['network_g']['genotype'] == 'DeCoNASNet_x2'
        scale = int(path.stem.split('_x')[1][0])
        assert opt['scale'] == opt['network_g']['upscale'] == scale
        assert {metric['crop_border'] for metric in opt['val']['metrics'].values()} == {scale}


@pytest.mark.parametrize('scale', [3, 4])
def test_searches_differ_in_their_scale_only(scale):
    """What is measured in HR pixels grows with the scale, from the LR patches of x2."""

    def at_scale(name, value):
        if name.endswith('gt_size'):
            return value * scale // 2
        if name in ('scale', 'network_g.upscale') or name.endswith('crop_border'):
            return scale
        return re.sub('(?i)(x|mod)2', rf'\g<1>{scale}', value) if isinstance(value, str) else value

    expected, found = (flat_options(load_options(ROOT / 'options' / f'search_x{number}.yml')) for number in (2, scale))
    assert found == {name: at_scale(name, value) for name, value in expected.items()}


def test_schedule_of_the_paper():
    opt = load_options(ROOT / 'options' / 'search_x2.yml')
    search, total = opt['search'], opt['train']['total_iter']
    rounds = [i for i in range(1, total + 1) if i > search['warmup_iter'] and i % search['controller_freq'] == 0]
    assert (total, rounds[0], len(rounds) * search['controller_steps']) == (200_000, 6000, 19_500)


def test_a_whole_search_file_passes(opt):
    check_options(opt, 'small.yml', 'search')


@pytest.mark.parametrize('path, value, message', [
    ('network_g.num_feet', 8, r'network_g.num_feet: DeCoNASSuperNet has no such option; did you mean num_feat\?'),
    ('train.total_itr', 8, r'train.total_itr: unknown option; did you mean total_iter\?'),
    ('train.scheduler.type', 'MultiStep', r'train.scheduler.type: nothing is .*; did you mean MultiStepLR\?'),
    ('train.optim_g.lr', '1e-4', r'train.optim_g.lr: expected a number, got .1e-4. \(text\); write 0.0001'),
    ('search.warmup_iter', '100', r'search.warmup_iter: expected a whole number, got .100. \(text\); write 100'),
    ('train.total_iter', True, 'train.total_iter: expected a whole number, got True'),
    ('search.num_samples', 0, 'search.num_samples: expected at least 1, got 0'),
    ('model_type', 'DeCoNASModle', r'model_type: nothing is registered as .*did you mean DeCoNASModel\?'),
    ('network_g.type', 'DeCoNASNet', 'network_g.type: expected DeCoNASSuperNet, got'),
    ('network_g.upscale', 3, 'network_g.upscale: expected the scale 2, got 3'),
    ('val.metrics.psnr.crop_border', 4, 'val.metrics.psnr.crop_border: expected the scale 2, got 4'),
    ('val.metrics.psnr.type', 'psnr', 'val.metrics.psnr.type: nothing is registered as .psnr.'),
    ('datasets.train.gt_size', 25, 'datasets.train.gt_size: expected a multiple of the scale 2, got 25'),
    ('datasets.train.gt_size', 64, '0001_s001. is smaller than gt_size 64'),
    ('datasets.train.dataroot_gt', 'datasets/DIV2K/DIV2K_train_HR_sub.lmdb',
     r'does not exist; prepare it: python tools/prepare_data.py --hr FOLDER_OF_HR_IMAGES --scale 2 --name DIV2K'),
    ('search.reward.dataset.keys', '0004-0005', r'search.reward.dataset: .*both read 0004'),
    ('datasets.val.keys', '0001', 'datasets.val: expected other images than datasets.train'),
    ('datasets.train.keys', '0007', 'matches none'),
    ('datasets.train', ..., 'datasets.train: missing'),
    ('search.penalty.0.type', 'flops', 'search.penalty.0..type: nothing is registered as .flops.'),
    ('search.strategy.learning_rate', 1.0, 'search.strategy.learning_rate: reinforce has no such option'),
    ('derive.train.pixel_opt', ..., 'derive.train.pixel_opt: missing'),
    ('train.grad_clip', 0, 'train.grad_clip: expected more than 0, got 0'),
    ('train.grad_clip', -1.0, 'train.grad_clip: expected more than 0, got -1.0'),
    ('scale', 5, 'scale: expected one of 2, 3, 4, got 5'),
    ('search', [], 'search: expected a section with keys'),
    ('path.pretrain_network_g', 'missing.pth', 'path.pretrain_network_g: missing.pth does not exist'),
])
def test_mistakes_are_named(opt, path, value, message):
    with pytest.raises(DeCoNASError, match=message) as caught:
        check_options(changed(opt, path, value), 'small.yml', 'search')
    assert '\n' not in str(caught.value) and str(caught.value).endswith('(small.yml)')


@pytest.mark.parametrize('changes, message', [
    ({'search.num_samples': 1}, 'search.num_samples: expected at least 2 for the baseline leave_one_out, got 1'),
    ({'search.strategy.baseline': 'loo'}, 'search.strategy.baseline: expected one of moving_average, leave_one_out'),
    ({'search.strategy.lr': -1.0}, 'search.strategy.lr: expected more than 0, got -1.0'),
    ({'search.strategy': {'type': 'evolution', 'population': 4, 'tournament': 5}},
     r'search.strategy.tournament: expected 1 to search.strategy.population \(4\), got 5'),
    ({'network_c.tanh_constant': -1}, '^network_c.tanh_constant: expected a positive number'),
    ({'search.penalty.0.target': 10}, 'search.penalty: params: the target 10 is below'),
    ({'search.penalty': [{'type': 'params', 'weight': 1.0}] * 2}, 'search.penalty: params is there twice'),
    ({'search.penalty.0.type': 'latency'}, 'search.latency_table: missing; the measure latency needs it'),
    ({'search.latency_table': 'none.yml'}, 'search.latency_table: none.yml is no latency table'),
    ({'derive.front': ['flops']}, r"derive.front: expected some of params, mult_adds \(.*got \['flops'\]"),
    ({'derive.front': ['params', 'latency']}, r'derive.front: .*latency with search.latency_table'),
    ({'derive.front': [['params']]}, r"derive.front: no front can be taken against \[\['params'\]\]"),
    ({'derive.max_latency': 5.0}, 'derive.max_latency: expected search.latency_table with it, got 5.0 alone'),
    ({'derive.max_params': 100}, 'derive.max_params: expected at least [0-9,]+, which the smallest network .*got 100'),
    ({'derive.max_mult_adds': 1.0e6}, 'derive.max_mult_adds: expected at least .*got 1,000,000'),
    ({'train.precision': 'fp16'}, 'train.precision: fp16 needs a CUDA device, this runs on cpu'),
    ({'search.reward.precision': 'fp16'}, 'search.reward.precision: fp16 needs a CUDA device'),
    ({'derive.train.precision': 'fp16'}, 'derive.train.precision: fp16 needs a CUDA device'),
    ({'network_g.num_feat': [16, 24], 'derive.train.precision': 'bf16'},
     'derive.train.precision: bf16 on a CPU needs num_feat to be a multiple of 16, got 16, 24'),
    # The smallest network is one of the smallest width.
    ({'network_g.num_feat': [8, 16], 'derive.max_params': 1}, 'derive.max_params: expected at least 4,851, '),
])
def test_a_search_that_could_not_end_does_not_begin(opt, changes, message):
    for path, value in changes.items():
        opt = changed(opt, path, value)
    with pytest.raises(OptionError, match=message) as caught:
        check_options(opt, 'small.yml', 'search')
    assert '\n' not in str(caught.value) and str(caught.value).endswith('(small.yml)')


@pytest.mark.parametrize('num_feat', [8, [8, 16]])
def test_a_search_with_limits_it_can_keep_passes_and_leaves_the_random_state_alone(opt, num_feat):
    opt = changed(changed(opt, 'network_g.num_feat', num_feat), 'derive.front', ['params', 'mult_adds'])
    state = torch.get_rng_state()
    check_options(changed(changed(opt, 'derive.max_params', 1e6), 'train.precision', None), 'small.yml', 'search')
    assert torch.equal(torch.get_rng_state(), state)


def test_wrong_genotype_names_key_and_file(opt):
    train = {key: value for key, value in opt.items() if key not in ('search', 'derive', 'network_c')}
    train = changed(changed(train, 'model_type', 'DeCoNASModel'), 'network_g', {
        'type': 'DeCoNASNet', 'genotype': '111 110100 011000010 01001110000', 'num_feat': 8})
    with pytest.raises(OptionError, match=r'network_g.genotype: expected 30 bits for num_layer=4 .*got 29 '
                                          r'\(train.yml\)'):
        check_options(train, 'train.yml', 'train')


def test_data_that_does_not_pair_up(opt, tmp_path):
    gt, lq = paired_lmdb(tmp_path / 'other', count=4)
    Path(lq, 'meta_info.txt').write_text('0001_s001.png (24,24,3) 1\n')
    broken = changed(changed(opt, 'datasets.val.dataroot_gt', gt), 'datasets.val.dataroot_lq', lq)
    with pytest.raises(DataError, match='datasets.val: .*hold different images'):
        check_options(broken, 'small.yml', 'search')
    Path(gt, 'meta_info.txt').write_text('')
    with pytest.raises(DataError, match='datasets.val: .*names no images'):
        check_options(broken, 'small.yml', 'search')


def test_folders_are_checked_too(opt, tmp_path):
    gt, lq = paired_folder(tmp_path / 'folders', count=2)
    disk = {'io_backend': {'type': 'disk'}, 'type': 'PairedImageDataset', 'name': 'val', 'dataroot_gt': gt,
            'dataroot_lq': lq}
    check_options(changed(opt, 'datasets.val', disk), 'small.yml', 'search')
    next(Path(lq).iterdir()).unlink()
    with pytest.raises(DataError, match='datasets.val: .*no such file'):
        check_options(changed(opt, 'datasets.val', disk), 'small.yml', 'search')


@pytest.mark.parametrize('text, message', [('a: [', 'no YAML file'), ('- 1', 'found list'),
                                           ('a: !!python/object/apply:os.system ["true"]', 'no YAML file')])
def test_files_that_are_no_options(tmp_path, text, message):
    path = tmp_path / 'bad.yml'
    path.write_text(text)
    with pytest.raises(OptionError, match=message) as caught:
        load_options(path)
    assert '\n' not in str(caught.value)
    with pytest.raises(OptionError, match='cannot read'):
        load_options(tmp_path / 'none.yml')


def test_force_yml_is_yaml_and_never_code(tmp_path, opt):
    path = write_options(tmp_path, opt)
    changed = load_options(path, ['train:optim_g:lr=1.0e-3', 'name=other', 'derive:num_samples=7'])
    assert changed['train']['optim_g']['lr'] == 1e-3
    assert (changed['name'], changed['derive']['num_samples']) == ('other', 7)
    evil = load_options(path, ['name=[__import__("os").getcwd()]'])
    assert evil['name'] == ['__import__("os").getcwd()']
    for entry in ('train', 'train:total_iter', '=3', 'train..total_iter=3'):
        with pytest.raises(OptionError, match='--force_yml: expected section.key=value'):
            load_options(path, [entry])


def test_force_yml_adds_documented_options(tmp_path, opt):
    del opt['datasets']['val'], opt['val']
    changed = load_options(write_options(tmp_path, opt), [
        'train.grad_clip=0.5', 'val.val_freq=3', 'datasets.train.cache=memory', 'datasets:val:name=my.val',
        'search.penalty.0.target=5.0', 'network_g.tail=!!str x', 'derive.train.ema_decay=0.9'])
    assert changed['train']['grad_clip'] == 0.5 and changed['derive']['train']['ema_decay'] == 0.9
    assert changed['val'] == {'val_freq': 3} and changed['datasets']['val'] == {'name': 'my.val'}
    assert changed['datasets']['train']['cache'] == 'memory'
    assert changed['search']['penalty'] == [{'type': 'params', 'weight': 0.5, 'target': 5.0}]
    assert changed['network_g']['tail'] == 'x'  # whether the network has it is for check_options to say


@pytest.mark.parametrize(('change', 'message'), [
    ('train.total_itr=3', r'train\.total_itr: unknown option; did you mean total_iter\?'),
    ('trian:total_iter=3', r'trian: unknown option; did you mean train\?'),
    ('datasets.train.gtsize=3', r'datasets\.train\.gtsize: unknown option; did you mean gt_size\?'),
    ('search.penalty.0.wieght=3', r'search\.penalty\.0\.wieght: unknown option; did you mean weight\?'),
    ('search.penalty.1.weight=3', r'search\.penalty\.1: expected a number below 1'),
    ('name.x=1', r"name\.x: expected the key of a section, but there is the value 'small_search'"),
])
def test_force_yml_names_the_nearest(tmp_path, opt, change, message):
    with pytest.raises(OptionError, match=f'--force_yml: {message}'):
        load_options(write_options(tmp_path, opt), [change])


def test_saved_options_read_back(tmp_path, opt):
    save_options(opt, tmp_path / 'saved.yml', 'two\nlines')
    assert load_options(tmp_path / 'saved.yml') == opt
    assert (tmp_path / 'saved.yml').read_text().startswith('# two\n# lines\n')


def test_broken_entries_surface_when_read(opt, tmp_path):
    from basicsr.data import build_dataset
    gt = opt['datasets']['train']['dataroot_gt']
    put_entry(gt, '0001_s001', b'no image')
    dataset = build_dataset({**opt['datasets']['train'], 'phase': 'train', 'scale': 2})
    with pytest.raises(DataError, match="key '0001_s001'"):
        dataset[0]


def test_documentation_of_the_options_is_up_to_date():
    from deconas_plugin.options.docs import render
    assert (ROOT / 'options' / 'README.md').read_text() == render(), \
        'run: python -m deconas_plugin.options.docs'


def test_the_page_of_the_options_lists_every_file():
    page = (ROOT / 'options' / 'README.md').read_text()
    assert [path.name for path in FILES if f'`{path.name}`' not in page] == []
