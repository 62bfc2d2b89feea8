import cv2
import numpy as np
import pytest
from test_prepare_data import one_line_error, read_back

from deconas_plugin.data.bicubic import shrink
from deconas_plugin.data.test_sets import find_test_pairs
from tools.prepare_data import main

RNG = np.random.default_rng(4)
HR = {name: RNG.integers(0, 256, size, np.uint8) for name, size in (('baby', (37, 50, 3)), ('bird', (41, 36, 3)))}
LR = {name: RNG.integers(0, 256, (img.shape[0] // 2, img.shape[1] // 2, 3), np.uint8) for name, img in HR.items()}

LAYOUTS = {  # HR and LR file names
    'basicsr': ('GTmod12/{}.png', 'LRbicx2/{}.png'),
    'hr_lr': ('HR/{}.png', 'LRbicx2/{}.bmp'),
    'edsr': ('HR/{}.png', 'LR_bicubic/X2/{}x2.png'),
    'srf_parent': ('image_SRF_2/{}_SRF_2_HR.png', 'image_SRF_2/{}_SRF_2_LR.png'),
    'srf_flat': ('{}_SRF_2_HR.png', '{}_SRF_2_LR.png'),
    'marked': ('{}_HR.png', '{}_LR.png'),
}


def write(root, template, images):
    for name, img in images.items():
        path = root / template.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), img)


def prepare(root, *more):
    return main(['--test-set', '--hr', str(root), '--out', str(root.parent / 'out'), '--scale', '2', '--workers', '1',
                 *map(str, more)])


def assert_prepared(out, lr):
    for name, img in HR.items():
        height, width = img.shape[0] // 2 * 2, img.shape[1] // 2 * 2
        assert np.array_equal(cv2.imread(str(out / f'GTmod2/{name}.png')), img[:height, :width])
        assert np.array_equal(cv2.imread(str(out / f'LRbicx2/{name}.png')), lr[name])
    assert len(read_back(out / 'GTmod2', out / 'LRbicx2', backend='disk')) == 2


@pytest.mark.parametrize('layout', LAYOUTS)
def test_usual_layouts_are_recognised(tmp_path, layout):
    root = tmp_path / 'Set'
    write(root, LAYOUTS[layout][0], HR)
    write(root, LAYOUTS[layout][1], LR)
    assert prepare(root) == 0
    assert_prepared(tmp_path / 'out', LR)


@pytest.mark.parametrize('template', ['{}.png', '{}_HR.png', 'HR/{}.png'])
def test_lr_is_made_where_there_is_none(tmp_path, template):
    write(tmp_path / 'Set', template, HR)
    assert prepare(tmp_path / 'Set') == 0
    assert_prepared(tmp_path / 'out', shrunk('matlab'))


@pytest.mark.parametrize('arguments, method', [(['--name', 'Set5'], 'matlab-replicate'), (['--name', 'Mine'], 'matlab'),
                                               (['--name', 'Set5', '--bicubic', 'matlab'], 'matlab'),
                                               (['--bicubic', 'basicsr'], 'basicsr')])
def test_lr_is_made_as_the_published_images_were(tmp_path, arguments, method):
    write(tmp_path / 'Set', '{}.png', HR)
    assert prepare(tmp_path / 'Set', *arguments) == 0
    assert_prepared(tmp_path / 'out', shrunk(method))


def shrunk(method):
    return {name: shrink(img[:img.shape[0] // 2 * 2, :img.shape[1] // 2 * 2], 2, method) for name, img in HR.items()}


def test_lr_may_lie_elsewhere(tmp_path):
    write(tmp_path / 'Set', '{}.png', HR)
    write(tmp_path / 'elsewhere', '{}x2.png', LR)
    assert prepare(tmp_path / 'Set', '--lr', tmp_path / 'elsewhere') == 0
    assert_prepared(tmp_path / 'out', LR)


def test_other_scales_and_methods_beside_are_ignored(tmp_path):
    write(tmp_path, '{}_SRF_2_HR.png', HR)
    write(tmp_path, '{}_SRF_2_LR.png', LR)
    write(tmp_path, '{}_SRF_4_HR.png', HR)
    write(tmp_path, '{}_SRF_2_SRCNN.png', HR)
    pairs, missing = find_test_pairs(tmp_path, 2)
    assert [pair.name for pair in pairs] == ['baby', 'bird'] and not missing


def test_pairs_of_another_scale_alone_are_an_error(tmp_path, capsys):
    write(tmp_path / 'Set', '{}_SRF_4_HR.png', HR)
    write(tmp_path / 'Set', '{}_SRF_4_LR.png', LR)
    assert prepare(tmp_path / 'Set') == 2
    assert 'holds pairs for x4 alone; expected x2' in one_line_error(capsys)


def test_a_missing_or_misfit_partner_is_listed(tmp_path, capsys):
    write(tmp_path / 'Set', '{}_HR.png', HR)
    write(tmp_path / 'Set', '{}_LR.png', {'baby': LR['baby']})
    assert prepare(tmp_path / 'Set') == 1
    assert 'bird_HR.png: no LR image bird_LR' in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / 'Set/bird_LR.png'), LR['baby'])
    assert prepare(tmp_path / 'Set') == 1
    assert 'bird_LR.png: 25x18 pixels; expected 18x20' in capsys.readouterr().err


def test_strangers_in_the_output_are_an_error(tmp_path, capsys):
    write(tmp_path / 'Set', '{}.png', HR)
    assert prepare(tmp_path / 'Set') == 0
    (tmp_path / 'out/GTmod2/.baby.png.tmp').touch()  # left by an interruption; BasicSR skips hidden files
    assert prepare(tmp_path / 'Set') == 0
    write(tmp_path / 'out', 'GTmod2/{}.png', {'stranger': HR['baby']})
    capsys.readouterr()
    assert prepare(tmp_path / 'Set') == 2
    assert 'stranger.png: does not belong to this test set' in one_line_error(capsys)


def test_empty_folder(tmp_path, capsys):
    (tmp_path / 'Set').mkdir()
    assert prepare(tmp_path / 'Set') == 2
    assert 'no images in it' in one_line_error(capsys)
