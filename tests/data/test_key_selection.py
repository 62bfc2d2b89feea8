import pytest

from deconas_plugin.data.pairs import image_name, select_keys
from deconas_plugin.errors import OptionError

DIV2K = [f'{image:04d}_s{part:03d}' for image in range(1, 13) for part in (1, 2)]


def images(keys):
    return sorted({image_name(key) for key in keys})


def test_range_takes_all_sub_images_of_its_images():
    assert select_keys(DIV2K, '0002-0004') == [key for key in DIV2K if '0002' <= key < '0005']


def test_two_ranges_split_a_database_without_overlap():
    train, reward = select_keys(DIV2K, '0001-0010'), select_keys(DIV2K, '0011-0012')
    assert train + reward == DIV2K
    assert not set(train) & set(reward)


def test_list_of_names_and_ranges():
    assert images(select_keys(DIV2K, ['0012', '0001-0002', '0002'])) == ['0001', '0002', '0012']


def test_range_compares_numbers_not_digits():
    assert images(select_keys(['1', '9', '10', '11'], '9-10')) == ['10', '9']


def test_range_with_a_prefix():
    names = [f'img_{number:03d}' for number in range(1, 6)] + ['baby', 'img_x']
    assert select_keys(names, 'img_002-img_004') == ['img_002', 'img_003', 'img_004']


def test_name_that_looks_like_a_range_is_a_name():
    assert select_keys(['1-3', '2'], '1-3') == ['1-3']


@pytest.mark.parametrize('selection', ['0801-0900', '0004-0002', 'baby', '', '-', ['0001', 'baby']])
def test_selection_that_matches_nothing_is_an_error(selection):
    with pytest.raises(OptionError, match="matches none of the 12 images, which run from '0001' to '0012'"):
        select_keys(DIV2K, selection)
