from pathlib import Path

import pytest

from deconas_plugin.data.splits import select_splits
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
    (['train=1'], 'expected NAME=FIRST-LAST'),
    (['a/b=1-2'], 'expected NAME=FIRST-LAST'),
    (['train=0801-0900'], r'none of the 800 images \(0001 to 0800\)'),
    (['train=0001-0750', 'reward=0750-0800'], '0750 is also in train'),
    (['train=0001-0010', 'train=0020-0030'], 'given twice'),
])
def test_mistakes_are_named(ranges, message):
    with pytest.raises(DataError, match=message):
        select_splits(DIV2K, ranges)
