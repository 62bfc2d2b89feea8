"""Draws the densely connected block of a genotype."""
import re
from dataclasses import dataclass

from deconas_plugin.visual.diagram import FUSION_WIDTH, PLUS_RADIUS, text_width
from deconas_plugin.visual.theme import MUTED, operation_colours

TAP_PITCH = 0.12  # between the input lines of a layer
SLOT_HEIGHT = 0.25  # of one operation within a layer
MERGE_WIDTH = 0.19
WIRE_GAP = 0.19  # between a layer and the wire above it
INPUT_X = 0.84  # where the wire of the block input starts
MAX_NAME = 14
ATTENTION_NAMES = {'none': '', 'channel': 'CA', 'spatial': 'SA', 'both': 'CA · SA'}


def short_name(operation):
    """str: Name of an operation as it fits into a small box: ``sep_conv3x3`` -> ``sep 3×3``."""
    short = re.sub(r'(\d)x(\d)', r'\1×\2', re.sub(r'_?conv_?(?=\d)', ' ', operation)).replace('_', ' ').strip()
    return short if len(short) <= MAX_NAME else short[:MAX_NAME - 1] + '…'


@dataclass(frozen=True)
class BlockLayout:
    """Where the parts of a block stand, in inches from the upper left corner of its panel."""
    num_layer: int
    num_operations: int
    chip_width: float

    @classmethod
    def of(cls, genotype):
        """BlockLayout: Of a genotype."""
        names = genotype.space.operations
        return cls(genotype.num_layer, len(names), max(text_width(short_name(name)) for name in names) + 0.13)

    @property
    def layer_height(self):
        return max(self.num_operations, 3) * SLOT_HEIGHT + 0.08

    @property
    def layer_width(self):
        return self.chip_width + MERGE_WIDTH + 0.23

    def row(self, feature):
        """float: y of the wire of a feature."""
        return 0.3 + feature * (self.layer_height / 2 + WIRE_GAP)

    def layer_x(self, layer):
        """float: Left edge of a layer."""
        inputs_width = self.num_operations * TAP_PITCH + 0.16
        return INPUT_X + 0.12 + inputs_width + layer * (inputs_width + self.layer_width)

    @property
    def fusion_x(self):
        return self.layer_x(self.num_layer - 1) + self.layer_width + 0.25

    @property
    def plus_x(self):
        return self.fusion_x + FUSION_WIDTH + 0.28

    @property
    def width(self):
        return self.plus_x + 0.85

    @property
    def height(self):
        return self.row(self.num_layer) + self.layer_height / 2 + 0.15

    def free_below(self, x):
        """float: y under which nothing stands left of x."""
        inputs_width = self.num_operations * TAP_PITCH
        layers = [layer for layer in range(self.num_layer) if self.layer_x(layer) - inputs_width < x]
        return self.row(layers[-1] + 1) + self.layer_height / 2 + 0.2


def draw_block(diagram, block, operations, layout, top):
    """Draw the block into a panel that starts at y = top.

    Args:
        diagram (Diagram): Where.
        block (BlockGenotype): What to draw.
        operations (tuple[str]): Names of the candidate operations.
        layout (BlockLayout): Of this genotype.
        top (float): In inches.
    """
    diagram.text(INPUT_X - 0.07, top + layout.row(0), 'block input', ha='right')
    for feature, end in enumerate(_wire_ends(block, operations, layout)):
        start = layout.layer_x(feature - 1) + layout.layer_width if feature else INPUT_X
        y = top + layout.row(feature)
        live = feature == 0 or feature - 1 in block.live_layers
        if end > start:
            diagram.wire([(start, y), (end, y)], live=live, arrow=feature in block.local_fusion)
    for layer in range(layout.num_layer):
        _draw_layer(diagram, block, operations, layout, layer, top)
    _draw_output(diagram, layout, top)


def _taps(block, operations, layout, layer):
    """list[tuple]: x, operation and earlier features of every input line of a layer, the topmost operation first."""
    named = zip(operations, block.layer_inputs[layer], strict=True)
    # A layer without operations passes the last feature on.
    taps = [(name, inputs) for name, inputs in named if inputs] or [(None, (layer, ))]
    # The line of the topmost operation is the rightmost: so none crosses another on its way down.
    return [(layout.layer_x(layer) - 0.12 - index * TAP_PITCH, *tap) for index, tap in enumerate(taps)]


def _wire_ends(block, operations, layout):
    """list[float]: x where the wire of each feature ends: at its last reader."""
    ends = [INPUT_X + 0.1] + [0.] * layout.num_layer
    for layer in range(layout.num_layer):
        for x, _, inputs in _taps(block, operations, layout, layer):
            for feature in inputs:
                ends[feature] = max(ends[feature], x)
    for feature in block.local_fusion:
        ends[feature] = layout.fusion_x
    return ends


def _draw_layer(diagram, block, operations, layout, layer, top):
    live = layer in block.live_layers
    colours = operation_colours(operations)
    x, middle = layout.layer_x(layer), top + layout.row(layer + 1)
    merge_x = x + layout.layer_width - MERGE_WIDTH - 0.05
    taps = _taps(block, operations, layout, layer)
    passes_on = taps[0][1] is None
    diagram.box(x, middle, layout.layer_width, layout.layer_height, live=live)
    diagram.text(x + 0.02, middle + layout.layer_height / 2 + 0.1, f'layer {layer}' + ('' if live else ', unused'),
                 MUTED)
    for index, (tap_x, name, inputs) in enumerate(taps):
        y = middle + (index - (len(taps) - 1) / 2) * SLOT_HEIGHT
        colour = colours.get(name, MUTED)
        target = x + 0.07 if name else merge_x
        diagram.wire([(tap_x, top + layout.row(min(inputs))), (tap_x, y), (target, y)], colour, True, live)
        for feature in inputs:
            diagram.dot(tap_x, top + layout.row(feature), colour, live)
        if name:
            diagram.wire([(target + layout.chip_width, y), (merge_x, y)], live=live)
            diagram.chip(target, y, layout.chip_width, short_name(name), colour, live=live)
    attention = ATTENTION_NAMES[block.attention]
    diagram.chip(merge_x, middle, MERGE_WIDTH, ' · '.join(filter(None, ['' if passes_on else 'mean', attention])),
                 height=layout.layer_height - 0.1, rotation=90, live=live)


def _draw_output(diagram, layout, top):
    first, last = top + layout.row(0), top + layout.row(layout.num_layer)
    middle = (first + last) / 2
    diagram.fusion(layout.fusion_x, first, last, 'local')
    diagram.wire([(layout.fusion_x + FUSION_WIDTH, middle), (layout.plus_x - PLUS_RADIUS, middle)], arrow=True)
    diagram.skip(INPUT_X + 0.1, layout.plus_x, first, middle)
    diagram.wire([(layout.plus_x + PLUS_RADIUS, middle), (layout.plus_x + 0.28, middle)], arrow=True)
    diagram.text(layout.plus_x + 0.33, middle, 'block\noutput', va='center')
