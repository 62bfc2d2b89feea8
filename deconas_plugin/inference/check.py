"""Whether a backend computes what PyTorch computes in float32."""
from dataclasses import dataclass

import cv2
import torch

from deconas_plugin.data.photo_folder import photo_folder

# A part of a photograph of scikit-image: a face, hair, and edges.
PHOTO, PART = 'astronaut.png', (slice(20, 148), slice(160, 288))


@dataclass(frozen=True)
class Difference:
    """What a precision costs, in grey levels of 8 bits.

    Attributes:
        largest (int): At one place.
        share (float): Of the values that are off by more than one.
    """
    largest: int
    share: float

    @property
    def is_small(self):
        """bool: At most one grey level in 99.9 % of the pixels, two at most."""
        return self.largest <= 2 and self.share <= 0.001

    def __str__(self):
        return (f'at most {self.largest} grey levels from PyTorch in float32, more than one at {self.share:.3%} of the '
                'values')


def difference_from(reference, backend):
    """Difference: Of a backend's result for a photograph.

    Args:
        reference (FusedDeCoNASNet): The same network in PyTorch, float32.
        backend (Backend): What is to be judged.
    """
    image = cv2.imread(str(photo_folder() / PHOTO))[PART]
    image = torch.from_numpy(image).flip(2).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        levels = [(x.clamp(0, 1) * 255).round().int() for x in (reference(image), backend(image))]
    difference = (levels[0] - levels[1]).abs()
    return Difference(int(difference.max()), float((difference > 1).float().mean()))
