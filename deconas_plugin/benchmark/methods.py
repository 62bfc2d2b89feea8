"""What makes an LR image larger, as a row of the table."""
from abc import ABC, abstractmethod

import numpy as np
import torch
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.data.bicubic import bicubic


class Method(ABC):
    """A row of the table to be measured.

    Attributes:
        name (str): The model's name.
        device (torch.device): Where it computes.
        timed (bool): Whether it computes something, or only reads results.
        params, mult_adds, search_time, network: As in :class:`deconas_plugin.benchmark.rows.Row`.
        weight_bytes (int): Memory of its weights.
        key (str): Of two methods with the same name and key, one's results are the other's.
    """
    device = torch.device('cpu')
    timed = True
    params = None
    mult_adds = None
    search_time = None
    network = None
    weight_bytes = 0
    key = ''

    def __init__(self, name):
        self.name = name

    def covers(self, test_set):
        """bool: Whether it has a result for every image of a TestSet."""
        return True

    @abstractmethod
    def upscale(self, sample):
        """ndarray: (scale * h, scale * w, 3), uint8, BGR, of a :class:`deconas_plugin.benchmark.measure.Sample`."""

    def upscale_unrounded(self, sample):
        """ndarray: As :meth:`upscale`, but float32, neither rounded nor clipped where it can be had so."""
        return self.upscale(sample).astype(np.float32)


class Bicubic(Method):
    """MATLAB-style bicubic upscaling."""

    network = 'Bicubic'

    def __init__(self, scale):
        super().__init__('Bicubic')
        self.scale = scale

    def upscale(self, sample):
        return bicubic(sample.lr, self.scale)

    def upscale_unrounded(self, sample):
        return imresize(sample.lr.astype(np.float32) / 255., self.scale).astype(np.float32) * 255.


def split_name(text):
    """tuple: Name and path of ``NAME=PATH``; the name is None where there is only a path."""
    name, _, path = text.partition('=')
    return (name, path) if name and path else (None, text)
