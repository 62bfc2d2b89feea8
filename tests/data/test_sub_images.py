import cv2
import numpy as np
import pytest

from deconas_plugin.data.bicubic import bicubic
from deconas_plugin.data.prepare import PairJob, cut_pair, starts


def decode(png):
    return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)


@pytest.mark.parametrize(('length', 'expected'), [
    (2040, [0, 240, 480, 720, 960, 1200, 1440, 1560]),  # DIV2K's width: the last window is moved back to the end
    (1440, [0, 240, 480, 720, 960]),
    (480, [0]),
    (300, [0]),
])
def test_windows_as_in_the_div2k_recipe(length, expected):
    assert starts(length, 480, 240) == expected


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_lr_sub_images_belong_to_hr_ones(tmp_path, scale):
    img = np.random.default_rng(0).integers(0, 256, (101, 143, 3), np.uint8)
    cv2.imwrite(str(tmp_path / '0001.png'), img)
    pair = cut_pair(PairJob('0001', tmp_path / '0001.png', None, scale, 48, 24, 'basicsr', want_hr=True, want_lr=True))
    hr, lr = img[:96, :132], bicubic(img[:96, :132], 1 / scale)
    corners = [(y, x) for y in (0, 24, 48) for x in (0, 24, 48, 72, 84)]
    assert [key for key, _ in pair.hr] == [key for key, _ in pair.lr] == [f'0001_s{i:03d}' for i in range(1, 16)]
    for (y, x), (_, hr_png), (_, lr_png) in zip(corners, pair.hr, pair.lr, strict=True):
        assert np.array_equal(decode(hr_png), hr[y:y + 48, x:x + 48])
        small = lr[y // scale:(y + 48) // scale, x // scale:(x + 48) // scale]
        assert np.array_equal(decode(lr_png), small)


def test_an_image_smaller_than_the_window_is_one_sub_image(tmp_path):
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((30, 100, 3), np.uint8))
    pair = cut_pair(PairJob('a', tmp_path / 'a.png', None, 2, 48, 48, 'basicsr', want_hr=True, want_lr=True))
    assert [decode(png).shape for _, png in pair.hr] == [(24, 48, 3)] * 2
    assert [decode(png).shape for _, png in pair.lr] == [(12, 24, 3)] * 2
