"""Upscaling photos with a trained network."""
from dataclasses import replace

import cv2
import numpy as np
import torch

from deconas_plugin.errors import OptionError
from deconas_plugin.utils.device import choose_device
from deconas_plugin.utils.memory import give_back_freed_memory, keep_freed_memory
from deconas_plugin.utils.precision import autocast, resolve_precision
from deconas_plugin.utils.tiling import upscale_tiled
from deconas_plugin.utils.weights import load_network
from deconas_plugin.zoo.catalogue import load_zoo


class Upscaler:
    """A trained network with all that it takes to upscale a photo.

    Args:
        weights (str | None): Weight file or name in the model zoo. Default: the best network of the zoo for the scale.
        device (str | None): Such as 'cpu' or 'cuda:1'. Default: CUDA where there is one.
        precision (str): 'float32', 'bf16', 'fp16', or 'auto': the fastest that the device computes well.
        tile (int): See :func:`upscale_tiled`.
        self_ensemble (bool): See :func:`upscale_tiled`.
        scale (int | None): The scale that is expected. Default: that of the weights, or 2 where none are named.

    Raises:
        WeightsError: The weights are unreadable or not those of a DeCoNASNet, or the zoo has none for this scale.
        OptionError: There is no such device, it does not have this precision, or the weights have another scale.
    """

    def __init__(self, weights=None, device=None, precision='float32', tile=256, self_ensemble=False, scale=None):
        self.device = choose_device(device)
        keep_freed_memory(self.device)
        weights = weights or load_zoo().best(scale or 2)
        net = load_network(weights)
        if net.num_in_ch != 3:
            raise OptionError(f'{weights}: expected a network for images of 3 channels, got one for {net.num_in_ch}')
        if scale not in (None, net.upscale):
            raise OptionError(f'--scale: {weights} upscales by {net.upscale}, not by {scale}; leave --scale out')
        precision = None if precision == 'auto' else precision
        self.precision = resolve_precision(precision, self.device, key='--precision')
        self.scale = net.upscale
        self.net = net.fuse().to(self.device, memory_format=torch.channels_last)
        self.tile = tile
        self.self_ensemble = self_ensemble

    def upscale(self, photo, on_tile=None):
        """Photo: The upscaled photo, with the same depth, alpha, profile and colours or none.

        Args:
            photo (Photo): The photo.
            on_tile (Callable[[int, int], None] | None): Called with how many tiles are done, of how many.

        Raises:
            OptionError: A tile does not fit into the memory of the GPU.
        """
        largest = np.iinfo(photo.rgb.dtype).max
        x = torch.from_numpy(np.ascontiguousarray(photo.rgb, np.float32)).permute(2, 0, 1)[None].div_(largest)
        dtype = torch.uint8 if largest == 255 else torch.uint16
        try:
            with autocast(self.precision, self.device):
                rgb = upscale_tiled(self.net, x, self.tile, self_ensemble=self.self_ensemble, dtype=dtype,
                                    on_tile=on_tile)
        except torch.cuda.OutOfMemoryError as error:
            raise OptionError(f'--tile: {self.tile} is too large for the memory of the GPU, take less') from error
        give_back_freed_memory()
        alpha = photo.alpha
        if alpha is not None:
            size = [self.scale * side for side in alpha.shape[::-1]]
            alpha = cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_CUBIC)
        return replace(photo, rgb=rgb[0].permute(1, 2, 0).numpy(), alpha=alpha)
