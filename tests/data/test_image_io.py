import cv2
import numpy as np
import pytest
from PIL import Image

from deconas_plugin.data.image_io import encode_png, list_images, read_image
from deconas_plugin.errors import DataError


@pytest.fixture
def img():
    y, x = np.mgrid[:40, :50]
    return np.stack([x * 5, y * 6, x + y], 2).astype(np.uint8)


@pytest.mark.parametrize('suffix', ['png', 'bmp', 'tif', 'tiff', 'PNG'])
def test_lossless_formats_give_the_pixels(tmp_path, img, suffix):
    path = tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), img)
    found, note = read_image(path)
    assert np.array_equal(found, img) and found.flags.c_contiguous and note == ''


def test_jpeg_is_read_as_opencv_reads_it(tmp_path, img):
    cv2.imwrite(str(tmp_path / 'a.jpg'), img)
    found = read_image(tmp_path / 'a.jpg')[0].astype(int)
    assert np.abs(found - cv2.imread(str(tmp_path / 'a.jpg'))).max() <= 3


def test_grey_gets_three_equal_channels(tmp_path, img):
    cv2.imwrite(str(tmp_path / 'a.png'), img[:, :, 0])
    found, note = read_image(tmp_path / 'a.png')
    assert np.array_equal(found, img[:, :, :1].repeat(3, 2)) and note == ''


@pytest.mark.parametrize('mode', ['RGBA', 'LA', 'P'])
def test_alpha_is_dropped_with_a_note(tmp_path, img, mode):
    picture = Image.fromarray(img[:, :, ::-1].copy()).convert(mode)
    colours = cv2.cvtColor(np.asarray(picture.convert('RGB')), cv2.COLOR_RGB2BGR)
    if mode == 'P':
        picture.save(tmp_path / 'a.png', transparency=0)
    else:
        picture.putalpha(100)
        picture.save(tmp_path / 'a.png')
    found, note = read_image(tmp_path / 'a.png')
    assert np.array_equal(found, colours) and note == 'alpha channel dropped'


@pytest.mark.parametrize('name', ['grey.png', 'colour.png', 'alpha.png', 'grey.tif', 'colour.tif'])
def test_16_bit_is_refused(tmp_path, img, name):
    deep = img.astype(np.uint16) * 257
    deep = {'grey': deep[:, :, 0], 'colour': deep, 'alpha': np.dstack([deep, deep[:, :, 0]])}[name.split('.')[0]]
    cv2.imwrite(str(tmp_path / name), deep)
    with pytest.raises(DataError, match=f'{name}: more than 8 bits'):
        read_image(tmp_path / name)


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'bmp', 'tif'])
@pytest.mark.parametrize('share', [0, .01, .5, .9])
def test_truncated_is_refused(tmp_path, img, suffix, share):
    content = cv2.imencode(f'.{suffix}', img)[1].tobytes()
    path = tmp_path / f'a.{suffix}'
    path.write_bytes(content[:int(len(content) * share)])
    with pytest.raises(DataError, match='not a readable image') as caught:
        read_image(path)
    assert '\n' not in str(caught.value) and str(path) in str(caught.value)


def test_other_content_is_refused(tmp_path):
    (tmp_path / 'a.png').write_text('no image at all')
    with pytest.raises(DataError, match='a.png: not a readable image'):
        read_image(tmp_path / 'a.png')


def test_tiny_is_refused(tmp_path, img):
    cv2.imwrite(str(tmp_path / 'a.png'), img[:11])
    with pytest.raises(DataError, match='50x11 pixels; expected at least 12x12'):
        read_image(tmp_path / 'a.png')


def test_listing_is_sorted_and_takes_images_only(tmp_path):
    for name in ('b.jpg', 'a.PNG', 'notes.txt', 'c.tiff'):
        (tmp_path / name).touch()
    (tmp_path / 'folder.png').mkdir()
    assert [path.name for path in list_images(tmp_path)] == ['a.PNG', 'b.jpg', 'c.tiff']


def test_empty_and_missing_folders_are_errors(tmp_path):
    with pytest.raises(DataError, match='no images in it'):
        list_images(tmp_path)
    with pytest.raises(DataError, match='no such folder'):
        list_images(tmp_path / 'nowhere')


def test_encoding_is_lossless_and_repeatable(img):
    png = encode_png(img)
    assert png == encode_png(img.copy())
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), img)
