"""Whether ``--backend auto`` chooses well: its time beside that of every backend."""
from collections import defaultdict
from contextlib import ExitStack
from functools import partial
from itertools import product
from statistics import median

import numpy as np

from deconas_plugin.data.images.photo import Photo
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.inference.backends import installed_backends
from deconas_plugin.inference.upscaler import Upscaler
from deconas_plugin.machine.timing import OwnProcess, in_turns, ratio
from tools.lab.speed.results import Work

PROCESSES = 3  # of auto and of the best: where their memory lies, two that run the same differ by up to a fifth
SIZES = ((180, 320), (360, 640), (720, 1280))  # of the LR image, height and width


class Upscaling:
    """Images of random pixels in a backend, as ``deconas upscale`` runs them: large ones in tiles.

    Args:
        device (torch.device): Where.
        backend, weights, precision (str): As :class:`Upscaler` takes them.
    """

    def __init__(self, device, backend, weights, precision):
        self._upscaler = Upscaler(weights, str(device), precision, backend=backend)

    def __call__(self, height, width):
        pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        self._upscaler.upscale(Photo(pixels))

    def backend(self, height, width):
        """str: The name of the one that runs images of this size."""
        return self._upscaler.backend.for_size(height, width).name


def auto_speed(device, precisions, rounds, networks=None, sizes=SIZES):
    """Work: Time of ``auto`` over that of the best backend, for networks of the zoo and sizes of the LR image.

    Only one network is in memory at a time, in a process for each backend; auto and the best have
    :data:`PROCESSES` one after the other.

    Args:
        device (torch.device): Where.
        precisions (list[str]): Which.
        rounds (int): How often.
        networks (list[str] | None): Names in the model zoo. Default: what ``deconas upscale`` takes for each scale.
        sizes (tuple[tuple[int]]): Heights and widths.

    Raises:
        WeightsError: The zoo has no such network.
    """
    zoo = load_zoo()
    networks = networks or [zoo.best(scale) for scale in zoo.scales]
    for network in networks:
        zoo.weights(network)
    figures = {}
    for network, precision in product(networks, precisions):
        others, times = installed_backends(device, precision), defaultdict(list)
        for number in range(PROCESSES):
            with ExitStack() as stack:
                runs = {name: stack.enter_context(OwnProcess(Upscaling, device, backend=name, weights=network,
                                                             precision=precision)) for name in ('auto', *others)}
                for size in sizes:
                    new = in_turns({name: partial(run, *size) for name, run in runs.items()}, rounds, seconds=20)
                    for name, seconds in new.items():
                        times[size, name] += seconds
                if number == 0:
                    chosen = {size: runs['auto'].ask('backend', *size) for size in sizes}
                    best = {size: min(others, key=lambda name: median(times[size, name])) for size in sizes}
                    others = list(dict.fromkeys(best.values()))
        for size in sizes:
            name = f'{network}, {size[1]}x{size[0]}, {precision}: auto ({chosen[size]}) / best ({best[size]})'
            figures[name] = ratio(times[size, 'auto'], times[size, best[size]])
    return Work('The choice of --backend auto', figures=figures)
