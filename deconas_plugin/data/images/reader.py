"""The one reader of image files: bytes in, the pixels that the file means out."""
import functools
import io
import threading
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from deconas_plugin.data.images import png, tiff
from deconas_plugin.data.images.photo import TURNED, UPRIGHT, Photo, cmyk_to_rgb, read_exif
from deconas_plugin.errors import DataError

SUFFIXES = ('.png', '.apng', '.jpg', '.jpeg', '.jpe', '.jfif', '.mpo', '.bmp', '.dib', '.tif', '.tiff', '.webp', '.gif',
            '.avif', '.jp2', '.j2k', '.jpx', '.ppm', '.pgm', '.pbm', '.pnm')
FORMATS = ('PNG', 'JPEG', 'BMP', 'DIB', 'TIFF', 'WEBP', 'GIF', 'AVIF', 'JPEG2000', 'PPM')
MAX_PIXELS = 400_000_000
SIZE_HEADER = b'\xff\x4f\xff\x51'  # start of a JPEG 2000 codestream; the bits of its first channel are 42 bytes on

_opening = threading.Lock()


def read_photo(path, max_pixels=MAX_PIXELS):
    """Read an image file.

    Args:
        path (str | Path): PNG, JPEG, BMP, TIFF, WebP, GIF (its first picture), AVIF, JPEG 2000 or PPM, whatever its
            name ends in.
        max_pixels (int): The largest image to decode; a file of a few bytes can claim to hold any number of pixels.
            Default: 400 million.

    Returns:
        Photo: Its pixels as they are to be seen: upright, with the depth, transparency and colours that the file says.

    Raises:
        DataError: It is unreadable, cut short, too large, or has pixels of a kind that is not supported.
    """
    return decode_photo(_content(path), path, max_pixels)


def read_size(path):
    """The size of the photo that :func:`read_photo` reads; no pixel is decoded, however many they are.

    Args:
        path (str | Path): As there.

    Returns:
        tuple[int, int]: (height, width), upright.

    Raises:
        DataError: It is unreadable.
    """
    content = _content(path)
    try:
        (width, height), orientation = _head(content)
    except Exception as error:
        raise DataError(f'{path}: not a readable image ({_reason(error)})') from error
    return (width, height) if orientation in TURNED else (height, width)


def _head(content):
    if content.startswith(png.SIGNATURE):
        return png.read_head(content)
    if content.startswith(tiff.SIGNATURES):
        return tiff.read_head(content)
    with _open(content) as image:
        return image.size, read_exif(image.getexif)[0]


def _content(path):
    try:
        with open(path, 'rb') as file:
            return file.read()
    except OSError as error:
        raise DataError(f'{path}: cannot be read ({error.strerror})') from error


def decode_photo(content, where, max_pixels=MAX_PIXELS):
    """Decode an image file; see :func:`read_photo`.

    Args:
        content (bytes): The file.
        where (str | Path): What the messages call it.
        max_pixels (int): The largest image to decode. Default: 400 million.
    """
    def check(width, height):
        if width * height > max_pixels:
            raise DataError(f'{where}: {width}x{height} pixels; expected at most {max_pixels:,} (--max-pixels)')

    try:
        photo, orientation = _decode(content, check)
    except DataError:
        raise
    except Exception as error:  # which one a decoder raises for a damaged file depends on the byte that is wrong
        raise DataError(f'{where}: not a readable image ({_reason(error)})') from error
    turn = UPRIGHT.get(orientation)
    if turn is not None:
        photo.rgb = np.ascontiguousarray(turn(photo.rgb))
        photo.alpha = None if photo.alpha is None else np.ascontiguousarray(turn(photo.alpha))
    if photo.profile and photo.profile[16:20] != (b'GRAY' if photo.is_grey else b'RGB '):
        photo.profile = None  # it is not one of these numbers
    return photo


def _reason(error):
    if isinstance(error, UnidentifiedImageError):
        return 'none of the known formats'
    return ' '.join(str(error).split()) or type(error).__name__


def _decode(content, check):
    """tuple: Photo as it lies in the file, and its orientation."""
    if content.startswith(png.SIGNATURE):
        return png.decode_png(content, check)
    if content.startswith(tiff.SIGNATURES):
        decoded = tiff.decode_tiff(content, check)
        if decoded is not None:
            return decoded
    with _open(content) as image:
        check(*image.size)
        photo = _decode_deep(image, content) or _decode_plain(image)
        if image.format == 'AVIF':
            photo.colour = _colour_of_avif(content)
        orientation, photo.exif = read_exif(image.getexif)
    return photo, orientation


def _open(content):
    """Image: Opened by Pillow, which has a limit of its own, for the process and not for an image."""
    with _opening:
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(io.BytesIO(content), formats=FORMATS)
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _decode_plain(image):
    """Photo: By Pillow, 8 bits per channel."""
    image.load()
    mode, profile = image.mode, image.info.get('icc_profile')
    if mode == 'CMYK':
        return Photo(cmyk_to_rgb(np.asarray(image), profile))
    if mode == 'LAB':
        return Photo(np.asarray(ImageCms.applyTransform(image, _lab_to_srgb())))
    if mode not in ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'RGBX', 'YCbCr'):
        raise ValueError(f'expected 8 or 16 bits per channel, got pixels of mode {mode}')
    has_alpha = mode in ('LA', 'PA', 'RGBA') or 'transparency' in image.info
    wanted = 'RGBA' if has_alpha else 'RGB'
    pixels = np.asarray(image if mode == wanted else image.convert(wanted))
    return Photo(pixels[..., :3], pixels[..., 3] if has_alpha else None, mode in ('1', 'L', 'LA'), profile)


def _decode_deep(image, content):
    """Photo | None: An image of more than 8 bits per channel, which Pillow would cut down to 8."""
    decoder = {'PPM': _decode_ppm, 'JPEG2000': _decode_jpeg2000, 'AVIF': _decode_avif}.get(image.format)
    decoded = decoder(image, content) if decoder else None
    if decoded is None:
        return None
    pixels, largest = decoded
    pixels = tiff.spread(pixels[..., None] if pixels.ndim == 2 else pixels, largest)
    is_grey, has_alpha = pixels.shape[2] < 3, pixels.shape[2] in (2, 4)
    rgb = pixels[..., :1].repeat(3, 2) if is_grey else pixels[..., :3]
    return Photo(rgb, pixels[..., -1] if has_alpha else None, is_grey, image.info.get('icc_profile'))


def _decode_ppm(image, content):
    args = image.tile[0].args
    largest = 65535 if args == 'I;16B' else args[1] if isinstance(args, tuple) else 255
    if largest < 256:
        return None
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return (pixels if pixels.ndim == 2 else pixels[..., ::-1]), largest


def _decode_jpeg2000(image, content):
    kind = content[content.find(SIZE_HEADER) + 42]
    bits, middle = (kind & 127) + 1, 2**(kind & 127) if kind & 128 else 0  # signed numbers have their black below 0
    if bits <= 8 or image.mode not in ('L', 'LA', 'RGB', 'RGBA', 'I;16'):
        return None
    pixels = imagecodecs.jpeg2k_decode(content)
    return (pixels.astype(np.int32) + middle).astype(np.uint16), 2**bits - 1


def _decode_avif(image, content):
    settings = content.find(b'av1C') + 6
    if not content[settings] & 64:
        return None
    return imagecodecs.avif_decode(content), 4095 if content[settings] & 32 else 1023


def _colour_of_avif(content):
    """dict: The cICP chunk of a PNG that says of RGB values what an AVIF says of its own, where that is not sRGB."""
    place = content.find(b'colrnclx') + 8
    primaries, transfer = content[place + 1], content[place + 3]
    if place < 8 or 2 in (primaries, transfer) or (primaries, transfer) == (1, 13):
        return {}
    return {b'cICP': bytes([primaries, transfer, 0, 1])}


@functools.cache
def _lab_to_srgb():
    return ImageCms.buildTransform(ImageCms.createProfile('LAB'), ImageCms.createProfile('sRGB'), 'LAB', 'RGB')


# Images of kinds that are not read: their photographs should not be missing without a word.
UNREAD = ('.heic', '.heif', '.hif', '.jxl', '.jxr', '.psd', '.psb', '.tga', '.ico', '.icns', '.svg', '.svgz', '.exr',
          '.hdr', '.pfm', '.pcx', '.dds', '.xcf', '.eps', '.fits', '.dng', '.cr2', '.cr3', '.crw', '.nef', '.nrw',
          '.arw', '.srf', '.sr2', '.raf', '.orf', '.rw2', '.pef', '.srw', '.3fr', '.iiq', '.x3f', '.raw', '.webm',
          '.bpg', '.flif', '.qoi', '.j2c', '.jpf', '.jpm', '.pam', '.sgi', '.xbm', '.xpm', '.wbmp', '.emf', '.wmf')


def scan_folder(folder, recursive=False):
    """Sort out a folder.

    Args:
        folder (str | Path): It exists.
        recursive (bool): Whether its subfolders count, those reached by links not. Default: no.

    Returns:
        tuple: list[Path] of images by name, and dict[Path, str] of what was passed over although it should perhaps
        not have been, with the line that says so. Other files count as none of our business.
    """
    paths = Path(folder).rglob('*') if recursive else Path(folder).iterdir()
    return sort_out(sorted(path for path in paths if path.suffix.lower() in (*SUFFIXES, *UNREAD) and not path.is_dir()))


def sort_out(paths):
    """The same for any files; see :func:`scan_folder`."""
    images, skipped = [], {}
    for path in paths:
        reason = _why_left_out(path)
        if reason:
            skipped[path] = f'{path}: {reason}'
        else:
            images.append(path)
    return images, skipped


def _why_left_out(path):
    if path.name.startswith('._'):
        return 'not an image, but what macOS keeps beside one on foreign disks'
    if not path.exists():
        return 'a link to a file that is not there'
    if path.suffix.lower() in UNREAD:
        return f'{path.suffix} is not read; convert it, to PNG for example'
    return '' if path.is_file() else 'not a file'
