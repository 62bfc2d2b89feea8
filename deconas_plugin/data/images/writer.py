"""Photos as files."""
import io
import struct

import cv2
import numpy as np
from PIL import Image

from deconas_plugin.data.images.png import PngWriter
from deconas_plugin.errors import DataError

WRITTEN = {'.png': 'PNG', '.jpg': 'JPEG', '.jpeg': 'JPEG', '.webp': 'WEBP'}


def encode_photo(photo, suffix='.png'):
    """Encode a photo with its profile and EXIF data.

    Args:
        photo (Photo): The photo.
        suffix (str): '.png': without loss, 8 or 16 bits, with all that says what its colours are. '.webp': 8 bits,
            without further loss. '.jpg': 8 bits, quality 95, no transparency. Default: '.png'.

    Returns:
        bytes: A file.

    Raises:
        DataError: The format cannot hold the photo; the message is what follows the name of the file.
    """
    pixels, file = pixels_of(photo), io.BytesIO()
    if suffix == '.png':
        PngWriter(file, photo, len(pixels)).write(0, pixels)
        return file.getvalue()
    if _is_described_by_chunks(photo):
        raise DataError('has colours that only a PNG can describe (by its chunks cICP or gAMA); write a .png')
    if photo.alpha is not None and WRITTEN[suffix] == 'JPEG':
        raise DataError('has transparency, which a JPEG cannot hold; write a .png or .webp')
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    settings = {'JPEG': {'quality': 95, 'subsampling': 0}, 'WEBP': {'lossless': True, 'exact': True}}[WRITTEN[suffix]]
    try:
        Image.fromarray(pixels).save(
            file, WRITTEN[suffix], **settings, icc_profile=photo.profile, exif=photo.exif or b'')
    except (OSError, ValueError) as error:  # WebP ends at 16,383 pixels a side, JPEG at 65,535
        raise DataError(f'cannot be written as {WRITTEN[suffix]} ({" ".join(str(error).split())}); write a .png'
                        ) from error
    return file.getvalue()


def pixels_of(photo):
    """ndarray: (H, W) or (H, W, 2 to 4), grey or RGB and alpha, as files hold them."""
    pixels = cv2.cvtColor(photo.rgb, cv2.COLOR_RGB2GRAY) if photo.is_grey else photo.rgb
    return np.ascontiguousarray(pixels if photo.alpha is None else np.dstack([pixels, photo.alpha]))


def _is_described_by_chunks(photo):
    """bool: Whether these are the colours of neither a profile nor sRGB."""
    colour = photo.colour
    if b'cICP' in colour:
        return colour[b'cICP'][:2] != bytes([1, 13])
    gamma = struct.unpack('>I', colour[b'gAMA'])[0] if len(colour.get(b'gAMA', b'')) == 4 else 45455
    return not photo.profile and b'sRGB' not in colour and not 44000 < gamma < 47000
