"""Curves over the iterations of a search or a training."""
import math
from itertools import cycle

import numpy as np
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from deconas_plugin.visual.theme import COLOURS, INK, MUTED, new_figure, styled

MAX_POINTS = 200
WIDTH, HEIGHT = 4.3, 2.7
# Key in the history, name, axis label and the unit of the axis.
COSTS = (('params', 'parameters', 'parameters (K)', 1e3), ('mult_adds', 'Mult-Adds', 'Mult-Adds @720p (G)', 1e9))


def summarise(iterations, values):
    """Gather values into at most :data:`MAX_POINTS` groups of neighbouring iterations.

    Args:
        iterations, values (ndarray): (n,), NaN where there is no value.

    Returns:
        tuple[ndarray]: Iteration, 10th percentile, median and 90th percentile of each group.
    """
    finite = np.isfinite(values)
    iterations, values = iterations[finite], values[finite]
    if not len(values):
        return (np.array([]), ) * 4
    edges = np.unique(iterations)
    if len(edges) > MAX_POINTS:
        edges = np.linspace(edges[0], edges[-1], MAX_POINTS + 1)[:-1]
    groups = np.searchsorted(edges, iterations, side='right') - 1
    order = np.argsort(groups, kind='stable')
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    centres = np.array([iterations[part].mean() for part in parts])
    return centres, *np.array([np.percentile(values[part], (10, 50, 90)) for part in parts]).T


def show_iterations(axis):
    """Label an axis or a colour bar of iterations: 20k rather than 20000."""
    axis.set_label_text('iteration', color=INK)
    axis.set_major_locator(MaxNLocator(6, integer=True))

    def shown(iteration, _):
        return f'{iteration / 1000:g}k' if iteration and axis.get_view_interval()[1] >= 10000 else f'{iteration:g}'

    axis.set_major_formatter(FuncFormatter(shown))


def _new_axes(label):
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_subplot(ylabel=label)
    show_iterations(axes.xaxis)
    return figure, axes


def add_legend(figure, axes):
    """Explain what is drawn above the axes, where it hides no curve."""
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(loc='outside upper left', ncols=len(handles), handlelength=1.4, columnspacing=1.2, borderpad=0)


def _marker(xs):
    return {'marker': 'o', 'markersize': 3} if len(xs) <= 12 else {}


@styled
def draw_band(iterations, values, label, name='median', lines=(), bound=None):
    """Draw how a value spreads over the genotypes of each round.

    Args:
        iterations, values (ndarray): Of every scored genotype.
        label (str): Of the axis, with its unit.
        name (str): What the values are, for the legend.
        lines (Iterable[tuple[str, ndarray]]): Further values over the same iterations, shown by their median.
        bound (tuple[str, float] | None): A constant to compare with.

    Returns:
        Figure: The chart.
    """
    figure, axes = _new_axes(label)
    xs, low, median, high = summarise(iterations, values)
    axes.fill_between(xs, low, high, color=COLOURS[0], alpha=0.25, linewidth=0, label='10–90 %')
    axes.plot(xs, median, color=COLOURS[0], label=name, **_marker(xs))
    for colour, (line_name, line) in zip(cycle(COLOURS[1:]), lines, strict=False):
        xs, _, median, _ = summarise(iterations, line)
        axes.plot(xs, median, color=colour, label=line_name, **_marker(xs))
    if bound:
        axes.axhline(bound[1], color=MUTED, linestyle=(0, (3, 3)), linewidth=1, label=bound[0])
    add_legend(figure, axes)
    return figure


def draw_signal(iterations, signals):
    """Draw whether rewards ranked anything.

    Args:
        iterations (ndarray): (rounds,).
        signals (list[RewardSignal]): Of each round.

    Returns:
        dict[str, Figure]: Charts by what they show.
    """
    spread = {'between genotypes': (iterations, [signal.spread for signal in signals]),
              'noise of the patches': (iterations, [signal.noise for signal in signals])}
    gain = {'blocks': (iterations, [signal.block_gain for signal in signals])}
    return {'What PSNR differs by': draw_series(spread, 'PSNR (dB)'),
            'What the blocks bring': draw_series(gain, 'PSNR (dB)')}


@styled
def draw_series(series, label):
    """Draw series with iterations of their own; the axis is logarithmic where they span more than a decade.

    Args:
        series (dict[str, tuple[ndarray, ndarray]]): Iterations and values by name.
        label (str): Of the axis, with its unit.

    Returns:
        Figure: The chart.
    """
    figure, axes = _new_axes(label)
    drawn = []
    for colour, (name, (iterations, values)) in zip(cycle(COLOURS), series.items(), strict=False):
        xs, _, median, _ = summarise(np.asarray(iterations, dtype=float), np.asarray(values, dtype=float))
        axes.plot(xs, median, color=colour, label=name, **_marker(xs))
        drawn.extend(median)
    if drawn and 0 < 10 * min(drawn) < max(drawn):
        axes.set_yscale('log')
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f'{value:g}'))
        axes.yaxis.set_minor_formatter(NullFormatter())
    add_legend(figure, axes)
    return figure


@styled
def draw_halving(rows):
    """Draw what candidates earn while they train and leave.

    Args:
        rows (list[dict]): See :attr:`deconas_plugin.visual.experiment.Experiment.halving`.

    Returns:
        Figure: The chart; the winner stands out.
    """
    figure = new_figure(2 * WIDTH, HEIGHT)
    axes = figure.add_subplot(xlabel='weight steps alone', ylabel='reward (dB)')
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    last = max(row['rung'] for row in rows)
    winner = max((row for row in rows if row['rung'] == last), key=lambda row: row['reward'])['genotype']
    for genotype in dict.fromkeys(row['genotype'] for row in rows if row['genotype'] != winner):
        _draw_candidate(axes, rows, genotype, MUTED, None if axes.lines else 'candidates')
    _draw_candidate(axes, rows, winner, COLOURS[0], 'derived')
    add_legend(figure, axes)
    return figure


def _draw_candidate(axes, rows, genotype, colour, name):
    points = [(row['steps'], row['reward']) for row in rows if row['genotype'] == genotype]
    axes.plot(*zip(*points, strict=True), color=colour, label=name, marker='o', markersize=3,
              linewidth=1.5 if colour != MUTED else 0.8)


def draw_search(history, num_bits):
    """Draw how a search went.

    Args:
        history (dict[str, ndarray]): See :attr:`deconas_plugin.visual.experiment.Experiment.history`.
        num_bits (float): Bits of a genotype that mean something, in the mean.

    Returns:
        dict[str, Figure]: Charts by what they show.
    """
    iterations = history['iter']
    baseline = [('baseline', history['baseline'])] if 'baseline' in history else []
    figures = {
        'Reward': draw_band(iterations, history['reward'], 'reward (dB)', 'median', baseline),
        'PSNR with shared weights': draw_band(iterations, history['psnr'], 'PSNR (dB)'),
    }
    if history['penalties']:
        total = sum(history['penalties'].values())
        parts = history['penalties'].items() if len(history['penalties']) > 1 else ()
        figures['Penalty'] = draw_band(iterations, total, 'penalty (dB)', lines=parts)
    if 'entropy' in history:
        uniform = ('every bit at 0.5', num_bits * math.log(2))
        figures['Entropy of the controller'] = draw_band(
            iterations, history['entropy'], 'entropy (nats)', bound=uniform)
    for key, name, label, unit in COSTS:
        if key in history:
            figures[f'Sampled {name}'] = draw_band(iterations, history[key] / unit, label)
    return figures
