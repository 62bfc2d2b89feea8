"""Upscaling photos with a trained network."""
from dataclasses import replace

import cv2
import numpy as np
import torch

from deconas_plugin.errors import OptionError
from deconas_plugin.inference.load import load_backend
from deconas_plugin.inference.tile_memory import SMALLEST_TILE, fitting_tile, is_out_of_memory, usual_tile
from deconas_plugin.utils.memory import give_back_freed_memory, keep_freed_memory
from deconas_plugin.utils.tiling import upscale_tiled
from deconas_plugin.zoo.catalogue import load_zoo


class Upscaler:
    """A trained network with all that it takes to upscale a photo.

    Args:
        weights (str | None): Weight file or name in the model zoo. Default: the best network of the zoo for the scale.
        device, precision, backend, say: See :func:`load_backend`.
        tile (int | None): See :func:`upscale_tiled`. Default: :func:`usual_tile`.
        self_ensemble (bool): See :func:`upscale_tiled`.
        scale (int | None): The scale that is expected. Default: that of the weights, or 2 where none are named.

    Raises:
        WeightsError: The weights are unreadable or not those of a DeCoNASNet, or the zoo has none for this scale.
        BackendError: The backend is not installed, or does not take this network, precision or device.
        OptionError: There is no such device, it does not have this precision, or the weights have another scale.
    """

    def __init__(self, weights=None, device=None, precision='float32', tile=None, self_ensemble=False, scale=None,
                 backend='auto', say=print):
        weights = weights or load_zoo().best(scale or 2)
        self.backend = load_backend(weights, backend, precision, device, say)
        keep_freed_memory(self.backend.device)
        channels, self.scale = self.backend.num_in_ch, self.backend.upscale
        if channels != 3:
            raise OptionError(f'{weights}: expected a network for images of 3 channels, got one for {channels}')
        if scale not in (None, self.scale):
            raise OptionError(f'--scale: {weights} upscales by {self.scale}, not by {scale}; leave --scale out')
        self.tile = tile
        self.self_ensemble = self_ensemble
        self._say, self._has_said_so = say, False

    def upscale(self, photo, on_tile=None):
        """Photo: The upscaled photo, with the same depth, alpha, profile and colours or none.

        Args:
            photo (Photo): The photo.
            on_tile (Callable[[int, int], None] | None): Called with how many tiles are done, of how many.

        Raises:
            OptionError: Not even a small tile fits into the memory.
        """
        rgb = torch.from_numpy(np.require(photo.rgb, requirements=['C', 'W'])).permute(2, 0, 1)[None]
        backend = self.backend.for_size(*rgb.shape[-2:])
        give_back_freed_memory()  # what reading has left
        tile = self.tile or usual_tile(backend, rgb.nbytes * (1 + self.scale**2))
        rgb = self._in_memory(backend, tile, lambda tile: upscale_tiled(
            backend, rgb, tile, self_ensemble=self.self_ensemble, dtype=rgb.dtype, on_tile=on_tile))
        give_back_freed_memory()
        alpha = photo.alpha
        if alpha is not None:
            size = [self.scale * side for side in alpha.shape[::-1]]
            alpha = cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_CUBIC)
        return replace(photo, rgb=rgb[0].permute(1, 2, 0).numpy(), alpha=alpha)

    def _in_memory(self, backend, tile, run):
        """What ``run(tile)`` gives for the tile, halved again and again until the memory has room for it."""
        fitting = fitting_tile(backend, tile)
        while True:
            if fitting < tile and not self._has_said_so:
                self._say(f'too little memory for tiles of {tile} pixels: smaller ones from here on, which take longer')
                self._has_said_so = True
            if fitting < tile:
                self.tile = tile = fitting
            try:
                return run(tile)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                fitting = tile // 2
                if fitting < SMALLEST_TILE:
                    raise OptionError(f'--tile: not even tiles of {tile} pixels fit into the memory') from error
