"""Pictures of bits: a genotype as a strip of cells, and the probability of every bit over time."""

import numpy as np
from markupsafe import Markup
from matplotlib.colors import LinearSegmentedColormap

from deconas_plugin.visual.curves import show_iterations
from deconas_plugin.visual.theme import INK, MUTED, new_figure, operation_colours, styled, to_css

CELL = 6
GAP = 5  # between layers
MAX_ROUNDS = 400
CHOICES = {'width': 'channels', 'num_block': 'blocks', 'num_layer': 'layers', 'attention': 'attention',
           'activation': 'activation'}
# Undecided bits vanish into the page, light or dark.
DECIDED = LinearSegmentedColormap.from_list(
    'decided', [(0., '#e69f00ff'), (0.5, '#88888800'), (1., '#0072b2ff')])


def genotype_strip(genotype):
    """Draw a column per connection and a row per operation; with a fusion search a column per feature of a fusion.

    Args:
        genotype (Genotype): What to draw.

    Returns:
        Markup: An ``<svg>`` element of fixed size.
    """
    colours = list(operation_colours(genotype.space.operations).values())
    cells, x = [], 0
    fusions = []
    for block in genotype.blocks[:1 if genotype.space.share_blocks else None]:
        for layer, layer_inputs in enumerate(block.layer_inputs):
            for feature in range(layer + 1):
                cells += [_cell(x, row, colour if feature in inputs else None)
                          for row, (colour, inputs) in enumerate(zip(colours, layer_inputs, strict=True))]
                x += CELL
            x += GAP
        fusions.append((block.local_fusion, genotype.num_layer))
    if genotype.space.search_fusion:
        for inputs, last in (*fusions, (genotype.global_fusion, genotype.num_block)):
            for feature in range(last):
                cells.append(_cell(x, 0, INK if feature in inputs else None))
                x += CELL
            x += GAP
    width, height = x - GAP, CELL * len(colours)
    return Markup(f'<svg role="img" aria-label="genotype {genotype}" class="strip" width="{width}" height="{height}" '
                  f'viewBox="0 0 {width} {height}">{"".join(cells)}</svg>')


def _cell(x, row, colour):
    fill = f'fill="{to_css(colour)}"' if colour else 'fill="var(--faint)" opacity=".45"'
    return f'<rect x="{x + 0.5}" y="{row * CELL + 0.5}" width="{CELL - 1}" height="{CELL - 1}" rx="1" {fill}/>'


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
    ticks, names = [], []
    for decision in space.decisions:
        row = decision.start
        ticks.append(row + decision.num_bits / 2)
        if decision.kind == 'operation':
            source = f'layer {decision.feature - 1}' if decision.feature else 'input'
            names.append(f'layer {decision.layer} ← {source}')
            bit_colours, starts_layer = colours, decision.feature == 0
        else:
            names.append(CHOICES.get(decision.kind, f'{decision.kind} fusion'))
            bit_colours, starts_layer = [MUTED] * decision.num_bits, True
        for bit, colour in enumerate(bit_colours):
            axes.plot([-0.008, -0.008], [row + bit + 0.08, row + bit + 0.92], color=colour, linewidth=4, clip_on=False,
                      solid_capstyle='butt', transform=axes.get_yaxis_transform())
        if row and starts_layer:
            axes.axhline(row, color=MUTED, linewidth=0.7)
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
