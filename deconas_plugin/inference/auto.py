"""The fastest backend of those that are installed, measured on this machine."""
import math
import time
from importlib.metadata import PackageNotFoundError, version

import torch

from deconas_plugin.errors import BackendError
from deconas_plugin.inference.backend import Backend
from deconas_plugin.inference.cache import cache_folder, cache_key, read_json, write_json
from deconas_plugin.inference.tiling import receptive_radius, usual_tile
from deconas_plugin.machine.device import give_back_freed_memory

# Fewer LR pixels than this are done before another runtime has started.
SMALL = 2**15
ROUNDS, SECONDS = 5, 10
# Whoever is so much slower than the best in a round need not run again.
HOPELESS = 1.5
# Processes that measure before the choice is settled: one of them may meet a busy moment.
MEASUREMENTS = 3


class AutoBackend(Backend):
    """Runs images of every size on the backend that is the fastest for it.

    What was measured is kept on disk, by network, machine, precision, versions and power of two of the pixels: the
    least time of every backend over the first :data:`MEASUREMENTS` processes, each of which measures once.

    Args:
        net (FusedDeCoNASNet): The network.
        device (torch.device): Where PyTorch runs it.
        precision (str): Of the computation.
        build (Callable[[str], Backend]): Makes a backend.
        names (list[str]): Those that are installed; 'torch' first.
        say (Callable[[str], None]): Gets a line on every measurement.
    """
    name = 'auto'

    def __init__(self, net, device, precision, build, names, say):
        super().__init__(net, device, precision)
        self._build, self._names, self._say = build, names, say
        self._backends, self._chosen = {}, {}
        # Of a tile with what lies around it, as upscaling runs larger images.
        self._most_pixels = (usual_tile(self) + 2 * receptive_radius(self))**2
        self._key = cache_key(net, precision, str(device), torch.get_num_threads(), _versions(names))

    def __call__(self, image):
        return self.for_size(*image.shape[-2:])(image)

    def whole_image_means(self):
        raise TypeError('tiles run on the backend that for_size() gives')

    def for_size(self, height, width):
        pixels = height * width
        if pixels < SMALL or len(self._names) == 1:
            return self._backend('torch')
        bucket = round(math.log2(min(pixels, self._most_pixels)))
        if bucket not in self._chosen:
            self._chosen[bucket] = self._choose(bucket, height, width)
            # Runtimes keep the memory of their largest image.
            self._backends = {name: backend for name, backend in self._backends.items()
                              if name in ('torch', *self._chosen.values())}
            give_back_freed_memory()
        return self._backend(self._chosen[bucket])

    def _choose(self, bucket, height, width):
        path, key = cache_folder() / 'fastest.json', f'{self._key} {bucket}'
        known = read_json(path).get(key)
        least, runs = self._known(known)
        if runs >= MEASUREMENTS:
            return min(least, key=least.get)
        shrink = min(1, math.sqrt(self._most_pixels / (height * width)))
        size = [max(1, round(shrink * side)) for side in (height, width)]
        for name, seconds in self._measure(torch.rand(1, self.num_in_ch, *size)).items():
            least[name] = min(seconds, least.get(name, seconds))
        fastest = min(least, key=least.get)
        write_json(path, {**read_json(path), key: {'runs': runs + 1, 'seconds': least}})
        found = ', '.join(f'{name} {1e3 * least[name]:,.0f} ms' for name in sorted(least, key=least.get))
        self._say(f'--backend auto: {fastest}, the fastest for {size[1]}x{size[0]} here ({found}; measurement '
                  f'{runs + 1} of {MEASUREMENTS})')
        return fastest

    def _known(self, entry):
        """tuple[dict[str, float], int]: Least seconds of backends that are installed, and how often they were measured;
        nothing where the entry is of another version or damaged."""
        seconds, runs = (entry.get('seconds'), entry.get('runs')) if isinstance(entry, dict) else (None, None)
        if not isinstance(seconds, dict) or type(runs) is not int:
            return {}, 0
        least = {name: value for name, value in seconds.items()
                 if name in self._names and isinstance(value, float) and value > 0}
        return (least, runs) if least else ({}, 0)

    def _measure(self, image):
        """dict[str, float]: Least seconds of every backend that takes the network, in turns."""
        times = {}
        for name in self._names:
            try:
                backend = self._backend(name)
                if name != 'torch' and backend.difference and not backend.difference.is_small:
                    continue
                backend(image)
            except BackendError as error:
                self._say(f'left out: {error}')
            else:
                times[name] = []
        started = time.perf_counter()
        for index in range(ROUNDS):
            for name in list(times)[::-1 if index % 2 else 1]:
                start = time.perf_counter()
                self._backends[name](image)
                times[name].append(time.perf_counter() - start)
            if index == 0:
                continue  # One round alone may be a moment's bad luck.
            best = min(map(min, times.values()))
            times = {name: values for name, values in times.items() if min(values) < HOPELESS * best}
            if time.perf_counter() - started > SECONDS or len(times) == 1:
                break
        return {name: min(values) for name, values in times.items()}

    def _backend(self, name):
        if name not in self._backends:
            self._backends[name] = self._build(name)
        return self._backends[name]


def _versions(names):
    found = []
    for name in names:
        try:
            found.append(f'{name} {version(name)}')
        except PackageNotFoundError:
            found.append(name)
    return found
