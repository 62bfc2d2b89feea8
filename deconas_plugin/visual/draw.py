"""Draws a genotype as a wiring diagram: every feature a wire, every dot a connection.

Layers and blocks stand on a staircase, so that the wire of a feature runs over all that may read it and crosses their
inputs: the picture stays as plain at eight layers as at four.
"""
from deconas_plugin.visual.diagram import MARGIN, Diagram, text_width
from deconas_plugin.visual.draw_block import ATTENTION_NAMES, BlockLayout, draw_block, short_name
from deconas_plugin.visual.draw_network import NetworkLayout, draw_network
from deconas_plugin.visual.theme import INK, MUTED, operation_colours, styled

BLOCK_TOP = 0.62
PANEL_GAP = 0.45  # between blocks, where each has its own
LEGEND_PITCH = 0.25
HEADING_SIZE = 9
BITS_SIZE = 8
ACTIVATION_NAMES = {'relu': 'ReLU', 'lrelu': 'leaky ReLU', 'silu': 'SiLU', 'gelu': 'GELU',
                    'gelu8': 'GELU of 8x, / 8'}


@styled
def draw_genotype(genotype, tail='classic', residual='none'):
    """Draw the block, or every block where each has its own, and the network that a genotype means.

    Args:
        genotype (Genotype): What to draw.
        tail, residual (str): Of its network, see DeCoNASNet.

    Returns:
        Figure: A transparent matplotlib figure; see :func:`deconas_plugin.visual.theme.save`.
    """
    block, network, legend = BlockLayout.of(genotype), NetworkLayout.of(genotype), _legend(genotype)
    panels = _panels(genotype)
    last_top = BLOCK_TOP + (len(panels) - 1) * (block.height + PANEL_GAP)
    legend_height = len(legend) * LEGEND_PITCH
    legend_top = last_top + max(block.height - legend_height, _room_under(block, legend))
    network_top = max(last_top + block.height, legend_top + legend_height) + 0.3
    bits_x = MARGIN + text_width('Genotype', BITS_SIZE) + 0.15
    diagram = Diagram(max(block.width, network.width, bits_x + text_width(str(genotype), BITS_SIZE) * 1.15 + MARGIN),
                      network_top + network.height)
    diagram.text(MARGIN, 0.2, 'Genotype', MUTED, BITS_SIZE)
    diagram.text(bits_x, 0.2, str(genotype), INK, BITS_SIZE, family='monospace')
    for index, (title, block_genotype) in enumerate(panels):
        top = BLOCK_TOP + index * (block.height + PANEL_GAP)
        diagram.text(MARGIN, top - 0.12, title, INK, HEADING_SIZE, weight='bold')
        draw_block(diagram, block_genotype, genotype.space.operations, block, top)
    _draw_legend(diagram, legend, legend_top)
    channels = '' if genotype.width is None else f', {genotype.width} channels'
    start = '' if residual == 'none' else f', added to the {residual} image'
    diagram.text(MARGIN, network_top, f'(b) Network{channels}{start}', INK, HEADING_SIZE, weight='bold')
    draw_network(diagram, genotype, network, network_top + 0.15, tail)
    return diagram.figure


def _panels(genotype):
    """list[tuple[str, BlockGenotype]]: Title and connections of every block that is drawn."""
    num_block = genotype.num_block
    if genotype.space.share_blocks:
        return [('(a) Block' + (f', used {num_block} times' if num_block > 1 else ''), genotype.blocks[0])]
    return [(f'(a) Block {index}', block) for index, block in enumerate(genotype.blocks)]


def _legend(genotype):
    """list[tuple]: Sign, what is written in it, and its meaning, one per line."""
    colours = operation_colours(genotype.space.operations)
    lines = [(colours[name], short_name(name), name) for name in genotype.space.operations]
    activation, attention = ACTIVATION_NAMES[genotype.activation], ATTENTION_NAMES[genotype.attention]
    lines.append(('dot', '', f'the operation reads this feature after {activation}; several are concatenated'))
    meaning = f'mean of the operations, {activation}'
    if attention:
        kinds = {'CA': 'channel', 'SA': 'spatial', 'CA · SA': 'channel and spatial'}
        meaning += f', then {kinds[attention]} attention'
    lines.append(('text', f'mean · {attention}' if attention else 'mean', meaning))
    if any(len(block.live_layers) < genotype.num_layer for block in genotype.blocks):
        lines.append(('dead', '', 'does not reach the output, so it is not built'))
    return lines


def _sign_width(legend):
    return max(text_width(text) for _, text, _ in legend if text) + 0.12


def _room_under(block, legend):
    """float: y from which on the lines of the legend fit under the staircase, which leaves more room lower down."""
    x = MARGIN + _sign_width(legend) + 0.3
    return max(
        block.free_below(x + text_width(meaning)) - index * LEGEND_PITCH
        for index, (_, _, meaning) in enumerate(legend))


def _draw_legend(diagram, legend, top):
    width = _sign_width(legend)
    for index, (sign, text, meaning) in enumerate(legend):
        y, middle = top + (index + 0.5) * LEGEND_PITCH, MARGIN + width / 2
        if sign == 'dot':
            diagram.wire([(middle - 0.15, y), (middle + 0.15, y)])
            diagram.wire([(middle, y - 0.09), (middle, y + 0.09)])
            diagram.dot(middle, y)
        elif sign == 'dead':
            diagram.wire([(middle - 0.15, y), (middle + 0.15, y)], live=False)
        elif sign == 'text':
            diagram.text(middle, y, text, ha='center')
        else:
            diagram.chip(MARGIN, y, width, text, sign)
        diagram.text(MARGIN + width + 0.1, y, meaning)
