"""Image files of every kind, each with the pixels that it means, as they were before they went into the file."""
import io
import itertools
import struct
import zlib
from dataclasses import dataclass

import numpy as np
import tifffile
from PIL import ExifTags, Image, ImageCms, ImageOps

SIZE = 12, 17
UPRIGHT = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud, 5: lambda x: x.swapaxes(0, 1),
           6: lambda x: np.rot90(x, -1), 7: lambda x: np.rot90(x, 2).swapaxes(0, 1), 8: np.rot90}


@dataclass
class ImageFile:
    """A file's bytes, and (H, W, 3) colours and (H, W) alpha or None, upright, that its reader should give.

    ``near`` is how far off numbers may be."""
    name: str
    content: bytes
    rgb: np.ndarray
    alpha: np.ndarray | None
    is_grey: bool
    near: int = 0


def samples(channels, bits, seed=0):
    """(12, 17, channels) whole numbers of so many bits."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, (*SIZE, channels)).astype(dtype)


def full_range(values, bits):
    """Numbers of 1 to 16 bits as 8 or 16 bits."""
    largest = 255 if bits <= 8 else 65535
    return np.round(values * (largest / (2**bits - 1))).astype(np.uint8 if bits <= 8 else np.uint16)


def tiff_files():
    """By tifffile: photometric interpretation x bits x compression x planes x alpha, orientations and byte orders in
    turns."""
    turns = itertools.cycle(itertools.product(range(1, 9), '<>', (None, (16, 16))))
    kinds = itertools.product(('minisblack', 'miniswhite', 'rgb', 'separated'), (8, 16),
                              (None, 'lzw', 'zlib', 'packbits', 'zstd'), ('contig', 'separate'),
                              (None, 'unassalpha', 'assocalpha', 'unspecified'))
    for photometric, bits, compression, planes, alpha in kinds:
        colours = {'rgb': 3, 'separated': 4}.get(photometric, 1)
        if (colours, alpha, planes) == (1, None, 'separate') or (photometric, alpha) == ('miniswhite', 'assocalpha'):
            continue  # there are no planes; nobody says whether paper or ink is multiplied
        orientation, order, tile = next(turns)
        pixels = samples(colours + (alpha is not None), bits, seed=orientation)
        yield _tiff(photometric, bits, pixels, alpha, orientation, planarconfig=planes, compression=compression,
                    byteorder=order, tile=tile, predictor=True if compression in ('lzw', 'zlib') else None)
    for photometric, bits in itertools.product(('minisblack', 'miniswhite'), (1, )):
        yield _tiff(photometric, bits, samples(1, 1), None, 1)
    for bits, compression, orientation in itertools.product((8, ), (None, 'lzw'), range(1, 9)):
        colormap = np.random.default_rng(1).integers(0, 256, (3, 256)).astype(np.uint16) * 257
        indices = samples(1, bits)[..., 0]
        rgb = (colormap >> 8).astype(np.uint8).T[indices]
        content = _write_tiff(indices, photometric='palette', colormap=colormap, compression=compression,
                              extratags=[(274, 'H', 1, orientation, True)])
        yield ImageFile(f'palette {compression} {orientation}', content, UPRIGHT[orientation](rgb), None, False)


def _tiff(photometric, bits, pixels, alpha, orientation, **layout):
    largest = 2**bits - 1
    colours = pixels.shape[2] - (alpha is not None)
    values = pixels.astype(np.float64)
    if alpha == 'assocalpha':
        pixels[..., :-1] = np.minimum(pixels[..., :-1], pixels[..., -1:])
        values = pixels.astype(np.float64)
    if photometric == 'miniswhite':
        values[..., :colours] = largest - values[..., :colours]
    stored = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if layout.get('planarconfig') == 'separate':
        stored = np.moveaxis(pixels, -1, 0)
    elif pixels.shape[2] == 1:
        layout.pop('planarconfig', None)
    content = _write_tiff(stored.astype(bool) if bits == 1 else stored, photometric=photometric,
                          extratags=[(274, 'H', 1, orientation, True)], extrasamples=[alpha] if alpha else None,
                          **layout)
    opacity = values[..., -1] if alpha in ('unassalpha', 'assocalpha') else None
    rgb = values[..., :colours]
    if alpha == 'assocalpha':
        divided = np.minimum(rgb / np.maximum(opacity[..., None], 1) * largest, largest)
        rgb = np.where(opacity[..., None] > 0, divided, 0)
    if colours == 4:
        rgb = (largest - rgb[..., :3]) * (largest - rgb[..., 3:]) / largest
    rgb = full_range(rgb if rgb.shape[2] == 3 else rgb.repeat(3, 2), bits)
    name = ' '.join(map(str, (photometric, bits, alpha, orientation, *layout.values())))
    return ImageFile(name, content, UPRIGHT[orientation](rgb),
                     None if opacity is None else UPRIGHT[orientation](full_range(opacity, bits)), colours == 1,
                     near=1 if alpha == 'assocalpha' or colours == 4 else 0)


def _write_tiff(pixels, **settings):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, metadata=None, **settings)
    return file.getvalue()


def png_files():
    """Every kind of PNG, with and without transparency by key or palette, all orientations."""
    kinds = [(0, 1, (1, 2, 4, 8, 16)), (2, 3, (8, 16)), (3, 1, (1, 2, 4, 8)), (4, 2, (8, 16)), (6, 4, (8, 16))]
    for kind, channels, depths in kinds:
        for bits, key, orientation in itertools.product(depths, (False, True), range(1, 9)):
            if key and kind in (4, 6):
                continue
            pixels = samples(channels, bits)
            chunks = [(b'eXIf', exif(orientation))]
            rgb, alpha = pixels, None
            if kind == 3:
                palette = np.random.default_rng(2).integers(0, 256, (2**bits, 4)).astype(np.uint8)
                chunks.append((b'PLTE', palette[:, :3].tobytes()))
                chunks += [(b'tRNS', palette[:, 3].tobytes())] if key else []
                rgb, alpha = palette[:, :3][pixels[..., 0]], palette[:, 3][pixels[..., 0]] if key else None
            elif kind in (4, 6):
                rgb, alpha = pixels[..., :-1], pixels[..., -1]
            elif key:
                chunks.append((b'tRNS', pixels[5, 5].astype('>u2').tobytes()))
                alpha = np.where((pixels == pixels[5, 5]).all(2), 0, 65535 if bits == 16 else 255)
            rgb = rgb if kind == 3 else full_range(rgb, bits)
            rgb = rgb if rgb.shape[2] == 3 else rgb.repeat(3, 2)
            turn = UPRIGHT[orientation]
            yield ImageFile(f'png {kind} {bits} {key} {orientation}', png(pixels, bits, kind, chunks), turn(rgb),
                            None if alpha is None else turn(alpha), kind in (0, 4))


def png(pixels, bits, kind, chunks=()):
    """bytes: A PNG of (H, W, C) numbers of so many bits and PNG's colour type, with chunks before the pixels."""
    def chunk(name, data):
        return struct.pack('>I', len(data)) + name + data + struct.pack('>I', zlib.crc32(name + data))

    height, width, _ = pixels.shape
    if bits < 8:
        digits = np.unpackbits(pixels.astype(np.uint8), axis=2).reshape(height, width, 8)[..., 8 - bits:]
        rows = np.packbits(digits.reshape(height, -1), axis=1)
    else:
        rows = pixels.astype('>u2' if bits == 16 else np.uint8)
    data = zlib.compress(b''.join(b'\0' + row.tobytes() for row in rows))
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, bits, kind, 0, 0, 0)) \
        + b''.join(chunk(*each) for each in chunks) + chunk(b'IDAT', data) + chunk(b'IEND', b'')


def exif(orientation, **tags):
    """bytes: EXIF data without the six bytes that JPEG puts before them."""
    data = Image.Exif()
    data[0x0112] = orientation
    data.update({ExifTags.Base[name]: value for name, value in tags.items()})
    return data.tobytes().removeprefix(b'Exif\0\0')


def pillow_files():
    """By Pillow: mode x format x orientation; what they mean is what Pillow itself reads, made upright."""
    modes = {'PNG': ('1', 'L', 'LA', 'P', 'RGB', 'RGBA'), 'JPEG': ('L', 'RGB', 'CMYK', 'YCbCr'),
             'TIFF': ('1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'YCbCr', 'LAB'), 'WEBP': ('RGB', 'RGBA'),
             'AVIF': ('RGB', 'RGBA'), 'BMP': ('1', 'L', 'P', 'RGB', 'RGBA'), 'GIF': ('1', 'L', 'P', 'RGBA'),
             'JPEG2000': ('L', 'LA', 'RGB', 'RGBA'), 'PPM': ('1', 'L', 'RGB')}
    turned = ('PNG', 'JPEG', 'TIFF', 'WEBP', 'AVIF')
    for name, kinds in modes.items():
        for mode, orientation in itertools.product(kinds, range(1, 9) if name in turned else (1, )):
            picture = Image.fromarray(samples(4 if mode == 'RGBA' else 3, 8))
            if mode == 'LAB':
                picture = Image.frombytes('LAB', picture.size, picture.tobytes())
            file = io.BytesIO()
            settings = {'exif': exif(orientation)} if name in turned else {}
            settings |= {'JPEG': {'quality': 95}, 'TIFF': {'compression': (None, 'tiff_lzw', 'tiff_adobe_deflate')[
                orientation % 3]}, 'WEBP': {'lossless': True}}.get(name, {})
            picture.convert(mode).save(file, name, **settings)
            yield as_pillow_reads(f'{name} {mode} {orientation}', file.getvalue())


def as_pillow_reads(name, content):
    """ImageFile: Its pixels are those that Pillow reads."""
    with Image.open(io.BytesIO(content)) as image:
        picture = ImageOps.exif_transpose(image)
        has_alpha = picture.has_transparency_data
        is_grey = picture.mode in ('1', 'L', 'LA')
        if picture.mode == 'LAB':
            srgb, lab = ImageCms.createProfile('sRGB'), ImageCms.createProfile('LAB')
            picture = ImageCms.profileToProfile(picture, lab, srgb, outputMode='RGB')
        near = 1 if picture.mode in ('CMYK', 'LAB', 'YCbCr') else 0
        pixels = np.asarray(picture.convert('RGBA'))
    return ImageFile(name, content, pixels[..., :3], pixels[..., 3] if has_alpha else None, is_grey, near)


def cmyk_profile():
    """bytes: An ICC profile of inks: the colours of their sixteen full overprints, and what lies between."""
    def fixed(*values):
        return struct.pack(f'>{len(values)}i', *(round(value * 65536) for value in values))

    colours = bytearray()
    for cyan, magenta, yellow, black in itertools.product((0, 1), repeat=4):
        light = 255 * (1 - .55 * black) * (1 - .3 * cyan - .35 * magenta - .08 * yellow)
        reddish, yellowish = -30 * cyan + 65 * magenta - 5 * yellow, -45 * cyan - 5 * magenta + 80 * yellow
        colours += bytes([round(light), *(128 + round(value * (1 - .7 * black)) for value in (reddish, yellowish))])
    table = b'mft1' + bytes(4) + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + bytes(range(256)) * 4 \
        + bytes(colours) + bytes(range(256)) * 3
    white = fixed(.9642, 1, .8249)
    tags = {b'A2B0': table, b'desc': b'desc' + bytes(4) + struct.pack('>I', 5) + b'inks\0' + bytes(78),
            b'cprt': b'text' + bytes(4) + b'none\0', b'wtpt': b'XYZ ' + bytes(4) + white}
    head, body = struct.pack('>I', len(tags)), b''
    for name, data in tags.items():
        head += name + struct.pack('>II', 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    start = b'lcms' + struct.pack('>I', 0x02400000) + b'prtrCMYKLab ' + bytes(12) + b'acsp' + bytes(28) + white
    size = struct.pack('>I', 128 + len(head) + len(body))
    return size + start + bytes(124 - len(start)) + head + body
