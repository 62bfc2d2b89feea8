import logging
import math
import os
import pickle
import random
from collections import Counter

import numpy as np
import pytest
import torch
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.data_sampler import EnlargedSampler
from basicsr.data.paired_image_dataset import PairedImageDataset
from lmdb_fixture import dataset_options, get_entry, paired_folder, paired_lmdb, photo_like, put_entry, write_lmdb

from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.patch_draw import PatchDraw, ResumableSampler
from deconas_plugin.errors import DataError, OptionError

CACHES = ['disk', 'memory', 'none']


@pytest.fixture
def databases(tmp_path):
    return paired_lmdb(tmp_path / 'data')


@pytest.fixture
def stock_databases(tmp_path):
    # PairedImageDataset opens its own environments, so it needs databases of its own.
    return paired_lmdb(tmp_path / 'stock')


@pytest.fixture
def log_lines():
    """What the package logs, whether or not BasicSR's logger is set up."""
    lines, handler, logger = [], logging.Handler(), logging.getLogger('basicsr')
    handler.emit = lambda record: lines.append(record.getMessage())
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(level)


def same(ours, stock):
    return (ours.keys() == stock.keys() and all(torch.equal(ours[key], stock[key]) for key in ('lq', 'gt'))
            and all(ours[key] == stock[key] for key in ('lq_path', 'gt_path')))


def batches(dataset, workers, position=None, seed=3):
    """One epoch through BasicSR's own loader."""
    sampler = ResumableSampler(dataset, 1, 0, ratio=4, seed=seed)
    sampler.set_epoch(1)
    if position is not None:
        sampler.set_position(1, position)
    loader_options = {'phase': 'train', 'batch_size_per_gpu': 4, 'num_worker_per_gpu': workers}
    return list(build_dataloader(dataset, loader_options, num_gpu=0, sampler=sampler, seed=seed))


# ---- the same patches as PairedImageDataset ----

@pytest.mark.parametrize('cache', CACHES)
@pytest.mark.parametrize('changes', [{}, {'use_hflip': False}, {'use_rot': False}, {'gt_size': 48},
                                     {'mean': [0.4, 0.5, 0.6], 'std': [0.2, 0.3, 0.4]}])
def test_one_state_of_random_gives_the_patch_of_basicsr_bit_for_bit(databases, stock_databases, cache, changes):
    ours = build_dataset(dataset_options(*databases, cache=cache, **changes))
    stock = PairedImageDataset(dataset_options(*stock_databases, **changes))
    assert len(ours) == len(stock) == 6
    for seed in range(30):
        random.seed(seed)
        mine = ours[seed % 6]
        after = random.random()
        random.seed(seed)
        assert same(mine, stock[seed % 6])
        assert random.random() == after  # both have drawn as much


def test_one_state_of_random_gives_the_batches_of_basicsr(databases, stock_databases):
    ours, stock = (kind(dataset_options(*paths)) for kind, paths in
                   ((DeCoNASPatchDataset, databases), (PairedImageDataset, stock_databases)))
    loader_options = {'phase': 'train', 'batch_size_per_gpu': 3, 'num_worker_per_gpu': 2}
    epochs = [list(build_dataloader(dataset, loader_options, num_gpu=0, sampler=EnlargedSampler(dataset, 1, 0), seed=1))
              for dataset in (ours, stock)]
    assert len(epochs[0]) == 2 and all(map(same, *epochs))
    assert epochs[0][0]['lq'].shape == (3, 3, 8, 8) and epochs[0][0]['gt'].shape == (3, 3, 16, 16)


@pytest.mark.parametrize('cache', CACHES)
def test_validation_gives_the_whole_images_of_basicsr(tmp_path, cache):
    # 31 x 37 pixels at scale 2: GT has a row and a column that no LQ pixel belongs to.
    ours = DeCoNASPatchDataset(dataset_options(*paired_lmdb(tmp_path / 'a', 3, (31, 37)), phase='val', cache=cache))
    stock = PairedImageDataset(dataset_options(*paired_lmdb(tmp_path / 'b', 3, (31, 37)), phase='val'))
    for index in range(3):
        assert same(ours[index], stock[index])
    assert ours[0]['gt'].shape == (3, 30, 36) and ours[0]['lq'].is_contiguous()


def test_images_of_many_sizes(tmp_path):
    sizes = {'a': (40, 20), 'b': (16, 16), 'c': (18, 50)}
    for folder in ('ours', 'stock'):
        (tmp_path / folder).mkdir()
        for side, scale in (('gt', 2), ('lq', 1)):
            write_lmdb(tmp_path / folder / f'{side}.lmdb',
                       {key: photo_like(h // 2 * scale, w // 2 * scale, 0) for key, (h, w) in sizes.items()})
    ours, stock = (kind(dataset_options(str(tmp_path / folder / 'gt.lmdb'), str(tmp_path / folder / 'lq.lmdb')))
                   for kind, folder in ((DeCoNASPatchDataset, 'ours'), (PairedImageDataset, 'stock')))
    for index in range(3):
        random.seed(0)
        mine = ours[index]
        random.seed(0)
        assert same(mine, stock[index])


def test_folders_of_images(tmp_path):
    gt, lq = paired_folder(tmp_path, lq_suffix='x2')
    (tmp_path / 'HR' / 'Thumbs.db').write_bytes(b'not an image')
    ours = DeCoNASPatchDataset(dataset_options(gt, lq, filename_tmpl='{}x2', keys='0002-0003'))
    os.remove(tmp_path / 'HR' / 'Thumbs.db')
    stock = PairedImageDataset(dataset_options(gt, lq, filename_tmpl='{}x2'))
    theirs = {path['gt_path']: index for index, path in enumerate(stock.paths)}
    assert len(ours) == 4
    for index in range(4):
        random.seed(index)
        mine = ours[index]
        random.seed(index)
        assert same(mine, stock[theirs[mine['gt_path']]])


def test_meta_info_file_names_the_images_of_a_folder(tmp_path):
    gt, lq = paired_folder(tmp_path)
    names = tmp_path / 'names.txt'
    names.write_text('0001_s002.png (48,48,3)\n0003_s001.png (48,48,3)\n')
    dataset = DeCoNASPatchDataset(dataset_options(gt, lq, meta_info_file=str(names)))
    assert [os.path.basename(path) for path in dataset.gt_paths] == ['0001_s002.png', '0003_s001.png']


@pytest.fixture
def coded_patches(tmp_path):
    """dataset class -> function that counts which (crop, augmentation) each of n samples shows."""
    rows, columns = np.mgrid[:7, :7].astype(np.uint8)
    lq = np.stack([rows, columns, rows * 7 + columns], axis=-1)

    def count(kind, items):
        folder = tmp_path / kind.__name__
        folder.mkdir()
        write_lmdb(folder / 'gt.lmdb', {'a': lq})
        write_lmdb(folder / 'lq.lmdb', {'a': lq})
        dataset = kind(dataset_options(str(folder / 'gt.lmdb'), str(folder / 'lq.lmdb'), scale=1, gt_size=4))
        return Counter(tuple((dataset[item]['lq'] * 255).round().int().flatten().tolist()) for item in items)
    return count


def test_draws_have_the_distribution_of_basicsr(coded_patches):
    samples = 12_800
    random.seed(0)
    stock = coded_patches(PairedImageDataset, [0] * samples)
    ours = coded_patches(DeCoNASPatchDataset, [PatchDraw(0, epoch, position, seed=1)
                                               for epoch in range(8) for position in range(samples // 8)])
    cells = 4 * 4 * 8  # crops x augmentations, all equally likely: 100 samples each
    assert len(stock) == len(ours) == cells
    for counts in (stock, ours):
        chi_square = sum((seen - samples / cells)**2 / (samples / cells) for seen in counts.values())
        assert abs(chi_square - (cells - 1)) < 4 * math.sqrt(2 * (cells - 1))
    two_sample = sum((stock[cell] - ours[cell])**2 / (stock[cell] + ours[cell]) for cell in stock)
    assert two_sample < cells - 1 + 4 * math.sqrt(2 * (cells - 1))


# ---- draws ----

def test_a_draw_gives_one_patch_whatever_was_drawn_before(databases):
    dataset = DeCoNASPatchDataset(dataset_options(*databases))
    draw = PatchDraw(2, epoch=1, position=5, seed=7)
    first = dataset[draw]
    random.seed(123)
    dataset[0]
    assert same(dataset[draw], first)
    others = [draw._replace(epoch=2), draw._replace(position=6), draw._replace(seed=8)]
    assert not any(torch.equal(dataset[other]['lq'], first['lq']) for other in others)


@pytest.mark.parametrize('cache', CACHES)
def test_batches_are_the_same_with_any_number_of_workers(databases, cache):
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache=cache))
    alone, one, two = (batches(dataset, workers) for workers in (0, 1, 2))
    assert len(alone) == 6
    assert all(same(a, b) and same(a, c) for a, b, c in zip(alone, one, two, strict=True))


@pytest.mark.parametrize('workers', [0, 2])
def test_resuming_inside_an_epoch_gives_the_rest_of_its_batches(databases, workers):
    dataset = DeCoNASPatchDataset(dataset_options(*databases))
    whole, rest = batches(dataset, 0), batches(dataset, workers, position=2 * 4)
    assert len(rest) == 4
    assert all(same(a, b) for a, b in zip(whole[2:], rest, strict=True))


# ---- selection, sharing ----

def test_keys_split_one_database_between_two_datasets_in_one_process(databases):
    for cache in CACHES:
        train, reward = (DeCoNASPatchDataset(dataset_options(*databases, cache=cache, keys=keys))
                         for keys in ('0001-0002', ['0003']))
        assert train.gt_paths + reward.gt_paths == [f'000{image}_s00{part}' for image in (1, 2, 3) for part in (1, 2)]
        for dataset in (train, reward):
            assert {path for batch in batches(dataset, 2) for path in batch['gt_path']} == set(dataset.gt_paths)


@pytest.mark.parametrize('cache', ['disk', 'none'])
def test_dataset_pickles_without_its_images(databases, cache):
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache=cache))
    draw = PatchDraw(3, 0, 0, 0)
    expected = dataset[draw]
    pickled = pickle.dumps(dataset)
    assert len(pickled) < 6000
    assert same(pickle.loads(pickled)[draw], expected)


@pytest.mark.slow
@pytest.mark.parametrize('cache', CACHES)
def test_spawned_worker(databases, cache):
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache=cache))
    draws = [[PatchDraw(index, 0, index, 0) for index in range(6)]]
    loader = torch.utils.data.DataLoader(dataset, batch_sampler=draws, num_workers=1, multiprocessing_context='spawn')
    alone = torch.utils.data.DataLoader(dataset, batch_sampler=draws)
    assert same(next(iter(loader)), next(iter(alone)))


def test_index_out_of_range(databases):
    dataset = DeCoNASPatchDataset(dataset_options(*databases))
    with pytest.raises(IndexError, match='image 6 of 6'):
        dataset[6]
    random.seed(0)
    last = dataset[-1]
    random.seed(0)
    assert same(dataset[5], last)


# ---- wrong data: one line, at construction ----

def refused(databases, **changes):
    with pytest.raises(DataError) as caught:
        DeCoNASPatchDataset(dataset_options(*databases, **changes))
    assert '\n' not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize('phase', ['train', 'val'])
def test_sizes_that_do_not_fit_the_scale(databases, phase):
    for scale in (1, 3, 4):
        assert f"'0001_s001' does not fit scale {scale} (check scale and dataroot_lq): LQ 24x24, GT 48x48" \
            in refused(databases, phase=phase, scale=scale, gt_size=12)


def test_validation_refuses_lq_images_larger_than_gt(tmp_path):
    gt, lq = tmp_path / 'gt.lmdb', tmp_path / 'lq.lmdb'
    write_lmdb(gt, {'a': photo_like(15, 16, 0)})
    write_lmdb(lq, {'a': photo_like(8, 8, 0)})
    assert "'a' does not fit scale 2" in refused((str(gt), str(lq)), phase='val')


def test_patch_larger_than_an_image(databases):
    assert 'is smaller than gt_size 50 (lower gt_size, or' in refused(databases, gt_size=50)


def test_databases_with_different_keys(databases, tmp_path):
    other = paired_lmdb(tmp_path / 'other', count=4)
    assert "different images: 2 are in only one of them, the first is '0003_s001'" in refused((databases[0], other[1]))


def test_missing_database_and_missing_meta_info(databases, tmp_path):
    assert 'meta_info.txt: not readable' in refused((str(tmp_path / 'no.lmdb'), databases[1]))
    os.remove(os.path.join(databases[1], 'data.mdb'))
    for cache in CACHES:
        assert 'no LMDB here (data.mdb is missing); make it with' in refused(databases, cache=cache)


def test_folders_that_do_not_match(tmp_path):
    gt, lq = paired_folder(tmp_path)
    os.remove(tmp_path / 'LR_X2' / '0002_s001.png')
    assert 'LR_X2/0002_s001.png: no such file (1 of 6 pairs of images are incomplete)' in refused((gt, lq))
    assert 'no such folder' in refused((str(tmp_path / 'nothing'), lq))


def test_stock_loader_of_a_dataset_for_the_gpu_says_what_to_do(databases):
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache='cuda'))
    with pytest.raises(OptionError, match='cuda needs the GpuPatchLoader.*set cache: disk for other loaders'):
        dataset[0]


# ---- broken entries ----

BROKEN = {'cut short': lambda data: data[:len(data) // 2], 'zeros': lambda data: bytes(len(data)),
          'noise': lambda data: random.Random(0).randbytes(len(data)), 'empty': lambda data: b'',
          'missing': lambda data: None}


def spoil(path, key, how='cut short'):
    put_entry(path, key, BROKEN[how](get_entry(path, key)))


@pytest.mark.parametrize('how', BROKEN)
@pytest.mark.parametrize('cache', CACHES)
def test_broken_entry_raises_and_names_database_and_key(databases, cache, how):
    spoil(databases[0], '0002_s001', how)
    with pytest.raises(DataError, match=r"HR_sub\.lmdb: key '0002_s001'.*on_error: skip"):
        DeCoNASPatchDataset(dataset_options(*databases, cache=cache))[2]


@pytest.mark.parametrize('workers', [0, 2])
def test_broken_entry_ends_the_loader_and_hangs_no_worker(databases, workers):
    spoil(databases[1], '0002_s001')
    with pytest.raises(DataError, match="key '0002_s001'"):
        batches(DeCoNASPatchDataset(dataset_options(*databases, cache='none')), workers)


def test_broken_entry_outside_the_selection_does_no_harm(databases):
    spoil(databases[1], '0002_s001')
    for cache in CACHES:
        assert len(DeCoNASPatchDataset(dataset_options(*databases, cache=cache, keys=['0001', '0003']))) == 4


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize('cache', CACHES)
def test_skipped_entries_are_replaced_and_counted(databases, cache, workers):
    spoil(databases[0], '0002_s001')
    spoil(databases[1], '0002_s002', 'missing')
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache=cache, on_error='skip'))
    assert dataset.skipped == {}
    drawn = Counter(path for batch in batches(dataset, workers) for path in batch['gt_path'])
    # Four times six draws; 0003_s001 stands in for both.
    assert drawn == {'0001_s001': 4, '0001_s002': 4, '0003_s001': 12, '0003_s002': 4}
    assert dataset.skipped == {'0002_s001': 4, '0002_s002': 8}


@pytest.mark.parametrize('cache', CACHES)
def test_skipped_entries_are_logged_once(databases, cache, log_lines):
    spoil(databases[0], '0002_s001')
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache=cache, on_error='skip'))
    batches(dataset, 0)
    assert [line for line in log_lines if 'Skipped' in line and "'0002_s001'" in line] == log_lines[-1:]


def test_skipping_gives_the_same_batches_with_any_number_of_workers(databases):
    spoil(databases[0], '0002_s001')
    dataset = DeCoNASPatchDataset(dataset_options(*databases, cache='none', on_error='skip'))
    assert all(same(a, b) for a, b in zip(batches(dataset, 0), batches(dataset, 2), strict=True))


def test_nothing_left_to_skip_to(databases):
    for key in ('0001_s001', '0001_s002'):
        spoil(databases[0], key)
    dataset = DeCoNASPatchDataset(dataset_options(*databases, keys='0001', on_error='skip'))
    with pytest.raises(DataError, match='none of the 2 images can be read'):
        dataset[0]
