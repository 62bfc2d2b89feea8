"""Whatever format, depth, orientation, transparency and compression: the pixels that the file means, or one line."""
import numpy as np
import pytest
from image_files import pillow_files, png_files, tiff_files

from deconas_plugin.data.images.reader import decode_photo, read_size
from deconas_plugin.errors import DataError

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


def test_sizes_are_those_of_the_pixels(tmp_path):
    for file in FILES.values():
        (tmp_path / 'file').write_bytes(file.content)
        assert read_size(tmp_path / 'file') == file.rgb.shape[:2], file.name


def test_sizes_have_no_limit_and_errors_of_one_line(tmp_path):
    (tmp_path / 'claims.ppm').write_bytes(b'P6 40000 30000 255 ')
    assert read_size(tmp_path / 'claims.ppm') == (30000, 40000)
    (tmp_path / 'text.png').write_text('no image')
    for name, message in (('text.png', 'not a readable image .none of the known formats'), ('gone', 'cannot be read')):
        with pytest.raises(DataError, match=f'{name}: {message}') as caught:
            read_size(tmp_path / name)
        assert '\n' not in str(caught.value)
