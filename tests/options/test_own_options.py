"""From a folder of one's own images to an option file that a run takes as it stands."""
import cv2
import pytest
from lmdb_fixture import photo_like

from deconas_plugin.files.option_files import flat_options, save_options
from deconas_plugin.files.paths import option_file, shipped_option_files
from deconas_plugin.options.check import check_options
from deconas_plugin.options.read import load_options
from tools.prepare_data import main


@pytest.fixture
def prepare(tmp_path, monkeypatch):
    """Runs the tool on 10 photographs of 216x240 pixels, within the test's folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'my photos').mkdir()
    for number in range(10):
        cv2.imwrite(str(tmp_path / 'my photos' / f'IMG_{number}.png'), photo_like(216, 240, number))

    def run(*arguments, scale=2, expected=0):
        # The default folder lies in the checkout.
        assert main(['--hr', 'my photos', '--out', 'data', '--scale', str(scale), '--workers', '1',
                     *arguments]) == expected

    return run


def names(folder):
    return {line.split('_s0')[0] for line in (folder / 'meta_info.txt').read_text().splitlines()}


def test_a_search_gets_a_share_for_each_purpose(prepare, tmp_path, capsys):
    prepare('--write-options', 'my.yml', '--like', 'search_x2_quick')
    assert capsys.readouterr().out.splitlines()[-1].endswith('search.py -opt my.yml')
    opt = load_options('my.yml')
    check_options(opt, 'my.yml', 'search')
    assert opt['name'] == 'my' and 'sample_photos' not in opt
    datasets = {'train': opt['datasets']['train'], 'val': opt['datasets']['val'],
                'reward': opt['search']['reward']['dataset']}
    images = {purpose: names(tmp_path / dataset['dataroot_gt']) for purpose, dataset in datasets.items()}
    assert images == {'train': {f'IMG_{i}' for i in range(8)}, 'reward': {'IMG_8'}, 'val': {'IMG_9'}}
    assert opt['datasets']['train']['dataset_enlarge_ratio'] == 100  # 8 sub-images, 8 patches in a step
    changed = {'name', 'sample_photos', 'datasets.train.dataset_enlarge_ratio',
               *(f'datasets.{phase}.{key}' for phase in ('train', 'val')
                                         for key in ('name', 'dataroot_gt', 'dataroot_lq', 'io_backend.type')),
               *(f'search.reward.dataset.{key}' for key in ('name', 'dataroot_gt', 'dataroot_lq'))}
    before, after = (flat_options(load_options(file)) for file in (option_file('search_x2_quick'), 'my.yml'))
    assert {key for key in {**before, **after} if before.get(key) != after.get(key)} <= changed


def test_a_training_needs_no_reward_and_images_that_are_held_out_stay_so(prepare):
    prepare('--write-options', 'my.yml', '--like', 'train_DeCoNASNet_x2', '--split', 'val=3', 'train=70%')
    opt = load_options('my.yml')
    check_options(opt, 'my.yml', 'train')
    assert list(opt['datasets']) == ['train', 'val'] and 'keys' not in opt['datasets']['train']


def test_another_scale_keeps_the_patches_of_lr(prepare):
    like = load_options(option_file('search_x2_quick'))
    like['datasets']['train']['final_gt_size'] = 96
    save_options(like, 'like.yml')
    prepare('--write-options', 'my.yml', '--like', 'like.yml', scale=3)
    opt = load_options('my.yml')
    check_options(opt, 'my.yml', 'search')
    train = opt['datasets']['train']
    assert (opt['scale'], opt['network_g']['upscale'], train['gt_size'], train['final_gt_size']) == (3, 3, 96, 144)
    assert opt['search']['reward']['dataset']['gt_size'] == 72


@pytest.mark.parametrize(('arguments', 'message'), [
    (['--like', 'search_x2_quik'], '--like: no option file search_x2_quik; did you mean search_x2_quick?'),
    (['--like', 'test_DeCoNASNet_x2'], '--like: expected options of a search or a training'),
    (['--split', 'train=80%', 'val=20%'], '--split: no part for reward; a search needs for example --split train=80%'),
    (['--split', 'train=80%', 'reward=10%', 'val=20%'], '--split val=20%: asks for 2 of 10 images, of which 9'),
])
def test_mistakes_are_named_before_anything_is_made(prepare, tmp_path, capsys, arguments, message):
    prepare('--write-options', 'my.yml', *arguments, expected=2)
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['my photos']


def test_images_too_small_for_the_patches_are_named(prepare, tmp_path, capsys):
    for path in (tmp_path / 'my photos').iterdir():
        cv2.imwrite(str(path), photo_like(40, 48, 1))
    prepare('--write-options', 'my.yml', '--like', 'search_x2_quick', expected=2)
    assert 'datasets.train' in capsys.readouterr().err
    assert not (tmp_path / 'my.yml').exists()


def test_options_that_come_with_the_plugin_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('search_x2_quick', 'search_x2_quick.yml', 'options/search_x2_quick.yml'):
        assert option_file(name) == str(shipped_option_files()['search_x2_quick'])
    (tmp_path / 'search_x2_quick.yml').touch()
    assert option_file('search_x2_quick.yml') == 'search_x2_quick.yml'
    assert option_file('elsewhere/search_x2_quick.yml') == 'elsewhere/search_x2_quick.yml'
