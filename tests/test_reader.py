"""Whatever format, depth, orientation, transparency and compression: the pixels that the file means, or one line."""
import numpy as np
import pytest
from image_files import pillow_files, png_files, tiff_files

from deconas_plugin.data.images.reader import decode_photo

FILES = {file.name: file for make in (tiff_files, png_files, pillow_files) for file in make()}


def test_there_are_at_least_500_files():
    assert len(FILES) >= 500


@pytest.mark.parametrize('name', FILES)
def test_pixels(name):
    file = FILES[name]
    photo = decode_photo(file.content, name)
    assert photo.rgb.dtype == file.rgb.dtype
    assert photo.rgb.shape == file.rgb.shape
    assert photo.is_grey == file.is_grey
    assert np.abs(photo.rgb.astype(int) - file.rgb).max() <= file.near
    assert (photo.alpha is None) == (file.alpha is None)
    assert file.alpha is None or np.array_equal(photo.alpha, file.alpha)
