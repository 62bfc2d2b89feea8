from pathlib import Path

import pytest

from deconas_plugin.data.pairs import select_splits
from deconas_plugin.errors import DataError

DIV2K = [Path(f'{i:04d}.png') for i in range(1, 801)]


def test_ranges_include_both_ends():
    splits = select_splits(DIV2K, ['train=0001-0750', 'reward=0751-0800'])
    assert {name: (len(paths), paths[0].stem, paths[-1].stem) for name, paths in splits.items()} == {
        'train': (750, '0001', '0750'), 'reward': (50, '0751', '0800')}


def test_numbers_in_names_count_as_numbers():
    images = [Path(f'img_{i}.jpg') for i in (1, 2, 10, 11)]
    assert select_splits(images, ['a=img_2-img_10'])['a'] == images[1:3]
    assert len(select_splits(DIV2K, ['train=1-750'])['train']) == 750


@pytest.mark.parametrize(('ranges', 'message'), [
    (['train'], 'expected NAME=FIRST-LAST'),
    (['train=1.5%'], 'expected NAME=FIRST-LAST, NAME=SHARE% or NAME=NUMBER'),
    (['train=0'], 'asks for 0 of 800 images, of which 0 are taken'),
    (['train=90%', 'val=20%'], r'--split val=20%: asks for 160 of 800 images, of which 720 are taken'),
    (['train=90%', 'val=0001-0010'], r'val=0001-0010: expected shares and numbers only'),
    (['train=50%', 'train=10'], 'given twice'),
    (['a/b=1-2'], 'expected NAME=FIRST-LAST'),
    (['train=0801-0900'], r'none of the 800 images \(0001 to 0800\)'),
    (['train=0001-0750', 'reward=0750-0800'], '0750 is also in train'),
    (['train=0001-0010', 'train=0020-0030'], 'given twice'),
])
def test_mistakes_are_named(ranges, message):
    with pytest.raises(DataError, match=message):
        select_splits(DIV2K, ranges)


@pytest.mark.parametrize('total', [60, 61, 67, 800])
def test_shares_take_every_image_once_in_the_order_of_names(total):
    images = [Path(f'img_{i}.jpg') for i in range(total)]
    splits = select_splits(images[::-1], ['train=80%', 'reward=10%', 'val=10%'])
    assert sum(splits.values(), []) == images
    assert abs(len(splits['train']) - 0.8 * total) < 1 and abs(len(splits['val']) - 0.1 * total) < 1


def test_numbers_and_shares_mix():
    splits = select_splits(DIV2K, ['val=10', 'train=50%'])
    assert [(name, len(paths), paths[0].stem) for name, paths in splits.items()] == [
        ('val', 10, '0001'), ('train', 400, '0011')]
