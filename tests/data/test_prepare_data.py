"""The tool from the command line to what BasicSR reads; see also test_prepare_interrupted.py."""
import cv2
import numpy as np
import pytest
from basicsr.data.paired_image_dataset import PairedImageDataset

from deconas_plugin.data.bicubic import bicubic, shrink
from tools.prepare_data import main


@pytest.fixture
def hr(tmp_path):
    """Three HR images of different sizes, 96x72 the smallest."""
    folder = tmp_path / 'HR'
    folder.mkdir()
    rng = np.random.default_rng(1)
    for i, (height, width) in enumerate([(72, 96), (85, 110), (121, 97)], 1):
        cv2.imwrite(str(folder / f'{i:04d}.png'), rng.integers(0, 256, (height, width, 3), np.uint8))
    return folder


def prepare(hr, *more, scale=2):
    return main(['--hr', str(hr), '--out', str(hr.parent / 'out'), '--scale', str(scale), '--size', '48',
                 '--step', '24', '--workers', '1', *map(str, more)])


def lmdb_pair(hr, split='train', scale=2, name='DIV2K'):
    out = hr.parent / 'out'
    return out / f'{name}_{split}_HR_sub.lmdb', out / f'{name}_{split}_LR_bicubic_X{scale}_sub.lmdb'


def read_back(gt, lq, scale=2, backend='lmdb'):
    """Every pair as BasicSR reads it: name -> (HR, LR), uint8, BGR."""
    dataset = PairedImageDataset({'dataroot_gt': str(gt), 'dataroot_lq': str(lq), 'io_backend': {'type': backend},
                                  'scale': scale, 'phase': 'val'})
    pairs = {}
    for sample in dataset:
        images = [sample[k].numpy().transpose(1, 2, 0)[:, :, ::-1] * 255 for k in ('gt', 'lq')]
        pairs[sample['gt_path']] = [image.round().astype(np.uint8) for image in images]
        if len(pairs) == len(dataset):
            return pairs


def keys(folder):
    return {line.split('.')[0] for line in (folder / 'meta_info.txt').read_text().splitlines()}


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_basicsr_reads_the_prepared_pixels(hr, scale, capsys):
    assert prepare(hr, scale=scale) == 0
    gt, lq = lmdb_pair(hr, scale=scale)
    assert f'dataroot_gt: {gt}\ndataroot_lq: {lq}\n' == capsys.readouterr().out
    pairs = read_back(gt, lq, scale)
    assert len(pairs) == 2 * 3 + 3 * 4 + 4 * 3
    image = cv2.imread(str(hr / '0002.png'))[:84, :108]
    small = bicubic(image, 1 / scale)
    for key, (y, x) in {'0002_s001': (0, 0), '0002_s006': (24, 24), '0002_s012': (36, 60)}.items():
        assert np.array_equal(pairs[key][0], image[y:y + 48, x:x + 48])
        assert np.array_equal(pairs[key][1],
                              small[y // scale:(y + 48) // scale, x // scale:(x + 48) // scale])


def test_meta_info_is_basicsr_s(hr):
    prepare(hr)
    gt, lq = lmdb_pair(hr)
    assert (gt / 'meta_info.txt').read_text().splitlines()[0] == '0001_s001.png (48,48,3) 1'
    assert (lq / 'meta_info.txt').read_text().splitlines()[0] == '0001_s001.png (24,24,3) 1'


def test_splits_are_databases_of_their_own(hr):
    assert prepare(hr, '--name', 'Mine', '--split', 'train=1-2', 'reward=3-3') == 0
    assert {key[:4] for key in keys(lmdb_pair(hr, 'train', name='Mine')[0])} == {'0001', '0002'}
    assert {key[:4] for key in keys(lmdb_pair(hr, 'reward', name='Mine')[1])} == {'0003'}


def test_processes_change_no_byte(hr):
    prepare(hr)
    one = [(path / 'data.mdb').read_bytes() for path in lmdb_pair(hr)]
    (hr.parent / 'out').rename(hr.parent / 'before')
    assert prepare(hr, '--workers', 2) == 0
    assert [(path / 'data.mdb').read_bytes() for path in lmdb_pair(hr)] == one


def test_grey_alpha_and_dotted_names(hr, capsys):
    image = cv2.imread(str(hr / '0001.png'))
    cv2.imwrite(str(hr / 'grey.png'), image[:, :, 0])
    cv2.imwrite(str(hr / 'al.pha.png'), np.dstack([image, image[:, :, 0]]))
    assert prepare(hr) == 0
    assert f'note: {hr / "al.pha.png"}: alpha channel dropped' in capsys.readouterr().out
    pairs = read_back(*lmdb_pair(hr))
    assert np.array_equal(pairs['grey_s001'][0], image[:48, :48, :1].repeat(3, 2))
    assert np.array_equal(pairs['al_pha_s001'][0], image[:48, :48])


def test_second_run_does_nothing_and_other_scales_share_hr(hr):
    prepare(hr)
    gt, lq = lmdb_pair(hr)
    before = [(path / 'data.mdb').stat().st_mtime_ns for path in (gt, lq)]
    assert prepare(hr) == prepare(hr, scale=3) == 0
    assert [(path / 'data.mdb').stat().st_mtime_ns for path in (gt, lq)] == before
    assert keys(lmdb_pair(hr, scale=3)[1]) == keys(gt)


@pytest.mark.parametrize('named', ['{}.png', '{}x2.png'])
def test_given_lr_images_are_taken(hr, named):
    lr = hr.parent / 'LR'
    lr.mkdir()
    for path in hr.iterdir():
        image = cv2.imread(str(path))
        height, width = image.shape[0] // 2, image.shape[1] // 2
        cv2.imwrite(str(lr / named.format(path.stem)), np.full((height, width, 3), int(path.stem), np.uint8))
    assert prepare(hr, '--lr', lr) == 0
    pairs = read_back(*lmdb_pair(hr))
    assert len(pairs) == 30
    assert all((small == int(key[:4])).all() for key, (_, small) in pairs.items())


def test_broken_images_are_listed_and_the_rest_goes_on(hr, capsys):
    whole = (hr / '0002.png').read_bytes()
    (hr / '0002.png').write_bytes(whole[:len(whole) // 2])
    (hr / '0004.png').write_text('no image')
    assert prepare(hr) == 1
    out, err = capsys.readouterr()
    left_out = [line for line in err.splitlines() if line.startswith('left out: ')]
    assert [str(hr / name) in line for name, line in zip(('0002.png', '0004.png'), left_out, strict=True)] == [True] * 2
    assert {key[:4] for key in read_back(*lmdb_pair(hr))} == {'0001', '0003'}
    assert 'dataroot_gt' in out
    assert prepare(hr) == 1  # a second run, with nothing to do, must not call the set complete
    assert capsys.readouterr().err.count('left out: ') == 2


def test_lr_of_another_size_or_missing_is_listed(hr, capsys):
    lr = hr.parent / 'LR'
    lr.mkdir()
    cv2.imwrite(str(lr / '0001.png'), np.zeros((36, 48, 3), np.uint8))
    cv2.imwrite(str(lr / '0002.png'), np.zeros((28, 36, 3), np.uint8))  # a third
    assert prepare(hr, '--lr', lr) == 1
    err = capsys.readouterr().err
    assert '36x28 pixels; expected 55x42' in err and f'0003.png: no LR image 0003 or 0003x2 in {lr}' in err
    assert {key[:4] for key in keys(lmdb_pair(hr)[0])} == {'0001'}


def one_line_error(capsys):
    err = capsys.readouterr().err
    assert err.startswith('error: ') and err.count('\n') == 1
    return err


def test_empty_folder(tmp_path, capsys):
    (tmp_path / 'HR').mkdir()
    assert prepare(tmp_path / 'HR') == 2
    assert 'no images in it' in one_line_error(capsys)
    assert not (tmp_path / 'out').exists()


def test_unwritable_output(hr, capsys):
    (hr.parent / 'out').write_text('a file where the folder should be')
    assert prepare(hr) == 2
    assert 'cannot be used as output folder' in one_line_error(capsys)


def test_size_must_fit_the_scale(hr, capsys):
    assert main(['--hr', str(hr), '--out', str(hr.parent / 'out'), '--scale', '3', '--size', '100']) == 2
    assert 'multiples of the scale 3, got 100 and 240' in one_line_error(capsys)
    assert not (hr.parent / 'out').exists()


def test_same_name_twice(hr, capsys):
    cv2.imwrite(str(hr / '0001.bmp'), cv2.imread(str(hr / '0001.png')))
    assert prepare(hr) == 2
    assert 'same name' in one_line_error(capsys)


def test_all_broken(tmp_path, capsys):
    (tmp_path / 'HR').mkdir()
    (tmp_path / 'HR/0001.png').write_text('no image')
    assert prepare(tmp_path / 'HR') == 2
    assert 'no other image is usable' in capsys.readouterr().err
    assert not list((tmp_path / 'out').glob('*.lmdb'))


def test_other_settings_need_overwrite(hr, capsys):
    prepare(hr)
    capsys.readouterr()
    assert prepare(hr, '--step', 48) == 2
    assert 'step 24, asked 48' in one_line_error(capsys)
    assert prepare(hr, '--step', 48, '--overwrite') == 0
    assert len(read_back(*lmdb_pair(hr))) == 4 + 6 + 6
    left = sorted(path.name for path in (hr.parent / 'out').iterdir() if path.name != '.lock')
    assert left == [path.name for path in lmdb_pair(hr)]


def test_a_database_from_elsewhere_is_never_replaced_silently(hr, capsys):
    gt, _ = lmdb_pair(hr)
    gt.mkdir(parents=True)
    assert prepare(hr) == 2
    assert 'was not made by this tool' in one_line_error(capsys)


def test_a_damaged_entry_is_found(hr, capsys):
    """An unfinished database whose content went bad must not get its final name."""
    (hr / '0002.png').rename(hr.parent / '0002.png')
    prepare(hr)
    gt, _ = lmdb_pair(hr)
    data = bytearray((gt / 'data.mdb').read_bytes())
    at = data.index(b'\x89PNG')
    data[at:at + 8] = bytes(8)
    partial = gt.with_name(f'{gt.name}.partial')
    gt.rename(partial)
    (partial / 'data.mdb').write_bytes(data)
    capsys.readouterr()
    assert prepare(hr) == 2
    assert 'entry 0001_s001 is damaged' in capsys.readouterr().err
    assert not gt.exists()


def test_lr_as_matlab_makes_it(hr, capsys):
    assert prepare(hr) == 0
    capsys.readouterr()
    assert prepare(hr, '--bicubic', 'matlab') == 2  # it would be another database
    assert 'bicubic, matlab' in one_line_error(capsys)
    assert prepare(hr, '--bicubic', 'matlab', '--overwrite') == 0
    for path in sorted(hr.iterdir()):
        img = cv2.imread(str(path))
        img = img[:img.shape[0] // 12 * 12, :img.shape[1] // 12 * 12]
        lr = read_back(*lmdb_pair(hr))[f'{path.stem}_s001'][1]
        assert np.array_equal(lr, shrink(img, 2, 'matlab')[:24, :24])


@pytest.mark.parametrize(('more', 'message'), [
    (['--hr', 'HR', '--test-set', '--split', 'a=1-2'], '--split has no effect with --test-set'),
    (['--sample-photos', '--lr', 'LR'], '--lr has no effect with --sample-photos'),
    (['--hr', 'HR', '--lr', 'LR', '--bicubic', 'matlab'], '--bicubic has no effect with --lr'),
    (['--sample-photos', '--bicubic', 'matlab'], '--bicubic has no effect with --sample-photos'),
    (['--hr', 'HR', '--workers', '0'], 'expected a whole number of at least 1, got 0'),
])
def test_options_without_effect_or_sense_are_refused(more, message, capsys):
    with pytest.raises(SystemExit, match='2'):
        main([*more, '--scale', '2'])
    assert message in capsys.readouterr().err


def test_sample_photos_from_the_command_line(tmp_path, capsys):
    assert main(['--sample-photos', '--scale', '4', '--out', str(tmp_path)]) == 0
    assert f'dataroot_lq: {tmp_path / "val" / "LRbicx4"}\n' in capsys.readouterr().out


def test_help_needs_no_torch(monkeypatch, capsys):
    monkeypatch.setitem(__import__('sys').modules, 'torch', None)
    with pytest.raises(SystemExit, match='0'):
        main(['--help'])
    assert '--test-set --hr' in capsys.readouterr().out
