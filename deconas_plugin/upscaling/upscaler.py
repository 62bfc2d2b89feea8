"""Upscaling image files with a trained network."""
import os
from dataclasses import dataclass

import cv2
import numpy as np
import torch

from deconas_plugin.errors import DataError, OptionError
from deconas_plugin.upscaling.photo import Photo, encode_photo, read_photo
from deconas_plugin.utils.atomic import write_file
from deconas_plugin.utils.device import choose_device
from deconas_plugin.utils.memory import give_back_freed_memory, keep_freed_memory
from deconas_plugin.utils.precision import autocast, resolve_precision
from deconas_plugin.utils.tiling import upscale_tiled
from deconas_plugin.utils.weights import load_network


@dataclass
class Outcome:
    """What became of the jobs.

    Attributes:
        written, skipped (int): Results that were made; that were there already.
        failed (list[str]): A line for each image that could not be read or written.
    """
    written: int
    skipped: int
    failed: list


class Upscaler:
    """A trained network with all that it takes to upscale a photo.

    Args:
        weights (str): Weight file or name in the model zoo.
        device (str | None): Such as 'cpu' or 'cuda:1'. Default: CUDA where there is one.
        precision (str): 'float32', 'bf16' or 'fp16'.
        tile (int): See :func:`upscale_tiled`.
        self_ensemble (bool): See :func:`upscale_tiled`.

    Raises:
        WeightsError: The weights are unreadable or not those of a DeCoNASNet.
        OptionError: There is no such device, or it does not have this precision.
    """

    def __init__(self, weights, device=None, precision='float32', tile=256, self_ensemble=False):
        self.device = choose_device(device)
        keep_freed_memory(self.device)
        net = load_network(weights)
        if net.num_in_ch != 3:
            raise OptionError(f'{weights}: expected a network for images of 3 channels, got one for {net.num_in_ch}')
        self.precision = resolve_precision(precision, self.device, key='--precision')
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
            size = [self.net.upscale * side for side in alpha.shape[::-1]]
            alpha = cv2.resize(np.ascontiguousarray(alpha), size, interpolation=cv2.INTER_CUBIC)
        return Photo(rgb[0].permute(1, 2, 0).numpy(), alpha, photo.is_grey, photo.profile)


def run_jobs(jobs, upscaler, overwrite, progress):
    """Upscale one image after another; a broken one does not stop the others.

    Args:
        jobs (list[Job]): From :func:`plan_jobs`.
        upscaler (Upscaler): The network.
        overwrite (bool): Make results anew that are there already.
        progress (Callable[[float, str], None]): Called with how many images are done and the name of the current one.

    Returns:
        Outcome: What became of them.
    """
    outcome = Outcome(0, 0, [])
    for index, job in enumerate(jobs):
        name = job.source.name
        progress(index, name)
        if job.target.exists() and not overwrite:
            outcome.skipped += 1
            continue
        try:
            photo = upscaler.upscale(read_photo(job.source),
                                     lambda done, total, index=index, name=name: progress(index + done / total, name))
            os.makedirs(job.target.parent, exist_ok=True)
            write_file(job.target, encode_photo(photo))
        except DataError as error:
            outcome.failed.append(str(error))
        except OSError as error:
            outcome.failed.append(f'{error.filename or job.target}: cannot write ({error.strerror})')
        else:
            outcome.written += 1
    progress(len(jobs), '')
    return outcome
