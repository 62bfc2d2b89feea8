"""Upscaling photos with a trained network."""
import warnings
from dataclasses import replace

import cv2
import numpy as np
import torch

from deconas_plugin.errors import OptionError
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.inference.backends import load_backend
from deconas_plugin.inference.tiling import SMALLEST_TILE, fitting_tile, is_out_of_memory, upscale_tiled, usual_tile
from deconas_plugin.machine.device import give_back_freed_memory, keep_freed_memory


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
        rgb = self._upscaled_rgb(photo, on_tile)
        return replace(photo, rgb=_pixels(rgb), alpha=self._upscaled_alpha(photo))

    def upscale_strips(self, photo, take, on_tile=None):
        """Upscale a photo without holding the result.

        Args:
            photo (Photo): The photo.
            take (Callable[[int, Photo], None]): Gets the number of the first row and some rows of the upscaled photo,
                from top to bottom; with row 0 all begins anew, and what was handed over before no longer counts.
            on_tile: As for :meth:`upscale`.

        Raises:
            OptionError: Not even a small tile fits into the memory.
        """
        alpha = self._upscaled_alpha(photo)

        def take_rgb(top, strip):
            rgb = _pixels(strip)
            take(top, replace(photo, rgb=rgb, alpha=None if alpha is None else alpha[top:top + len(rgb)]))

        self._upscaled_rgb(photo, on_tile, take_rgb)

    def _upscaled_rgb(self, photo, on_tile, take=None):
        with warnings.catch_warnings(action='ignore'):  # that pixels cannot be written to: nobody does
            rgb = torch.from_numpy(np.ascontiguousarray(photo.rgb)).permute(2, 0, 1)[None]
        backend = self.backend.for_size(*rgb.shape[-2:])
        give_back_freed_memory()  # what reading has left
        tile = self.tile or usual_tile(backend, rgb.nbytes * (1 if take else 1 + self.scale**2))
        rgb = self._in_memory(backend, tile, lambda tile: upscale_tiled(
            backend, rgb, tile, self_ensemble=self.self_ensemble, dtype=rgb.dtype, on_tile=on_tile, take=take))
        give_back_freed_memory()
        return rgb

    def _upscaled_alpha(self, photo):
        if photo.alpha is None:
            return None
        size = [self.scale * side for side in photo.alpha.shape[::-1]]
        return cv2.resize(np.ascontiguousarray(photo.alpha), size, interpolation=cv2.INTER_CUBIC)

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


def _pixels(image):
    """ndarray: (H, W, C) of a tensor (1, C, H, W), on the CPU."""
    return image[0].permute(1, 2, 0).numpy()
