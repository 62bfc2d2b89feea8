"""A genotype as a small matrix of coloured cells, to be compared with those above and below it in a table."""
from markupsafe import Markup

from deconas_plugin.visual.theme import INK, operation_colours, to_css

CELL = 6
GAP = 5  # between layers


def genotype_strip(genotype):
    """Draw a column per connection and a row per operation; with a fusion search a column per fused feature.

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
        for fused, last in (*fusions, (genotype.global_fusion, genotype.num_block)):
            for feature in range(last):
                cells.append(_cell(x, 0, INK if feature in fused else None))
                x += CELL
            x += GAP
    width, height = x - GAP, CELL * len(colours)
    return Markup(f'<svg role="img" aria-label="genotype {genotype}" class="strip" width="{width}" height="{height}" '
                  f'viewBox="0 0 {width} {height}">{"".join(cells)}</svg>')


def _cell(x, row, colour):
    fill = f'fill="{to_css(colour)}"' if colour else 'fill="var(--faint)" opacity=".45"'
    return f'<rect x="{x + 0.5}" y="{row * CELL + 0.5}" width="{CELL - 1}" height="{CELL - 1}" rx="1" {fill}/>'
