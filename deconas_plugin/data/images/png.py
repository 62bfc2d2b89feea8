"""PNG: every depth and colour key by libpng, what the chunks say by Pillow, and nothing that is in neither's way."""
import io
import struct
import zlib

import imagecodecs
import numpy as np
from PIL import Image

from deconas_plugin.data.images.photo import Photo, read_exif

SIGNATURE = b'\x89PNG\r\n\x1a\n'
COLOUR = (b'cICP', b'mDCV', b'mDCv', b'cLLI', b'cLLi', b'cHRM', b'gAMA', b'sRGB')
PIXELS = (b'IHDR', b'PLTE', b'tRNS', b'IDAT', b'IEND')
# Texts that Pillow reads EXIF data or an orientation from.
TELLING = (b'Raw profile type ', b'XML:com.adobe.xmp')
MAX_TEXT, MAX_PROFILE = 2**20, 2**26
COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels
SUB = 1  # the filter
ROWS_AT_ONCE = 2**23  # bytes


def decode_png(content, check):
    """Decode a PNG.

    Args:
        content (bytes): The file.
        check (Callable[[int, int], None]): Called with width and height before any pixel is decoded.

    Returns:
        tuple: The Photo as it lies in the file, and its orientation.

    Raises:
        ValueError: The file is cut short.
        RuntimeError: libpng's, for a damaged file.
    """
    chunks = list(_chunks(content))
    check(*_size(chunks))
    pixels = imagecodecs.png_decode(SIGNATURE + b''.join(whole for name, _, whole in chunks if name in PIXELS))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    is_grey, has_alpha = pixels.shape[2] < 3, pixels.shape[2] in (2, 4)
    orientation, exif = _read_exif(chunks)
    rgb = pixels[..., :1].repeat(3, 2) if is_grey else pixels[..., :3]
    colour = {name: bytes(data) for name, data, _ in chunks if name in COLOUR}
    return Photo(rgb, pixels[..., -1] if has_alpha else None, is_grey, _profile(chunks), colour, exif), orientation


def read_head(content):
    """tuple: (width, height) and orientation of a PNG, of which no pixel is decoded."""
    chunks = list(_chunks(content))
    return _size(chunks), _read_exif(chunks)[0]


def _size(chunks):
    if not chunks or chunks[0][0] != b'IHDR':
        raise ValueError('the first chunk is not IHDR')
    return struct.unpack('>II', chunks[0][1][:8])


class PngWriter:
    """A PNG that is written from top to bottom, in memory for a few rows.

    Args:
        file (BinaryIO): Open for writing.
        photo (Photo): Of the colour, profile and EXIF data; what pixels it has does not matter.
        height (int): Rows of the PNG.
    """

    def __init__(self, file, photo, height):
        self._file, self._photo, self._height = file, photo, height

    def write(self, top, pixels):
        """Add rows; the last of them end the file.

        Args:
            top (int): How many rows are above. With 0, the file begins anew.
            pixels (ndarray): (rows, W) or (rows, W, 2 to 4), uint8 or uint16.
        """
        pixels = pixels[..., None] if pixels.ndim == 2 else pixels
        if top == 0:
            self._begin(*pixels.shape[1:], pixels.dtype.itemsize)
        step = max(1, ROWS_AT_ONCE // pixels[:1].nbytes)
        for start in range(0, len(pixels), step):
            self._add(self._packer.compress(_filtered(pixels[start:start + step])))
        if top + len(pixels) == self._height:
            self._add(self._packer.flush())
            self._file.write(_chunk(b'IEND', b''))

    def _begin(self, width, channels, itemsize):
        photo = self._photo
        # OpenCV's settings: half the time of level 1 alone.
        self._packer = zlib.compressobj(1, strategy=zlib.Z_RLE)
        chunks = [_chunk(b'IHDR', struct.pack('>IIBBBBB', width, self._height, 8 * itemsize, COLOUR_TYPES[channels],
                                              0, 0, 0))]
        chunks += [_chunk(name, data) for name, data in photo.colour.items()]
        if photo.profile:
            chunks.append(_chunk(b'iCCP', b'ICC profile\0\0' + zlib.compress(photo.profile)))
        if photo.exif:
            chunks.append(_chunk(b'eXIf', photo.exif.removeprefix(b'Exif\0\0')))
        self._file.seek(0)
        self._file.truncate()
        self._file.write(b''.join([SIGNATURE, *chunks]))

    def _add(self, packed):
        if packed:
            self._file.write(_chunk(b'IDAT', packed))


def _filtered(pixels):
    """ndarray: Rows (rows, W, C) as a PNG packs them: what each sample is more than its left neighbour."""
    step = pixels[0, 0].nbytes
    rows = pixels.astype(pixels.dtype.newbyteorder('>'), 'C', copy=False).view(np.uint8).reshape(len(pixels), -1)
    filtered = np.empty((len(rows), 1 + rows.shape[1]), np.uint8)
    filtered[:, 0] = SUB
    filtered[:, 1:1 + step] = rows[:, :step]
    np.subtract(rows[:, step:], rows[:, :-step], out=filtered[:, 1 + step:])
    return filtered


def _chunks(content):
    """Yield name, data and the whole of every chunk."""
    view, place = memoryview(content), len(SIGNATURE)
    while place + 12 <= len(content):
        length, name = struct.unpack_from('>I4s', content, place)
        end = place + 12 + length
        if end > len(content):
            break
        yield name, view[place + 8:end - 4], view[place:end]
        if name == b'IEND':
            return
        place = end
    raise ValueError('cut short')


def _chunk(name, data):
    return b''.join([struct.pack('>I', len(data)), name, data, struct.pack('>I', zlib.crc32(data, zlib.crc32(name)))])


def _profile(chunks):
    """bytes | None: The ICC profile; one that is damaged counts as none."""
    packed = next((bytes(data) for name, data, _ in chunks if name == b'iCCP'), b'')
    try:
        return zlib.decompressobj().decompress(packed.partition(b'\0')[2][1:], MAX_PROFILE) or None
    except zlib.error:
        return None


def _read_exif(chunks):
    """Orientation and EXIF data, by Pillow: of a picture of one pixel with the same chunks."""
    telling = [whole for name, data, whole in chunks if name == b'eXIf' or (
        name in (b'tEXt', b'zTXt', b'iTXt') and len(data) <= MAX_TEXT and bytes(data[:24]).startswith(TELLING))]
    if not telling:
        return 1, None
    pixel = b''.join([SIGNATURE, _chunk(b'IHDR', struct.pack('>IIBBBBB', 1, 1, 8, 0, 0, 0, 0)), *telling,
                      _chunk(b'IDAT', zlib.compress(b'\0\0')), _chunk(b'IEND', b'')])
    return read_exif(lambda: Image.open(io.BytesIO(pixel), formats=['PNG']).getexif())
