"""Every command and dataset reads one image alike, and says what it passes over."""
import json
import os

import cv2
import numpy as np
import pytest
from basicsr.data import build_dataset
from basicsr.metrics import calculate_psnr
from image_files import exif, samples
from lmdb_fixture import get_entry, paired_folder, paired_lmdb
from PIL import Image, ImageOps

from deconas_plugin.benchmark.sets import find_test_sets
from deconas_plugin.data.bicubic import bicubic
from deconas_plugin.data.prepare import read_pair
from deconas_plugin.errors import DataError
from tools.benchmark import main as benchmark
from tools.prepare_data import main as prepare


def photo(side=48, seed=0):
    small = samples(3, 8, seed)[:6, :6]
    return Image.fromarray(cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC))


def turned_pair(folder, suffix='.jpg', orientation=6):
    """A square HR image that lies on its side, its upright LR of the same format, and both as they should be read."""
    for name in ('HR', 'LR'):
        (folder / name).mkdir(parents=True)
    settings = {'quality': 97} if suffix == '.jpg' else {}
    photo().save(folder / 'HR' / f'a{suffix}', exif=b'Exif\0\0' + exif(orientation), **settings)
    hr = ImageOps.exif_transpose(Image.open(folder / 'HR' / f'a{suffix}')).convert('RGB')
    lr = hr.resize((24, 24), Image.Resampling.BICUBIC)
    lr.save(folder / 'LR' / f'a{suffix}', **settings)
    return str(folder / 'HR'), str(folder / 'LR'), np.asarray(hr), np.asarray(Image.open(folder / 'LR' / f'a{suffix}'))


@pytest.mark.parametrize('suffix', ['.jpg', '.png', '.tif', '.webp'])
@pytest.mark.parametrize('orientation', [6, 5])
def test_a_turned_photo_is_upright_everywhere(tmp_path, suffix, orientation):
    hr_folder, lr_folder, hr, lr = turned_pair(tmp_path, suffix, orientation)
    options = {'name': 'a', 'dataroot_gt': hr_folder, 'dataroot_lq': lr_folder, 'io_backend': {'type': 'disk'},
               'phase': 'val', 'scale': 2}
    for kind in ('PairedImageDataset', 'DeCoNASPatchDataset'):
        sample = build_dataset({**options, 'type': kind})[0]
        for key, expected in (('gt', hr), ('lq', lr)):
            assert np.array_equal((sample[key] * 255).round().byte().permute(1, 2, 0).numpy(), expected), kind
    single = build_dataset({**options, 'type': 'SingleImageDataset', 'dataroot_lq': hr_folder})[0]
    assert np.array_equal((single['lq'] * 255).round().byte().permute(1, 2, 0).numpy(), hr)
    pair = read_pair(f'{hr_folder}/a{suffix}', f'{lr_folder}/a{suffix}', 2, 2)
    assert np.array_equal(pair[0], hr[..., ::-1]) and np.array_equal(pair[1], lr[..., ::-1])
    assert prepare(['--hr', hr_folder, '--lr', lr_folder, '--scale', '2', '--out', str(tmp_path / 'lmdb'),
                    '--workers', '1']) == 0
    stored = get_entry(tmp_path / 'lmdb' / 'DIV2K_train_HR_sub.lmdb', 'a_s001')
    assert np.array_equal(cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_COLOR_RGB), hr)


def test_benchmark_scores_what_the_dataset_of_the_test_reads(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    hr_folder, lr_folder, _, _ = turned_pair(tmp_path)
    os.makedirs('sets/My')
    os.rename(hr_folder, 'sets/My/GTmod2')
    os.rename(lr_folder, 'sets/My/LRbicx2')
    assert benchmark(['--scale', '2', 'bicubic', '--data', 'sets', '--sets', 'My', '--out', 'table']) == 0
    row, = json.loads((tmp_path / 'table.json').read_text())['rows']
    sample = build_dataset({'name': 'My', 'type': 'PairedImageDataset', 'dataroot_gt': 'sets/My/GTmod2', 'scale': 2,
                            'dataroot_lq': 'sets/My/LRbicx2', 'io_backend': {'type': 'disk'}, 'phase': 'val'})[0]
    lq, gt = ((sample[key] * 255).round().byte().permute(1, 2, 0).numpy()[..., ::-1] for key in ('lq', 'gt'))
    expected = calculate_psnr(bicubic(np.ascontiguousarray(lq), 2), gt, crop_border=2, test_y_channel=True)
    assert expected > 30
    assert row['scores']['My']['psnr'] == pytest.approx(expected)


def test_basicsrs_dataset_names_the_image_that_it_cannot_read(tmp_path):
    hr_folder, lr_folder, _, _ = turned_pair(tmp_path)
    whole = (tmp_path / 'HR' / 'a.jpg').read_bytes()
    (tmp_path / 'HR' / 'a.jpg').write_bytes(whole[:len(whole) // 2])
    dataset = build_dataset({'name': 'a', 'type': 'PairedImageDataset', 'dataroot_gt': hr_folder, 'phase': 'val',
                             'dataroot_lq': lr_folder, 'io_backend': {'type': 'disk'}, 'scale': 2})
    with pytest.raises(DataError, match=r'LR/a.jpg or .*HR/a.jpg: not a readable image \(image file is truncated'):
        dataset[0]


def test_basicsrs_dataset_names_the_image_that_is_gone_or_in_a_damaged_database(tmp_path):
    options = {'name': 'a', 'type': 'PairedImageDataset', 'phase': 'val', 'scale': 2}
    hr_folder, lr_folder = paired_folder(tmp_path, count=1)
    dataset = build_dataset({**options, 'dataroot_gt': hr_folder, 'dataroot_lq': lr_folder,
                             'io_backend': {'type': 'disk'}})
    os.remove(dataset.paths[0]['lq_path'])
    with pytest.raises(DataError, match=r'.png: cannot be read \(.*No such file'):
        dataset[0]
    hr, lr = paired_lmdb(tmp_path, count=16, size=128)
    with open(f'{hr}/data.mdb', 'r+b') as file:
        file.seek(2 * 4096)  # behind the two pages that say where the others are
        file.write(bytes(2 * 4096))
    dataset = build_dataset({**options, 'dataroot_gt': hr, 'dataroot_lq': lr, 'io_backend': {'type': 'lmdb'}})
    with pytest.raises(DataError, match=r'0001_s001 or 0001_s001: cannot be read \(.*MDB_CORRUPTED'):
        for index in range(len(dataset)):
            dataset[index]


def odd_folder(folder):
    """A folder with one image, and what looks like one."""
    folder.mkdir()
    photo().save(folder / 'a.png')
    (folder / '._a.png').write_bytes(b'\0\5\x16\7')
    (folder / 'b.png').symlink_to(folder / 'gone.png')
    (folder / 'c.heic').write_bytes(b'x')
    (folder / 'notes.txt').write_text('no image')
    return folder


@pytest.mark.parametrize('more', [['--test-set'], []])
def test_what_is_passed_over_is_listed(tmp_path, capsys, more):
    folder = odd_folder(tmp_path / 'HR')
    assert prepare(['--hr', str(folder), '--scale', '2', '--out', str(tmp_path / 'out'), '--workers', '1', *more]) == 1
    lines = capsys.readouterr().err.splitlines()
    left_out = sorted(line for line in lines if line.startswith('left out: '))
    assert [line.split(': ')[2] for line in left_out] == [
        'not an image, but what macOS keeps beside one on foreign disks', 'a link to a file that is not there',
        '.heic is not read; convert it, to PNG for example']


def test_datasets_and_benchmarks_do_not_lose_an_image_in_silence(tmp_path):
    folder = odd_folder(tmp_path / 'HR')
    options = {'name': 'a', 'type': 'DeCoNASPatchDataset', 'dataroot_gt': str(folder), 'dataroot_lq': str(folder),
               'io_backend': {'type': 'disk'}, 'phase': 'train', 'scale': 1, 'gt_size': 16}
    with pytest.raises(DataError, match=r'b.png: a link to a file that is not there \(2 of 3 images\)'):
        build_dataset(options)
    assert len(build_dataset({**options, 'on_error': 'skip'})) == 1
    found, notes = find_test_sets(tmp_path, 2, ['HR'])
    assert not found and 'b.png: a link to a file that is not there' in notes[0]
    for name in ('b.png', 'c.heic'):
        (folder / name).unlink()
    assert len(build_dataset(options)) == 1
    assert len(find_test_sets(tmp_path, 2, ['HR'])[0][0].pairs) == 1


def test_a_test_set_may_have_any_names(tmp_path):
    folder = tmp_path / 'HR'
    folder.mkdir()
    names = ['città.png', '写真.jpg', os.fsdecode(b'caf\xe9.png')]
    for name in names:
        with open(folder / name, 'wb') as file:
            photo().save(file, 'PNG')
    assert prepare(['--test-set', '--hr', str(folder), '--scale', '2', '--out', str(tmp_path / 'My')]) == 0
    written = {path.stem for path in (tmp_path / 'My' / 'GTmod2').iterdir()}
    assert written == {os.path.splitext(name)[0] for name in names}
    assert benchmark(['--scale', '2', 'bicubic', '--data', str(tmp_path), '--sets', 'My', '--out',
                      str(tmp_path / 'table')]) == 0


def test_large_images_are_left_out_by_an_option(tmp_path, capsys):
    (tmp_path / 'HR').mkdir()
    photo(48).save(tmp_path / 'HR' / 'a.png')
    photo(50).save(tmp_path / 'HR' / 'b.png')
    for more in ([], ['--test-set']):
        code = prepare(['--hr', str(tmp_path / 'HR'), '--scale', '2', '--out', str(tmp_path / f'out{len(more)}'),
                        '--max-pixels', '2304', *more])
        assert code == 1 and 'b.png: 50x50 pixels; expected at most 2,304 (--max-pixels)' in capsys.readouterr().err
