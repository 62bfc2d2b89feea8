"""What the search for a network took, from the files of the search."""
import re
from pathlib import Path

import yaml

from deconas_plugin.errors import GenotypeError
from deconas_plugin.search.genotype import Genotype


def find_search_time(genotype, weights):
    """Find the search that a network came from, and how long it ran.

    Looked at are the ``genotype.yml`` beside the weights and, for ``experiments/<name>/models/net_g_*.pth``, those of
    all derivations in ``experiments``; the genotype must be the same.

    Args:
        genotype (Genotype): The network's.
        weights (str | Path): The network's weights.

    Returns:
        str | None: For example '12 GPU hours'; None where there is no such search.
    """
    for path in _genotype_files(Path(weights).absolute()):
        search = path.parents[1]
        history, options = search / 'search_history.jsonl', search / 'options.yml'
        if history.is_file() and options.is_file() and _holds(path, genotype):
            num_gpu = yaml.safe_load(options.read_text(encoding='utf-8'))['num_gpu']
            return f'{_hours(history) * max(num_gpu, 1):.2g} {"GPU" if num_gpu else "CPU"} hours'
    return None


def _genotype_files(weights):
    yield from weights.parent.glob('genotype.yml')
    if weights.parent.name == 'models':
        yield from sorted(weights.parents[2].glob('*/*/genotype.yml'))


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
