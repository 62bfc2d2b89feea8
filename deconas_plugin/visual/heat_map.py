"""The probability of every bit over time."""
from itertools import cycle

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from deconas_plugin.visual.curves import show_iterations
from deconas_plugin.visual.theme import INK, MUTED, new_figure, operation_colours, styled

MAX_ROUNDS = 400
CHOICES = {'width': 'channels', 'num_block': 'blocks', 'num_layer': 'layers', 'attention': 'attention',
           'activation': 'activation'}
# Undecided bits vanish into the page, light or dark.
DECIDED = LinearSegmentedColormap.from_list(
    'decided', [(0., '#e69f00ff'), (0.5, '#88888800'), (1., '#0072b2ff')])


def colour_range(probabilities):
    """float: Largest distance from 0.5 that the colours show: 0.5, or 0.25 where tanh keeps all bits that near."""
    return 0.25 if np.abs(probabilities - 0.5).max() <= 0.25 else 0.5


def thin(iterations, probabilities):
    """Leave out rounds, evenly, where there are too many to be told apart."""
    if len(iterations) <= MAX_ROUNDS:
        return iterations, probabilities
    rows = np.linspace(0, len(iterations) - 1, MAX_ROUNDS).round().astype(int)
    return iterations[rows], probabilities[rows]


@styled
def draw_heat_map(iterations, probabilities, space, genotype=None):
    """Draw the probabilities as a heat map.

    Args:
        iterations (ndarray): (rounds,).
        probabilities (ndarray): (rounds, bits).
        space (SearchSpace): The space of the bits.
        genotype (Genotype | None): Marked at the right: the chosen bits.

    Returns:
        Figure: The chart.
    """
    iterations, probabilities = thin(iterations, probabilities)
    num_bits = space.num_bits
    figure = new_figure(10.2, 1.1 + 0.125 * num_bits)
    axes = figure.add_subplot()
    axes.grid(False)
    show_iterations(axes.xaxis)
    reach = colour_range(probabilities)
    mesh = axes.pcolormesh(_edges(iterations), np.arange(num_bits + 1), probabilities.T, cmap=DECIDED, rasterized=True,
                           vmin=0.5 - reach, vmax=0.5 + reach)
    axes.set_ylim(num_bits, 0)
    _label_bits(axes, space)
    if genotype is not None:
        _mark_chosen(axes, genotype)
    bar = figure.colorbar(mesh, ax=axes, pad=0.06 if genotype is not None else 0.02, fraction=0.04, aspect=25,
                          shrink=min(1, 5 / figure.get_figheight()), anchor=(0, 1))
    bar.set_label('probability of a 1', color=INK)
    bar.outline.set_edgecolor(MUTED)
    return figure


def _edges(iterations):
    """ndarray: Where the columns of the heat map begin and end: half-way between rounds."""
    if len(iterations) == 1:
        return np.array([iterations[0] - 0.5, iterations[0] + 0.5])
    middles = (iterations[1:] + iterations[:-1]) / 2
    return np.concatenate([[2 * iterations[0] - middles[0]], middles, [2 * iterations[-1] - middles[-1]]])


def _label_bits(axes, space):
    """Name every decision, mark each bit's operation by its colour, and separate the layers."""
    colours = list(operation_colours(space.operations).values())
    ticks, names, row = [], [], 0
    # Again for every block, where each has its own.
    features = cycle((layer, feature) for layer in range(space.num_layer) for feature in range(layer + 1))
    for decision in space.decisions:
        ticks.append(row + decision.num_bits / 2)
        if decision.kind == 'operation':
            layer, feature = next(features)
            names.append(f'layer {layer} ← {f"layer {feature - 1}" if feature else "input"}')
            bit_colours, starts_layer = colours, feature == 0
        else:
            names.append(CHOICES.get(decision.kind, f'{decision.kind} fusion'))
            bit_colours, starts_layer = [MUTED] * decision.num_bits, True
        for bit, colour in enumerate(bit_colours):
            axes.plot([-0.008, -0.008], [row + bit + 0.08, row + bit + 0.92], color=colour, linewidth=4, clip_on=False,
                      solid_capstyle='butt', transform=axes.get_yaxis_transform())
        if row and starts_layer:
            axes.axhline(row, color=MUTED, linewidth=0.7)
        row += decision.num_bits
    axes.set_yticks(ticks, names)
    axes.tick_params(axis='y', length=0, pad=8)


def _mark_chosen(axes, genotype):
    rows = [row + 0.5 for row, bit in enumerate(genotype.bits) if bit]
    axes.plot([1.02] * len(rows), rows, 'o', color=INK, markersize=3.2, clip_on=False,
              transform=axes.get_yaxis_transform())
    axes.text(1.02, -0.7, 'chosen', color=INK, fontsize=8, ha='center', transform=axes.get_yaxis_transform())


def probability_image(probabilities, cell=8):
    """Render the heat map as pixels, for TensorBoard.

    Args:
        probabilities (ndarray): (rounds, bits).
        cell (int): Side of a cell, in pixels.

    Returns:
        ndarray: uint8, (bits * cell, rounds * cell, 3), RGB: blue a likely 1, orange a likely 0, white undecided.
    """
    _, probabilities = thin(np.arange(len(probabilities)), np.asarray(probabilities, dtype=float))
    reach = colour_range(probabilities)
    rgba = DECIDED(((probabilities.T - 0.5) / reach + 1) / 2)
    rgb = (rgba[..., :3] * rgba[..., 3:] + 1 - rgba[..., 3:]) * 255
    return rgb.round().astype(np.uint8).repeat(cell, 0).repeat(cell, 1)
