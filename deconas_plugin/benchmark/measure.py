"""Measuring one model on all test sets, and what the search for it took."""
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice, repeat
from statistics import fmean, median

import numpy as np
import yaml

from deconas_plugin.benchmark.rows import Row, Score, score_image
from deconas_plugin.data.bicubic import official_shrinking
from deconas_plugin.data.prepare import read_pair
from deconas_plugin.errors import GenotypeError
from deconas_plugin.files.experiment_folder import derivations_beside
from deconas_plugin.machine.parallel import progress
from deconas_plugin.machine.timing import PeakMemory
from deconas_plugin.space.genotype import Genotype

CHUNK = 16  # images that are upscaled before they are scored


@dataclass(frozen=True)
class Sample:
    """A test image: `hr` (h, w, 3) and `lr` (h / scale, w / scale, 3), uint8, BGR."""
    test_set: str
    name: str
    hr: np.ndarray
    lr: np.ndarray


def measure(row, method, test_sets, scale, workers=1, protocol='rgb'):
    """Fill a row of the table, a test set at a time; those that it has already stay.

    Seconds are the median over all images, from the decoded LR image to the decoded result, after one image for
    warming up. Metrics are computed between, not during, the timed parts.

    Args:
        row (Row): The row, as :func:`new_row` gives it.
        method: A method of :mod:`deconas_plugin.benchmark.methods` or a :class:`SRFolder`.
        test_sets (list[TestSet]): Where; those that the method does not cover stay empty.
        scale (int): 2, 3 or 4.
        workers (int): Threads that compute the metrics.
        protocol (str): 'rgb': results are compared as 8-bit RGB images; 'y': before they are rounded to such, as papers
            did whose networks compute luminance alone.

    Yields:
        str: The name of every test set, when it is done.

    Raises:
        DataError: An image cannot be read or has another size than it should.
    """
    meter = _Meter(method, protocol)
    for test_set in test_sets:
        if test_set.name in row.scores or not method.covers(test_set):
            continue
        before = len(meter.seconds)
        scores = dict(_score_set(meter, test_set, scale, workers))
        row.images[test_set.name] = scores
        row.scores[test_set.name] = Score(fmean(score.psnr for score in scores.values()),
                                          fmean(score.ssim for score in scores.values()))
        if method.timed:
            row.times[test_set.name] = meter.seconds[before:]
            row.seconds = median(chain.from_iterable(row.times.values()))
            growth = meter.memory.bytes
            if growth is not None:
                row.peak_memory = max(row.peak_memory or 0, growth + method.weight_bytes)
        yield test_set.name


def new_row(method):
    """Row: What is known of a method before it is measured."""
    return Row(method.name, params=method.params, mult_adds=method.mult_adds, search_time=method.search_time,
               network=method.network, key=method.key)


class _Meter:
    """Runs a method, with a clock and a look at the memory where the method computes something."""

    def __init__(self, method, protocol):
        self.method = method
        self.upscale = method.upscale if protocol == 'rgb' else method.upscale_unrounded
        self.memory = PeakMemory(method.device)
        self.seconds = []

    def run(self, sample):
        """ndarray: The super-resolved image."""
        if not self.method.timed:
            return self.upscale(sample)
        if not self.seconds:
            self.upscale(sample)
        with self.memory.measured():
            start = time.perf_counter()
            sr = self.upscale(sample)
            self.seconds.append(time.perf_counter() - start)
        return sr


def _score_set(meter, test_set, scale, workers):
    """Yield (image name, Score), a chunk of images at a time: upscaled first, then scored."""
    title = f'{meter.method.name}: {test_set.name} x{scale}'
    samples = progress(samples_of(test_set, scale), len(test_set.pairs), title)
    while chunk := list(islice(samples, CHUNK)):
        results = [meter.run(sample) for sample in chunk]
        # Threads, because OpenCV and NumPy release the lock, and a process forked after torch has computed may hang.
        with ThreadPoolExecutor(workers) as pool:
            scores = pool.map(score_image, results, [sample.hr for sample in chunk], repeat(scale))
            yield from zip((sample.name for sample in chunk), scores, strict=True)


def samples_of(test_set, scale):
    """Iterator[Sample]: The images of a TestSet."""
    for pair in test_set.pairs:
        hr, lr, _ = read_pair(pair.hr_path, pair.lr_path, scale, scale, official_shrinking(test_set.name))
        yield Sample(test_set.name, pair.name, hr, lr)


def find_search_time(genotype, weights):
    """Find the search that a network came from, and how long it ran.

    It must have derived the same genotype; see :func:`deconas_plugin.files.experiment_folder.derivations_beside`.

    Args:
        genotype (Genotype): The network's.
        weights (str | Path): The network's weights.

    Returns:
        str | None: For example '12 GPU hours'; None where there is no such search.
    """
    for derived in derivations_beside(weights):
        search = derived.search
        if search.history.is_file() and search.options.is_file() and _holds(derived.genotype, genotype):
            num_gpu = yaml.safe_load(search.options.read_text(encoding='utf-8'))['num_gpu']
            return f'{_hours(search.history) * max(num_gpu, 1):.2g} {"GPU" if num_gpu else "CPU"} hours'
    return None


def _holds(path, genotype):
    try:
        return Genotype.load(path).connections == genotype
    except GenotypeError:
        return False  # some other experiment's, perhaps of another version


def _hours(history):
    """float: The time of the last line of every run: where a run resumed, the clock starts again."""
    # Not as JSON: where a run was killed, a line may end early.
    times = [float(time) for time in re.findall(r'"time": ([\d.]+)', history.read_text(encoding='utf-8'))]
    ends = [time for time, following in zip(times, [*times[1:], 0], strict=True) if following < time]
    return sum(ends) / 3600
