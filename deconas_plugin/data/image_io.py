"""Reading photographs strictly and encoding them as the databases hold them."""
import struct
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from deconas_plugin.errors import DataError

SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff')
FORMATS = ('PNG', 'JPEG', 'BMP', 'TIFF')
PNG_LEVEL = 1  # OpenCV's default, and BasicSR's; written into meta_info.txt
MIN_SIDE = 12


def list_images(folder):
    """The image files directly in `folder`, sorted by name.

    Raises:
        DataError: no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f'{folder}: no such folder; expected a folder of images')
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES and path.is_file())
    if not images:
        raise DataError(f'{folder}: no images in it; expected files ending in {" ".join(SUFFIXES)}')
    return images


def read_image(path):
    """Read an 8-bit PNG, JPEG, BMP or TIFF. Pillow reads, because OpenCV takes a truncated JPEG for a whole one.

    Returns:
        tuple: the image, (h, w, 3), uint8, BGR (grey images get three equal channels), and a note on what was left
            out ('' if nothing was).

    Raises:
        DataError: unreadable, truncated, more than 8 bits per channel, or smaller than 12 pixels.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            # Pillow cuts 16-bit colour down to 8 bits in silence; only the raw mode of its tiles still tells.
            deep = image.mode in ('I', 'F') or ';16' in f'{image.mode} {[tile[3] for tile in image.tile]}'
            if deep:
                raise DataError(f'{path}: more than 8 bits per channel; convert it to 8 bits')
            has_alpha = 'A' in image.getbands() or 'transparency' in image.info
            rgb = np.asarray((image.convert('RGBA') if has_alpha else image).convert('RGB'))
    except DataError:
        raise
    except (OSError, SyntaxError, ValueError, IndexError, struct.error, Image.DecompressionBombError) as error:
        reason = ' '.join(str(error).split()).replace(f"'{path}'", '').strip()
        raise DataError(f'{path}: not a readable image ({reason})') from error
    if min(rgb.shape[:2]) < MIN_SIDE:
        raise DataError(f'{path}: {rgb.shape[1]}x{rgb.shape[0]} pixels; expected at least {MIN_SIDE}x{MIN_SIDE}')
    return np.ascontiguousarray(rgb[:, :, ::-1]), 'alpha channel dropped' if has_alpha else ''


def encode_png(img):
    """(h, w, 3) uint8 BGR -> PNG bytes, the same bytes every time.

    OpenCV's defaults (level 1, SUB filter, run lengths) take half the time of level 1 alone to write and three quarters
    to read, for a tenth more bytes.
    """
    return cv2.imencode('.png', img)[1].tobytes()
