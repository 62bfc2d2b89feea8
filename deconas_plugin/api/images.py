"""Upscaling images that are in memory."""
import functools
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from deconas_plugin.data.images.photo import Photo, fill_hidden
from deconas_plugin.data.images.reader import decode_photo, read_photo
from deconas_plugin.data.images.writer import encode_photo, pixels_of
from deconas_plugin.errors import DataError
from deconas_plugin.inference.upscaler import Upscaler
from deconas_plugin.machine.console import progress_bar

WHOLE = {'uint8': 255, 'uint16': 65535}


def upscale(image, weights=None, *, scale=None, device=None, precision='float32', backend='auto', tile=None,
            self_ensemble=False):
    """Upscale one image. The network is kept for the next one.

    Args:
        image (ndarray | Image | str | Path): An array (H, W), (H, W, 3) or (H, W, 4), RGB and alpha, of uint8, uint16,
            or floats in [0, 1], which are computed with 16 bits; an image of PIL; or a file.
        weights (str | Path | None): Weight file or name in the model zoo. Default: the best network of the zoo for the
            scale.
        scale (int | None): 2, 3 or 4. Default: that of the weights, or 2 where none are named.
        device, precision, backend (str | None): As for ``deconas upscale``.
        tile (int | None): Side of a tile in pixels. Default: what suits the backend.
        self_ensemble (bool): Average over the eight flips and transpositions.

    Returns:
        ndarray | Image: For an array one of its type and channels, else an image of PIL, upright.

    Raises:
        DeCoNASError: The image, the weights or the device cannot be used.
    """
    upscaler = _upscaler(None if weights is None else str(weights), device, precision, tile, self_ensemble, scale,
                         backend)
    if isinstance(image, np.ndarray):
        return _as_array(_upscaled(_photo_of_array(image), upscaler), image)
    photo = read_photo(Path(image)) if isinstance(image, (str, Path)) else _photo_of_pil(image)
    result = Image.open(io.BytesIO(encode_photo(_upscaled(photo, upscaler), '.png')))
    result.load()
    return result


@functools.lru_cache(maxsize=4)
def _upscaler(*arguments):
    return Upscaler(*arguments)


def _upscaled(photo, upscaler):
    fill_hidden(photo)
    with progress_bar(1, 'images') as show:
        return upscaler.upscale(photo, lambda done, total: show(done / total, ''))


def _photo_of_array(array):
    """Photo: Of an array, which is left as it is."""
    kind = array.dtype.name
    if kind not in WHOLE and array.dtype.kind != 'f':
        raise DataError(f'image: expected uint8, uint16 or floats in [0, 1], got {kind}')
    if array.ndim not in (2, 3) or array.ndim == 3 and array.shape[2] not in (3, 4) or not array.size:
        raise DataError(f'image: expected the shape (H, W), (H, W, 3) or (H, W, 4), got {array.shape}')
    if array.dtype.kind == 'f':
        if not (array.min() >= 0 and array.max() <= 1):
            raise DataError(f'image: expected floats in [0, 1], got {array.min():g} to {array.max():g}')
        array = np.rint(array * WHOLE['uint16']).astype('uint16')
    if array.ndim == 2:
        return Photo(np.repeat(array[:, :, None], 3, 2), is_grey=True)
    return Photo(array[:, :, :3].copy(), array[:, :, 3].copy() if array.shape[2] == 4 else None)


def _as_array(photo, like):
    """ndarray: Of a photo, with the channels and the type of another array."""
    array = pixels_of(photo)
    return (array / WHOLE['uint16']).astype(like.dtype) if like.dtype.kind == 'f' else array


def _photo_of_pil(image):
    """Photo: Of an image of PIL, upright."""
    image, buffer = ImageOps.exif_transpose(image), io.BytesIO()
    # TIFF holds what PNG does not, such as CMYK.
    image.save(buffer, 'TIFF' if image.mode in ('CMYK', 'LAB', 'YCbCr', 'F') else 'PNG',
               icc_profile=image.info.get('icc_profile'))
    return decode_photo(buffer.getvalue(), 'image')
