"""What files mean beyond their numbers: inks, profiles, depth, EXIF data, hidden colours; and what cannot be read."""
import io
import os
import random
import struct
import zlib

import cv2
import imagecodecs
import numpy as np
import pytest
import tifffile
from image_files import cmyk_profile, exif, pillow_files, png, samples
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from deconas_plugin.data.image_io import read_image
from deconas_plugin.data.images.photo import Photo, fill_hidden
from deconas_plugin.data.images.reader import decode_photo, read_photo
from deconas_plugin.data.images.writer import encode_photo
from deconas_plugin.errors import DataError

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


def saved(image, kind, **settings):
    file = io.BytesIO()
    image.save(file, kind, **settings)
    return file.getvalue()


def tiff(pixels, **settings):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **settings)
    return file.getvalue()


def inks(values, profile):
    """ndarray: What littlecms makes of CMYK values of 8 bits, called by Pillow."""
    profile = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    image = Image.frombytes('CMYK', values.shape[1::-1], values.tobytes())
    return np.asarray(ImageCms.profileToProfile(image, profile, ImageCms.createProfile('sRGB'), outputMode='RGB'))


def test_inks_are_seen_through_their_profile():
    profile, values = cmyk_profile(), samples(4, 8)
    image = Image.frombytes('CMYK', values.shape[1::-1], values.tobytes())
    expected = inks(values, profile).astype(int)
    assert np.abs(expected - np.asarray(image.convert('RGB'))).mean() > 20
    jpeg = saved(image, 'JPEG', icc_profile=profile, quality=100)  # Adobe's: its numbers are inverted in the file
    assert b'Adobe' in jpeg
    decoded = np.asarray(Image.open(io.BytesIO(jpeg)))
    deep = tiff(values.astype(np.uint16) * 257, photometric='separated', extratags=[(34675, 7, len(profile), profile)])
    for content, wanted, depth in ((saved(image, 'TIFF', icc_profile=profile), expected, 1),
                                   (jpeg, inks(decoded, profile), 1), (deep, expected, 257)):
        photo = decode_photo(content, 'x')
        assert np.abs(photo.rgb / depth - wanted).max() <= 1 and photo.profile is None
        assert photo.rgb.dtype == (np.uint8 if depth == 1 else np.uint16)


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'WEBP', 'AVIF'])
def test_profiles_of_these_pixels_are_kept_and_others_not(kind):
    image = Image.fromarray(samples(3, 8))
    assert decode_photo(saved(image, kind, icc_profile=SRGB), 'x').profile == SRGB
    assert decode_photo(saved(image, kind, icc_profile=cmyk_profile()), 'x').profile is None
    photo = decode_photo(saved(image.convert('L'), 'PNG', icc_profile=SRGB), 'x')
    assert photo.is_grey and photo.profile is None


def test_a_profile_over_a_megabyte_is_kept():
    profile = SRGB[:16] + b'RGB ' + SRGB[20:] + random.Random(0).randbytes(2**21)
    content = png(samples(3, 8), 8, 2, [(b'iCCP', b'big\0\0' + zlib.compress(profile))])
    assert decode_photo(content, 'x').profile == profile


@pytest.mark.parametrize('largest', [1000, 4095, 65535])
@pytest.mark.parametrize('kind', ['P5', 'P6'])
def test_deep_ppm(kind, largest):
    values = samples(1 if kind == 'P5' else 3, 16).astype(int) % (largest + 1)
    photo = decode_photo(f'{kind} 17 12 {largest}\n'.encode() + values.astype('>u2').tobytes(), 'x')
    assert photo.rgb.dtype == np.uint16
    assert np.abs(photo.rgb - values * (65535 / largest)).max() < 0.51


@pytest.mark.parametrize('bits', [10, 12, 16])
@pytest.mark.parametrize('channels', [1, 3, 4])
def test_deep_jpeg2000(bits, channels):
    values = samples(channels, bits)
    content = imagecodecs.jpeg2k_encode(values[..., 0] if channels == 1 else values, level=0, codecformat='jp2',
                                        bitspersample=bits)
    photo = decode_photo(content, 'x')
    expected = np.round(values * (65535 / (2**bits - 1)))
    assert np.array_equal(photo.rgb, expected[..., :3].repeat(3 if channels == 1 else 1, 2))
    assert channels < 4 or np.array_equal(photo.alpha, expected[..., 3])


def test_signed_jpeg2000():
    values = samples(3, 16)
    content = imagecodecs.jpeg2k_encode((values.astype(np.int32) - 2**15).astype(np.int16), level=0, reversible=True)
    assert np.array_equal(decode_photo(content, 'x').rgb, values)


@pytest.mark.parametrize('bits', [10, 12])
def test_deep_avif(bits):
    values = np.full((16, 24, 3), (100, 2**bits - 1, 2**(bits - 1)), np.uint16)
    photo = decode_photo(imagecodecs.avif_encode(values, level=100, bitspersample=bits), 'x')
    assert np.abs(photo.rgb.astype(int) - values * (65535 / (2**bits - 1))).max() <= 300


@pytest.mark.parametrize('bits', [4, 10, 12, 14])
def test_tiff_of_odd_depths(bits):
    values = samples(1, bits)
    largest = 255 if bits <= 8 else 65535
    photo = decode_photo(tiff(values[..., 0], photometric='minisblack', bitspersample=bits), 'x')
    assert np.array_equal(photo.rgb[..., :1], np.round(values * (largest / (2**bits - 1))))


def test_the_first_picture_of_several():
    frames = [Image.fromarray(samples(3, 8, seed)).quantize(16) for seed in (1, 2)]
    photo = decode_photo(saved(frames[0], 'GIF', save_all=True, append_images=frames[1:]), 'x')
    assert np.array_equal(photo.rgb, np.asarray(frames[0].convert('RGB')))
    frames = [frame.convert('RGB') for frame in frames]
    content = saved(frames[0], 'MPO', save_all=True, append_images=frames[1:])
    assert b'MPF' in content
    assert np.array_equal(decode_photo(content, 'x').rgb, decode_photo(saved(frames[0], 'JPEG'), 'x').rgb)
    pages = np.stack([samples(3, 16, seed) for seed in (1, 2)])
    assert np.array_equal(decode_photo(tiff(pages, photometric='rgb'), 'x').rgb, pages[0])


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'TIFF', 'WEBP', 'AVIF'])
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.webp'])
def test_exif_data_are_kept_without_what_no_longer_holds(kind, suffix):
    data = Image.Exif()
    data.load(b'Exif\0\0' + exif(6, Make='Maker', DateTime='2020:01:02 03:04:05'))
    if kind != 'TIFF':  # Pillow writes no directories of EXIF data into a TIFF
        data.get_ifd(0x8769).update({0x9003: '2020:01:02 03:04:05', 0xA002: 17, 0xA003: 12})
        data.get_ifd(0x8825).update({1: 'N', 2: (1.0, 2.0, 3.0)})
    photo = decode_photo(saved(Image.fromarray(samples(3, 8)), kind, exif=data), 'x')
    assert photo.rgb.shape == (17, 12, 3)
    with Image.open(io.BytesIO(encode_photo(photo, suffix))) as image:
        kept = image.getexif()
        assert image.size == (12, 17) and kept[0x0112] == 1
        assert kept[0x010F] == 'Maker' and kept[0x0132] == '2020:01:02 03:04:05'
        if kind != 'TIFF':
            assert dict(kept.get_ifd(0x8769)) == {0x9003: '2020:01:02 03:04:05'}
            assert kept.get_ifd(0x8825)[2] == (1.0, 2.0, 3.0)


def test_orientation_in_an_old_text_chunk():
    text = PngInfo()
    raw = b'Exif\0\0' + exif(6)
    text.add_text('Raw profile type exif', f'\nexif\n{len(raw)}\n{raw.hex()}\n', zip=True)
    assert decode_photo(saved(Image.fromarray(samples(3, 8)), 'PNG', pnginfo=text), 'x').rgb.shape == (17, 12, 3)


def test_damaged_metadata_do_not_take_the_pixels_along():
    pixels = samples(3, 8)
    chunks = [(b'eXIf', b'II*\0\xff\xff\xff\xff'), (b'iCCP', b'x\0\0broken'), (b'tEXt', b'a\0' + b'x' * 2**23),
              (b'zTXt', b'b\0\0' + zlib.compress(bytes(2**24))), (b'gAMA', struct.pack('>I', 45455))]
    photo = decode_photo(png(pixels, 8, 2, chunks), 'x')
    assert np.array_equal(photo.rgb, pixels) and photo.profile is None and photo.exif is None
    jpeg = saved(Image.fromarray(pixels), 'JPEG', exif=b'Exif\0\0II*\0\xff\xff\xff\xff')
    assert decode_photo(jpeg, 'x').rgb.shape == pixels.shape


@pytest.mark.parametrize('bits', [8, 16])
def test_what_says_how_colours_are_meant_goes_from_png_to_png(bits):
    colour = {b'cICP': bytes([9, 16, 0, 1]), b'gAMA': struct.pack('>I', 100000), b'cHRM': struct.pack('>8I', *range(8)),
              b'sRGB': b'\1'}
    photo = decode_photo(png(samples(3, bits), bits, 2, colour.items()), 'x')
    again = decode_photo(encode_photo(photo), 'x')
    assert photo.colour == again.colour == colour
    assert np.array_equal(photo.rgb, again.rgb)


def test_an_avif_says_so_too():
    values = np.full((16, 16, 3), 500, np.uint16)
    content = bytearray(imagecodecs.avif_encode(values, bitspersample=10))
    place = content.find(b'colrnclx') + 8
    content[place:place + 4] = struct.pack('>HH', 9, 16)
    assert decode_photo(bytes(content), 'x').colour == {b'cICP': bytes([9, 16, 0, 1])}


@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('grey', [False, True])
@pytest.mark.parametrize('alpha', [False, True])
def test_encoding_keeps_depth_channels_and_grey_profiles(bits, grey, alpha):
    rgb = samples(1, bits).repeat(3, 2) if grey else samples(3, bits)
    profile = SRGB[:16] + (b'GRAY' if grey else b'RGB ') + SRGB[20:]
    photo = Photo(rgb, samples(1, bits, 5)[..., 0] if alpha else None, grey, profile)
    again = decode_photo(encode_photo(photo), 'x')
    assert np.array_equal(again.rgb, rgb) and again.is_grey == grey and again.profile == profile
    assert np.array_equal(again.alpha, photo.alpha) if alpha else again.alpha is None


def test_formats_that_cannot_hold_a_photo_say_so():
    with pytest.raises(DataError, match='transparency, which a JPEG cannot hold'):
        encode_photo(Photo(samples(3, 8), samples(1, 8)[..., 0]), '.jpg')
    with pytest.raises(DataError, match='cannot be written as WEBP'):
        encode_photo(Photo(np.zeros((1, 16384, 3), np.uint8)), '.webp')
    for colour, says in (({b'cICP': bytes([9, 16, 0, 1])}, True), ({b'gAMA': struct.pack('>I', 100000)}, True),
                         ({b'gAMA': struct.pack('>I', 45455)}, False), ({b'cICP': bytes([1, 13, 0, 1])}, False),
                         ({b'gAMA': struct.pack('>I', 100000), b'sRGB': b'\0'}, False)):
        photo = Photo(samples(3, 8), colour=colour)
        if says:
            with pytest.raises(DataError, match='colours that only a PNG can describe'):
                encode_photo(photo, '.jpg')
        else:
            assert encode_photo(photo, '.jpg')
    deep = samples(3, 16)
    assert np.array_equal(decode_photo(encode_photo(Photo(deep), '.webp'), 'x').rgb, np.round(deep / 257))


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_hidden_pixels_take_the_nearest_colour(dtype):
    largest = np.iinfo(dtype).max
    rgb, alpha = np.zeros((40, 40, 3), dtype), np.zeros((40, 40), dtype)
    rgb[10:30, 10:20], rgb[10:30, 20:30] = (largest, 0, 0), (0, largest, 0)
    alpha[10:30, 10:30] = largest
    alpha[10, 10] = 1 if dtype == np.uint16 else largest  # 1 of 65535: its colour is rubble
    photo = Photo(rgb, alpha)
    fill_hidden(photo)
    assert (photo.rgb[:, :20] == (largest, 0, 0)).all() and (photo.rgb[:, 20:] == (0, largest, 0)).all()
    assert not rgb[0, 0].any()
    for same in (Photo(rgb), Photo(rgb, np.zeros_like(alpha)), Photo(rgb, np.full_like(alpha, largest))):
        fill_hidden(same)
        assert same.rgb is rgb


@pytest.mark.parametrize(('content', 'message'), [
    (b'', 'none of the known formats'),
    (b'no image at all', 'none of the known formats'),
    (tiff(samples(3, 8).astype(np.float32), photometric='rgb'), 'got IEEEFP of 32 bits'),
    (tiff(samples(3, 8).astype(np.uint32), photometric='rgb'), 'got UINT of 32 bits'),
    (tiff(samples(3, 8).astype(np.int16), photometric='rgb'), 'got INT of 16 bits'),
    (tiff(samples(4, 8), photometric='separated', extratags=[(332, 'H', 1, 2, True)]), 'got other inks'),
    (tiff(samples(6, 8), photometric='separated', extratags=[(334, 'H', 1, 6, True)]), 'got other inks'),
    (tiff(samples(3, 16), photometric='cielab'), 'CIELAB of 16 bits'),
    (tiff(np.zeros((4, 32, 32), np.uint8), photometric='minisblack', volumetric=True, tile=(16, 16, 16)), 'a volume'),
])
def test_what_is_not_read_says_why(content, message):
    with pytest.raises(DataError, match=f'x: not a readable image .*{message}') as caught:
        decode_photo(content, 'x')
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('file', {file.name.split()[0]: file for file in pillow_files()}.values(),
                         ids=lambda file: file.name)
def test_cut_short(file):
    whole = file.content
    for length in [0, 1, 4, 9, 20, *(int(len(whole) * share) for share in (.3, .5, .7))]:
        with pytest.raises(DataError, match='x: not a readable image') as caught:
            decode_photo(whole[:length], 'x')
        assert '\n' not in str(caught.value)


def test_damaged_files_are_read_or_refused_in_one_line():
    for file in {file.name.split()[0]: file for file in pillow_files()}.values():
        for seed in range(30):
            rng, content = random.Random(seed), bytearray(file.content)
            for _ in range(rng.randint(1, 6)):
                content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            try:
                decode_photo(bytes(content), 'x')
            except DataError as error:
                assert '\n' not in str(error) and len(str(error)) < 300


def test_the_limit_is_an_option_and_not_pillows(monkeypatch):
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 10)
    for kind in ('JPEG', 'PNG', 'TIFF', 'WEBP'):
        content = saved(Image.fromarray(samples(3, 8)), kind)
        assert decode_photo(content, 'x', max_pixels=12 * 17).rgb.shape == (12, 17, 3)
        with pytest.raises(DataError, match='x: 17x12 pixels; expected at most 203 '):
            decode_photo(content, 'x', max_pixels=203)
    assert Image.MAX_IMAGE_PIXELS == 10
    with pytest.raises(DataError, match='30000x20000 pixels; expected at most 400,000,000'):
        claims = png(samples(1, 8), 8, 0).replace(struct.pack('>II', 17, 12), struct.pack('>II', 30000, 20000))
        decode_photo(claims, 'x')


def test_names_that_are_no_text(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b'/caf\xe9.png')
    with open(path, 'wb') as file:
        file.write(png(samples(3, 16), 16, 2))
    assert np.array_equal(read_photo(path).rgb, samples(3, 16))
    with pytest.raises(DataError, match='more than 8 bits'):
        read_image(path)


def test_opencv_agrees_on_jpeg():
    for seed in range(4):
        smooth = cv2.resize(samples(3, 8, seed)[:3, :4], (60, 44), interpolation=cv2.INTER_CUBIC)
        content = saved(Image.fromarray(smooth), 'JPEG', quality=90, exif=exif((1, 3, 6, 8)[seed]))
        expected = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
        assert np.abs(decode_photo(content, 'x').rgb.astype(int) - expected).max() <= 3
