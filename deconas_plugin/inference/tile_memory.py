"""How large a tile the memory has room for."""
from pathlib import Path

import torch

from deconas_plugin.inference.tile_net import CELL
from deconas_plugin.utils.tiling import receptive_radius

SMALLEST_TILE, LARGEST_TILE = 32, 256
# Features of a tile that are in memory at the same time at most, what a runtime copies and joins included.
FEATURES_OF_TORCH, FEATURES_OF_OTHERS = 45, 55
# What the process takes at most, and what it takes before the first image: PyTorch and the network, and other runtimes
# beside them.
TOTAL_MEMORY, OF_TORCH, OF_OTHERS = 1.45e9, 0.45e9, 0.7e9
# Still smaller tiles would mostly compute what lies around them.
LEAST_WORKING_MEMORY = 150e6
# Of the memory that is free; images, results and other programs want some as well.
SHARE = 0.5


def usual_tile(backend, image_bytes=0):
    """int: The side of tiles, in LR pixels without overlap; on a CPU such that all memory stays within bounds.

    Args:
        backend (Backend): What runs them.
        image_bytes (int): Of the image, and of its result where that is held.
    """
    of_runtime = OF_TORCH if backend.name == 'torch' else OF_OTHERS
    working = max(TOTAL_MEMORY - of_runtime - image_bytes, LEAST_WORKING_MEMORY)
    tile = LARGEST_TILE
    while backend.device.type == 'cpu' and tile > SMALLEST_TILE and _needed(backend, tile) > working:
        tile -= CELL
    return tile


def fitting_tile(backend, tile):
    """int: The tile, halved until it fits into the memory that is free, as far as that is known.

    Args:
        backend (Backend): What runs it.
        tile (int): Its side in LR pixels, without overlap.
    """
    free = free_memory(backend.device)
    while free and tile // 2 >= SMALLEST_TILE and _needed(backend, tile) > SHARE * free:
        tile //= 2
    return tile


def free_memory(device):
    """int | None: Bytes that can be had on a device; None where that is unknown."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
    except OSError:
        return None
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith('MemAvailable:')), None)


def is_out_of_memory(error):
    """bool: Whether an error (Exception) of a runtime says that there was no memory."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in text for words in ("can't allocate memory", 'not enough memory', 'failed to allocate', 'bad_alloc',
                                    'bad allocation', 'out of memory'))


def _needed(backend, tile):
    size = 2 if backend.precision in ('bf16', 'fp16') else 4
    features = FEATURES_OF_TORCH if backend.name == 'torch' else FEATURES_OF_OTHERS
    return features * backend.net.num_feat * size * (tile + 2 * receptive_radius(backend))**2
