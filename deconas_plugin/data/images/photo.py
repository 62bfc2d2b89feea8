"""What an image file holds, whatever its format."""
from dataclasses import dataclass, field

import cv2
import numpy as np


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
