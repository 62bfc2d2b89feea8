"""TIFF of 1 to 16 bits per channel, by tifffile: it keeps the depth and knows planes and every compression in use."""
import io
import logging

import numpy as np
import tifffile
from PIL import Image

from deconas_plugin.data.images.photo import Photo, cmyk_to_rgb, read_exif

SIGNATURES = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')
# Other TIFFs (YCbCr, L*a*b*, fax) are Pillow's, whose libtiff turns them into RGB.
PHOTOMETRICS = {'MINISWHITE': 1, 'MINISBLACK': 1, 'RGB': 3, 'PALETTE': 1, 'SEPARATED': 4}
FAX_AND_OLD_JPEG = (2, 3, 4, 6)
CMYK = 1  # what the tag InkSet says of these four

logging.getLogger('tifffile').addHandler(logging.NullHandler())  # what it notes on the way comes as our one line


def decode_tiff(content, check):
    """Decode the first picture of a TIFF.

    Args:
        content (bytes): The file.
        check (Callable[[int, int], None]): Called with width and height before any pixel is decoded.

    Returns:
        tuple | None: The Photo as it lies in the file, and its orientation; None where this is none of the kinds in
        :data:`PHOTOMETRICS`.

    Raises:
        ValueError: Numbers of a kind that no photo has, or the file is cut short.
        Exception: What tifffile raises for a damaged file.
    """
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        check(page.imagewidth, page.imagelength)
        kind = getattr(page.photometric, 'name', '')
        if kind not in PHOTOMETRICS or page.compression in FAX_AND_OLD_JPEG:
            if page.bitspersample not in (1, 8):
                raise ValueError(f'{kind or page.photometric} of {page.bitspersample} bits per channel')
            return None
        photo = _decode_page(page, len(content))
        orientation, photo.exif = _read_exif(page, content)
        return photo, orientation


def read_head(content):
    """tuple: (width, height) and orientation of the first picture of a TIFF, of which no pixel is decoded."""
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        page = file.pages[0]
        return (page.imagewidth, page.imagelength), _read_exif(page, content)[0]


def _read_exif(page, content):
    # Pillow reads the tags with what they point to; of a BigTIFF it does not.
    orientation, exif = read_exif(lambda: _load_exif(content))
    return page.tags.valueof('Orientation', orientation), exif


def _decode_page(page, length):
    """Photo: Of a page of a file of this length, in bytes."""
    bits, kind = page.bitspersample, page.sampleformat
    if not isinstance(bits, int) or bits > 16 or kind != tifffile.SAMPLEFORMAT.UINT:
        raise ValueError(f'expected whole numbers of 1 to 16 bits per channel, got {tifffile.SAMPLEFORMAT(kind).name} '
                         f'of {bits} bits')
    if page.imagedepth != 1 or page.subfiletype & 1:
        raise ValueError('its first picture is a volume or a thumbnail')
    if any(start + size > length for start, size in zip(page.dataoffsets, page.databytecounts, strict=False)):
        raise ValueError('cut short')
    samples = page.asarray()
    samples = samples[..., None] if samples.ndim == 2 else samples
    if page.planarconfig == tifffile.PLANARCONFIG.SEPARATE and page.samplesperpixel > 1:
        samples = np.moveaxis(samples, 0, -1)
    if samples.shape != (page.imagelength, page.imagewidth, page.samplesperpixel):
        raise ValueError(f'expected {page.samplesperpixel} channels, got an array of shape {samples.shape}')
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED and (
            page.tags.valueof('InkSet', CMYK) != CMYK or page.tags.valueof('NumberOfInks', 4) != 4):
        raise ValueError('expected cyan, magenta, yellow and black, got other inks')
    largest, profile = 2**bits - 1, page.tags.valueof('InterColorProfile')
    photometric = page.photometric.name
    colours = PHOTOMETRICS[photometric]
    extra = _alpha_kind(page, colours)
    alpha = None if extra is None else spread(samples[..., colours], largest)
    if photometric == 'PALETTE':
        return Photo(_look_up(page.colormap, samples[..., 0]), alpha, profile=profile)
    samples = spread(samples[..., :colours], largest)
    if photometric == 'MINISWHITE':
        samples = ~samples
    if extra == tifffile.EXTRASAMPLE.ASSOCALPHA:
        samples = _divide(samples, alpha)
    if photometric == 'SEPARATED':
        return Photo(cmyk_to_rgb(samples, profile), alpha)
    return Photo(samples if colours == 3 else samples.repeat(3, 2), alpha, colours == 1, profile)


def _load_exif(content):
    exif = Image.Exif()
    exif.load(content)
    return exif


def spread(samples, largest):
    """ndarray: Numbers from 0 to ``largest``, at most 65535 -> all of uint8, or of uint16 where there are more."""
    dtype = np.uint8 if largest < 256 else np.uint16
    wanted = np.iinfo(dtype).max
    if largest == wanted:
        return samples.astype(dtype, copy=False)
    return ((samples.astype(np.uint32) * wanted + largest // 2) // largest).clip(0, wanted).astype(dtype)


def _alpha_kind(page, colours):
    """EXTRASAMPLE | None: Of the first channel behind the colours."""
    if page.samplesperpixel <= colours:
        return None
    if not page.extrasamples:  # a fourth channel that nobody describes is alpha to Pillow and OpenCV too
        return tifffile.EXTRASAMPLE.UNASSALPHA if page.samplesperpixel == colours + 1 else None
    kind = page.extrasamples[0]
    return None if kind == tifffile.EXTRASAMPLE.UNSPECIFIED else kind


def _divide(samples, alpha):
    """ndarray: Colours that were multiplied with alpha, as they were before; black where alpha is 0."""
    largest = np.iinfo(samples.dtype).max
    alpha = alpha[..., None].astype(np.uint32)  # 65535 * 65535 + 32767 fits
    divided = (samples.astype(np.uint32) * largest + alpha // 2) // np.maximum(alpha, 1)
    return np.where(alpha > 0, np.minimum(divided, largest), 0).astype(samples.dtype)


def _look_up(colormap, indices):
    """ndarray: (H, W, 3) uint8. Palettes have 16 bits, or 8 in the low ones where nothing is above."""
    table = (colormap >> 8 if colormap.max() > 255 else colormap).astype(np.uint8)
    return np.ascontiguousarray(table.T[indices])
