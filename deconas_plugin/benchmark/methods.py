"""What makes an LR image larger, as a row of the table."""
from abc import ABC, abstractmethod

import torch

from deconas_plugin.data.bicubic import bicubic


class Method(ABC):
    """A row of the table to be measured.

    Attributes:
        name (str): The model's name.
        device (torch.device): Where it computes.
        timed (bool): Whether it computes something, or only reads results.
        params, mult_adds, search_time: As in :class:`deconas_plugin.benchmark.rows.Row`.
        weight_bytes (int): Memory of its weights.
    """
    device = torch.device('cpu')
    timed = True
    params = None
    mult_adds = None
    search_time = None
    weight_bytes = 0

    def __init__(self, name):
        self.name = name

    def covers(self, test_set):
        """bool: Whether it has a result for every image of a TestSet."""
        return True

    @abstractmethod
    def upscale(self, sample):
        """ndarray: (scale * h, scale * w, 3), uint8, BGR, of a :class:`deconas_plugin.benchmark.measure.Sample`."""


class Bicubic(Method):
    """MATLAB-style bicubic upscaling."""

    def __init__(self, scale):
        super().__init__('Bicubic')
        self.scale = scale

    def upscale(self, sample):
        return bicubic(sample.lr, self.scale)


def split_name(text):
    """tuple: Name and path of ``NAME=PATH``; the name is None where there is only a path."""
    name, _, path = text.partition('=')
    return (name, path) if name and path else (None, text)
