"""Latency of any network of a space, from the measured latency of its parts."""
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from deconas_plugin.errors import OptionError
from deconas_plugin.search.choices import PAPER_ACTIVATION, PAPER_ATTENTION
from deconas_plugin.utils.options import save_options
from deconas_plugin.utils.paths import tool_command


@dataclass(frozen=True)
class LatencyTable:
    """Measured by ``tools/latency.py``; holds on the machine and for the sizes it was measured with.

    Attributes:
        device (str): Its name.
        threads (int): CPU threads.
        precision (str): 'float32', 'bf16' or 'fp16'.
        network (dict): The supernet's sizes.
        lr_size (list[int]): Width and height of the LR image.
        milliseconds (dict[str, float]): Median latency of every part, see ComplexityCounter.parts, by :func:`key`.
        errors (list[float]): |predicted - measured| / measured of random networks of the space.
        backend (str): What ran them. Default: 'torch'.
    """
    device: str
    threads: int
    precision: str
    network: dict
    lr_size: list
    milliseconds: dict
    errors: list
    backend: str = 'torch'

    def predict(self, parts, width=None):
        """float: Latency in milliseconds of a network of these parts (dict[tuple, int]: how often each occurs), with
        so many channels where their number is searched."""
        return sum(self.milliseconds[key(part, width)] * times for part, times in parts.items())

    @classmethod
    def load(cls, path, counter=None):
        """Read a table.

        Args:
            path (str | Path): What :meth:`save` wrote.
            counter (ComplexityCounter | None): Of the networks whose latency is wanted.

        Raises:
            OptionError: The file cannot be read, or does not fit the networks.
        """
        try:
            table = cls(**yaml.safe_load(Path(path).read_text(encoding='utf-8')))
        except (OSError, UnicodeDecodeError, TypeError, yaml.YAMLError) as error:
            raise OptionError(f'search.latency_table: {path} is no latency table ({" ".join(str(error).split())}); '
                              f'make one with {tool_command("latency")}') from error
        if counter is not None:
            sizes = network_sizes(counter)
            keys = {key(part, width) for width, part in searched_parts(counter)}
            if not keys <= table.milliseconds.keys() or sizes != table.network:
                raise OptionError(f'search.latency_table: {path} was measured for {table.network}, but the search has '
                                  f'{sizes}; measure again with {tool_command("latency")}')
        return table

    def save(self, path):
        """Write the table as YAML."""
        save_options(asdict(self), path, 'Measured by tools/latency.py; milliseconds per part')


def key(part, width=None):
    """str: A part as it is named in the file, after the width where that is searched."""
    return ' '.join(map(str, part if width is None else (f'{width}ch', *part)))


def searched_parts(counter):
    """list[tuple[int | None, tuple]]: What a table holds: width, where that is searched, and part."""
    return [(width, part) for width in counter.space.widths or (None, ) for part in counter.every_part()]


def network_sizes(counter):
    """dict: What a table depends on."""
    space = counter.space
    sizes = dict(num_feat=list(space.widths) or counter.num_feat, num_block=list(space.block_counts) or space.num_block,
                 num_layer=list(space.layer_counts) or space.num_layer, upscale=counter.upscale,
                 operations=list(space.operations))
    # Only where they are not the paper's, which tables that know nothing of them were measured with.
    others = {'tail': (counter.tail, 'classic'), 'residual': (counter.residual, 'none'),
              'attention': (list(space.attention), [PAPER_ATTENTION]),
              'activation': (list(space.activation), [PAPER_ACTIVATION])}
    return {**sizes, **{name: value for name, (value, default) in others.items() if value != default}}
