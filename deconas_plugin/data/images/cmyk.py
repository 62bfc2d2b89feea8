"""Inks to light."""
import functools
import struct

import imagecodecs
import numpy as np
from PIL import ImageCms


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
