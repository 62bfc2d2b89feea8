"""Images as users have them: 8 or 16 bits, grey or colour, with alpha, rotated by EXIF, with a colour profile."""
import struct
import zlib
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageOps

from deconas_plugin.errors import DataError

ORIENTATION = 0x0112  # EXIF tag
# Turns pixels as the tag says.
UPRIGHT = {
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x[:, ::-1].swapaxes(0, 1),
}

# What Pillow raises for a damaged file depends on the byte that is wrong.
UNREADABLE = (OSError, SyntaxError, ValueError, LookupError, struct.error, zlib.error, Image.DecompressionBombError)


@dataclass
class Photo:
    """An image, upright.

    Attributes:
        rgb (ndarray): (H, W, 3), uint8 or uint16.
        alpha (ndarray | None): (H, W), of the same type.
        is_grey (bool): Whether the file had no colours.
        profile (bytes | None): ICC profile.
    """
    rgb: np.ndarray
    alpha: np.ndarray | None = None
    is_grey: bool = False
    profile: bytes | None = None


def read_photo(path):
    """Read an image.

    Args:
        path (Path): PNG, JPEG, BMP, TIFF, WebP or what else Pillow reads; of several frames the first.

    Returns:
        Photo: Its pixels as they are to be seen.

    Raises:
        DataError: It is unreadable, truncated, or has pixels of a kind that is not supported.
    """
    try:
        with Image.open(path) as image:
            # Pillow cuts 16-bit colour down to 8 bits in silence; only the raw mode of its tiles still tells.
            is_deep = ';16' in f'{image.mode} {[tile[3] for tile in image.tile]}'
            image.load()
            has_alpha = 'A' in image.getbands() or 'transparency' in image.info
            is_grey = image.mode in ('1', 'L', 'LA') or image.mode.startswith('I;16')
            if not is_grey and image.mode not in ('P', 'PA', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'LAB', 'HSV'):
                raise DataError(f'{path}: expected 8 or 16 bits per channel, got pixels of mode {image.mode}')
            profile = image.info.get('icc_profile')
            if is_deep:
                pixels = _read_deep(path, image.getexif().get(ORIENTATION))
            else:
                upright = ImageOps.exif_transpose(image)
                pixels = np.asarray(upright.convert('RGBA' if has_alpha else 'RGB'))
    except DataError:
        raise
    except UNREADABLE as error:
        reason = ' '.join(str(error).split()).replace(f"'{path}'", '').strip()
        raise DataError(f'{path}: not a readable image ({reason})') from error
    # The profile of a CMYK image is not one of the RGB values that it has become.
    is_valid = profile and profile[16:20] == (b'GRAY' if is_grey and not has_alpha else b'RGB ')
    return Photo(pixels[..., :3], pixels[..., 3] if has_alpha else None, is_grey, profile if is_valid else None)


def _read_deep(path, orientation):
    """ndarray: (H, W, 3 or 4), uint16, RGB."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16:
        raise DataError(f'{path}: OpenCV cannot read this image of more than 8 bits per channel; expected a 16-bit PNG '
                        'or TIFF')
    colours = {2: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}[
        pixels.ndim if pixels.ndim == 2 else pixels.shape[2]]
    return UPRIGHT.get(orientation, lambda x: x)(cv2.cvtColor(pixels, colours))


def encode_photo(photo):
    """bytes | memoryview: The photo as PNG, 8 or 16 bits, without loss."""
    if photo.is_grey and photo.alpha is None:
        pixels = cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY)
    elif photo.alpha is None:
        pixels = cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2BGR)
    else:
        pixels = np.dstack([photo.rgb[..., ::-1], photo.alpha])
    encoded = cv2.imencode('.png', pixels)[1].data
    return encoded if photo.profile is None else _with_profile(encoded, photo.profile)


def _with_profile(png, profile):
    """bytes: A PNG with an ICC profile, which OpenCV cannot write, right behind its header."""
    header = 8 + 25
    content = b'iCCPICC profile\0\0' + zlib.compress(profile)
    chunk = struct.pack('>I', len(content) - 4) + content + struct.pack('>I', zlib.crc32(content))
    return b''.join([png[:header], chunk, png[header:]])
