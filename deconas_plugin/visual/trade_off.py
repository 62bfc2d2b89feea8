"""What quality costs: PSNR against params or Mult-Adds of every scored genotype."""
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from deconas_plugin.cost.pareto import front
from deconas_plugin.visual.curves import add_legend, show_iterations
from deconas_plugin.visual.theme import COLOURS, INK, MUTED, PAPER, new_figure, styled

WIDTH, HEIGHT = 4.7, 3.7
# Rises in lightness to the middle only, so that both ends stand out from a light and from a dark page.
OVER_TIME = LinearSegmentedColormap.from_list('over time', ['#5b7fb5', '#6fb3c9', '#e0a23c', '#d55e00'])


@styled
def draw_trade_off(costs, psnrs, iterations, label, marks=()):
    """Draw every scored genotype, the front of the last round, and those that have a name.

    Rounds scored with other weights, so that no line joins points of two.

    Args:
        costs (ndarray): (n,), in the unit of the label.
        psnrs (ndarray): (n,), dB, with the shared weights of that time.
        iterations (ndarray): (n,): when each was scored, shown by colour.
        label (str): Of the axis of the costs, with its unit.
        marks (Iterable[tuple[str, str, float, float | None]]): Name, matplotlib marker, cost and PSNR; a vertical line
            where the PSNR is not known.

    Returns:
        Figure: The chart.
    """
    finite = np.isfinite(costs) & np.isfinite(psnrs)
    costs, psnrs, iterations = costs[finite], psnrs[finite], iterations[finite]
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.add_subplot(xlabel=label, ylabel='PSNR with shared weights (dB)')
    size = np.clip(8000 / max(len(costs), 1), 3, 30)
    points = axes.scatter(costs, psnrs, c=iterations, s=size, cmap=OVER_TIME, alpha=0.7,
                          linewidths=0, rasterized=len(costs) > 500)
    last = np.flatnonzero(iterations == iterations.max(initial=0))
    best = last[front(np.stack([costs, -psnrs], axis=1)[last])]
    axes.plot(costs[best], psnrs[best], color=INK, linewidth=1.2, drawstyle='steps-post', marker='o', markersize=2.5,
              label='front, last round')
    for colour, (name, marker, cost, psnr) in zip((COLOURS[2], COLOURS[3]), marks, strict=False):
        if psnr is None:
            axes.axvline(cost, color=colour, linestyle=(0, (2, 1.5)), linewidth=1.6, label=name)
        else:
            axes.plot([cost], [psnr], marker, color=colour, markersize=12 if marker == '*' else 8,
                      markeredgecolor=PAPER, markeredgewidth=0.8, label=name)
    bar = figure.colorbar(points, ax=axes, pad=0.02, fraction=0.045, aspect=30)
    show_iterations(bar.ax.yaxis)
    bar.outline.set_edgecolor(MUTED)
    bar.solids.set_alpha(1)
    add_legend(figure, axes)
    return figure
