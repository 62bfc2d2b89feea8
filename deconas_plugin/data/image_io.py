"""Images of 8 bits per channel as training data and benchmarks need them, and how the databases hold them."""
from pathlib import Path

import cv2
import numpy as np

from deconas_plugin.data.images.reader import MAX_PIXELS, SUFFIXES, decode_photo, read_photo, scan_folder
from deconas_plugin.errors import DataError

PNG_LEVEL = 1  # OpenCV's default, and BasicSR's; written into meta_info.txt
MIN_SIDE = 12


def list_images(folder, skipped=None):
    """The image files directly in `folder`, sorted by name.

    Args:
        folder (str | Path): The folder.
        skipped (dict[Path, str] | None): Takes what was passed over although it may have been meant, and why.

    Raises:
        DataError: no such folder, or no image in it.
    """
    if not Path(folder).is_dir():
        raise DataError(f'{folder}: no such folder; expected a folder of images')
    images, passed_over = scan_folder(folder)
    if not images:
        hint = next(iter(passed_over.values()), f'expected files ending in {" ".join(SUFFIXES)}')
        raise DataError(f'{folder}: no images in it; {hint}')
    if skipped is not None:
        skipped.update(passed_over)
    return images


def read_image(path, max_pixels=MAX_PIXELS):
    """Read an image as its file says: upright, in the colours of its profile where they are inks.

    Args:
        path (str | Path): A file of any format of :func:`read_photo`.
        max_pixels (int): The largest image to decode. Default: 400 million.

    Returns:
        tuple: the image, (h, w, 3), uint8, BGR (grey images get three equal channels), and a note on what was left
            out ('' if nothing was).

    Raises:
        DataError: unreadable, truncated, more than 8 bits per channel, too large, or smaller than 12 pixels.
    """
    photo = read_photo(path, max_pixels)
    rgb = eight_bits(photo, path)
    if min(rgb.shape[:2]) < MIN_SIDE:
        raise DataError(f'{path}: {rgb.shape[1]}x{rgb.shape[0]} pixels; expected at least {MIN_SIDE}x{MIN_SIDE}')
    return np.ascontiguousarray(rgb[:, :, ::-1]), '' if photo.alpha is None else 'alpha channel dropped'


def decode_image(content, where):
    """Decode an image, bytes, as :func:`read_image` reads it; `where` is what messages call it.

    Returns:
        ndarray: (h, w, 3), uint8, RGB.
    """
    return eight_bits(decode_photo(content, where), where)


def eight_bits(photo, where):
    """The (h, w, 3) uint8 RGB pixels of a Photo; DataError where it has more bits."""
    if photo.rgb.dtype != np.uint8:
        raise DataError(f'{where}: more than 8 bits per channel; convert it to 8 bits')
    return photo.rgb


def encode_png(img):
    """(h, w, 3) uint8 BGR -> PNG bytes, the same bytes every time.

    OpenCV's defaults (level 1, SUB filter, run lengths) take half the time of level 1 alone to write and three quarters
    to read, for a tenth more bytes.
    """
    return cv2.imencode('.png', img)[1].tobytes()
