"""What the speed benchmark found, as a table for people and JSON for programs."""
import json
from dataclasses import asdict, dataclass, field
from statistics import median

from deconas_plugin.machine.timing import ratio


@dataclass
class Way:
    """One way to do some work.

    Attributes:
        name (str): What it is.
        seconds (float): Median over the rounds.
        relative (float): Time over that of the first way of the same work, median over the rounds.
        rate (float | None): Operations per second, those of the unfused network, two per multiply-add pair.
        share (float | None): That rate over the rate of one convolution on the same device in the same precision.
        peak_memory (int | None): Bytes.
    """
    name: str
    seconds: float
    relative: float
    rate: float | None = None
    share: float | None = None
    peak_memory: int | None = None


@dataclass
class Work:
    """Some work, done in several ways in turns.

    Attributes:
        title (str): What is done.
        ways (list[Way]): The first is what the others are compared with.
        figures (dict[str, float]): Further numbers, by what they say.
    """
    title: str
    ways: list = field(default_factory=list)
    figures: dict = field(default_factory=dict)

    @classmethod
    def of(cls, title, times, operations=None, limits=None, memory=None):
        """Make it of measured times.

        Args:
            title (str): What was done.
            times (dict[str, list[float]]): Seconds by way and round.
            operations (float | None): Operations of one run.
            limits (dict[str, float] | None): Operations per second at most, by way.
            memory (dict[str, int] | None): Peak memory in bytes, by way.

        Returns:
            Work: The work.
        """
        first = next(iter(times.values()))
        work = cls(title)
        for name, seconds in times.items():
            way = Way(name, median(seconds), ratio(seconds, first), peak_memory=(memory or {}).get(name))
            if operations is not None:
                way.rate = operations / way.seconds
                way.share = way.rate / limits[name]
            work.ways.append(way)
        return work


@dataclass
class SpeedReport:
    """Everything that was measured.

    Attributes:
        device (str): Its name.
        software (str): PyTorch and its version.
        rates (dict): As :func:`machine_rates` gives them.
        works (list[Work]): What was timed.
    """
    device: str
    software: str
    rates: dict
    works: list = field(default_factory=list)


def to_json(report):
    """str: The report, with a newline at the end."""
    return json.dumps(asdict(report), indent=2) + '\n'


def to_markdown(report):
    """str: The report as tables."""
    rates = [f'- 3x3 convolution, 64 to 64 channels, {precision}: {rate["inference"] / 1e9:,.0f} GFLOP/s on an image, '
             f'{rate["training"] / 1e9:,.0f} GFLOP/s forward and backward on patches\n'
             f'- sum of two of its features, {precision}: {rate["inference_bytes"] / 1e9:,.1f} GB/s of an image, '
             f'{rate["training_bytes"] / 1e9:,.1f} GB/s of patches\n'
             for precision, rate in report.rates.items()]
    return f'**Speed on {report.device}, {report.software}**\n\n{"".join(rates)}\n' + '\n'.join(
        map(_work_to_markdown, report.works))


def _work_to_markdown(work):
    figures = ''.join(f'- {text}: {value:,.4g}\n' for text, value in work.figures.items())
    if not work.ways:
        return f'**{work.title}**\n\n{figures}'
    head = [work.title, 'ms', 'relative', 'GFLOP/s', 'of the convolution', 'peak memory']
    lines = [[way.name, f'{way.seconds * 1e3:,.1f}', _relative(way.relative),
              way.rate and f'{way.rate / 1e9:,.0f}', way.share and f'{way.share:.0%}',
              way.peak_memory and f'{way.peak_memory / 2**20:,.0f} MiB'] for way in work.ways]
    used = [column for column in range(len(head)) if any(line[column] for line in lines)]
    rows = [[line[column] or '' for column in used] for line in [head, *lines]]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = ['-' * widths[0], *('-' * (width - 1) + ':' for width in widths[1:])]
    table = ''.join(f'| {" | ".join(map(str.ljust, row, widths))} |\n' for row in [rows[0], rule, *rows[1:]])
    return table + ('\n' + figures if figures else '')


def _relative(value):
    return f'{value:.3f} ({1 / value:.1f}x faster)' if value < 0.95 else f'{value:.3f}'
