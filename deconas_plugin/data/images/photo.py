"""What an image file holds, whatever its format: its pixels, which way up they are, and what a copy keeps."""
import functools
import struct
from dataclasses import dataclass, field

import cv2
import imagecodecs
import numpy as np
from PIL import ExifTags, Image, ImageCms


@dataclass
class Photo:
    """An image, upright.

    Attributes:
        rgb (ndarray): (H, W, 3), uint8 or uint16.
        alpha (ndarray | None): (H, W), of the same type; colours are not multiplied with it.
        is_grey (bool): Whether the file had no colours.
        profile (bytes | None): ICC profile of these pixels. None: sRGB, or what ``colour`` says.
        colour (dict[bytes, bytes]): PNG chunks that say what the numbers mean: cICP, cHRM, gAMA, sRGB and the like.
        exif (bytes | None): EXIF data as Pillow saves it, without what no longer holds (orientation, size, thumbnail).
    """
    rgb: np.ndarray
    alpha: np.ndarray | None = None
    is_grey: bool = False
    profile: bytes | None = None
    colour: dict = field(default_factory=dict)
    exif: bytes | None = None


def fill_hidden(photo):
    """Give pixels that cannot be seen the colours of the nearest ones that can, in place.

    What lies under full transparency, mostly black, would else bleed into the rim when the image is upscaled.

    Args:
        photo (Photo): With alpha or without.
    """
    if photo.alpha is None:
        return
    # At 16 bits, colours under an alpha of a few units were rounded beyond recognition by whoever multiplied with it.
    visible = photo.alpha > (0 if photo.alpha.dtype == np.uint8 else 128)
    if visible.all() or not visible.any():
        return
    _, labels = cv2.distanceTransformWithLabels((~visible).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5,
                                                labelType=cv2.DIST_LABEL_PIXEL)
    nearest = np.empty(labels.max() + 1, np.intp)
    nearest[labels[visible]] = np.flatnonzero(visible)
    photo.rgb = photo.rgb.copy()
    photo.rgb[~visible] = photo.rgb.reshape(-1, 3)[nearest[labels[~visible]]]


def cmyk_to_rgb(cmyk, profile):
    """Convert what is printed to what is seen.

    Args:
        cmyk (ndarray): (H, W, 4), uint8 or uint16; the largest number is the most ink.
        profile (bytes | None): ICC profile of the inks. None, or one of something else: light is what no ink takes.

    Returns:
        ndarray: (H, W, 3), sRGB, of the same type.

    Raises:
        RuntimeError: The profile is damaged.
    """
    if profile and profile[16:20] == b'CMYK':
        intent = struct.unpack('>I', profile[64:68])[0]
        return imagecodecs.cms_transform(np.ascontiguousarray(cmyk), profile, _srgb(), colorspace='cmyk',
                                         outcolorspace='rgb', intent=intent if intent < 4 else 0)
    largest = np.iinfo(cmyk.dtype).max
    light = (largest - cmyk).astype(np.uint32)
    return ((light[..., :3] * light[..., 3:] + largest // 2) // largest).astype(cmyk.dtype)


@functools.cache
def _srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()


ORIENTATION = ExifTags.Base.Orientation
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
TURNED = (5, 6, 7, 8)  # those that swap height and width
# Of a TIFF's own directory, what describes the picture and not how its pixels lie in the file.
KEPT = {ORIENTATION, *(ExifTags.Base[name] for name in (
    'ImageDescription', 'Make', 'Model', 'XResolution', 'YResolution', 'ResolutionUnit', 'Software', 'DateTime',
    'Artist', 'HostComputer', 'Copyright', 'ExifOffset', 'GPSInfo', 'Rating', 'XPTitle', 'XPComment', 'XPAuthor',
    'XPKeywords', 'XPSubject'))}


def read_exif(load):
    """Which way up an image is, and the EXIF data that an upright copy of another size keeps.

    Damaged EXIF data are no reason to refuse the pixels; they count as none.

    Args:
        load (Callable[[], Image.Exif]): Reads them, or fails.

    Returns:
        tuple: A key of :data:`UPRIGHT` or 1, and the data (bytes) or None.
    """
    orientation = 1
    try:
        exif = load()
        orientation = exif.get(ORIENTATION, 1)
        return (orientation if orientation in UPRIGHT else 1), _kept(exif)
    except Exception:  # Pillow's reading and writing of it fail in many ways, depending on the byte that is wrong
        return (orientation if orientation in list(UPRIGHT) else 1), None


def _kept(exif):
    """bytes | None: The data without what holds for the file alone."""
    kept = Image.Exif()
    for tag, value in exif.items():
        if tag in KEPT and tag != ORIENTATION and tag not in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
            kept[tag] = value
    for ifd in (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo):
        values = dict(exif.get_ifd(ifd))
        for tag in (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight, ExifTags.IFD.Interop):
            values.pop(tag, None)
        if values:
            kept.get_ifd(ifd).update(values)
            kept[ifd] = values
    if not len(kept):
        return None
    if ORIENTATION in exif:
        kept[ORIENTATION] = 1
    return kept.tobytes()
