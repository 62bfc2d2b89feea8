"""Draws the network around the blocks: dense connections, global fusion, upsampling."""
from dataclasses import dataclass

from deconas_plugin.visual.diagram import FUSION_WIDTH, PLUS_RADIUS, text_width
from deconas_plugin.visual.theme import INK, MUTED

CONV_WIDTH = 0.31
ROW_PITCH = 0.36
TAIL_PARTS = {'classic': ('upsample', '3×3'), 'light': ('3×3', 'shuffle')}
IMAGE_X = 0.45  # where the LR image enters the first convolution
SHALLOW_X = IMAGE_X + 2 * CONV_WIDTH + 0.22  # where the wire of the shallow feature starts


@dataclass(frozen=True)
class NetworkLayout:
    """Where the parts of the network stand, in inches from the upper left corner of its panel."""
    num_block: int
    block_width: float

    @classmethod
    def of(cls, genotype):
        """NetworkLayout: Of a genotype."""
        num_block = genotype.num_block
        return cls(num_block, text_width(f'block {num_block - 1}') + 0.14)

    def row(self, feature):
        """float: y of the wire of a feature: 0 the shallow one, b + 1 that of block b."""
        return 0.35 + feature * ROW_PITCH

    def block_x(self, block):
        """float: Left edge of a block."""
        return SHALLOW_X + block * (CONV_WIDTH + self.block_width + 0.42) + (CONV_WIDTH if block else 0) + 0.3

    @property
    def fusion_x(self):
        return self.block_x(self.num_block - 1) + self.block_width + 0.25

    @property
    def plus_x(self):
        return self.fusion_x + FUSION_WIDTH + CONV_WIDTH + 0.4

    @property
    def width(self):
        return self.plus_x + 1.95

    @property
    def height(self):
        return self.row(self.num_block) + 0.45


def draw_network(diagram, genotype, layout, top, tail='classic'):
    """Draw the network into a panel that starts at y = top.

    Args:
        diagram (Diagram): Where.
        genotype (Genotype): Of the network.
        layout (NetworkLayout): Of this genotype.
        top (float): In inches.
        tail (str): Its kind.
    """
    _draw_head(diagram, top + layout.row(0))
    last_tap = _tap_x(layout, layout.num_block - 1)
    for feature in range(layout.num_block + 1):
        is_read = feature in genotype.global_fusion
        start = layout.block_x(feature - 1) + layout.block_width if feature else SHALLOW_X
        y = top + layout.row(feature)
        diagram.wire([(start, y), (layout.fusion_x if is_read else last_tap, y)], arrow=is_read)
    for block in range(layout.num_block):
        _draw_block_chip(diagram, layout, block, top)
    _draw_tail(diagram, layout, top, TAIL_PARTS[tail])


def _tap_x(layout, block):
    return layout.block_x(block) - 0.12 - (CONV_WIDTH + 0.12 if block else 0)


def _draw_head(diagram, y):
    diagram.text(IMAGE_X - 0.14, y, 'LR', ha='right')
    diagram.wire([(IMAGE_X - 0.11, y), (IMAGE_X, y)], arrow=True)
    diagram.chip(IMAGE_X, y, CONV_WIDTH, '3×3')
    second = IMAGE_X + CONV_WIDTH + 0.22
    diagram.wire([(IMAGE_X + CONV_WIDTH, y), (second, y)], arrow=True)
    diagram.chip(second, y, CONV_WIDTH, '3×3')


def _draw_block_chip(diagram, layout, block, top):
    x, y, tap_x = layout.block_x(block), top + layout.row(block + 1), _tap_x(layout, block)
    diagram.wire([(tap_x, top + layout.row(0)), (tap_x, y), (tap_x + 0.12, y)], INK, True)
    for feature in range(block + 1):
        diagram.dot(tap_x, top + layout.row(feature), INK)
    if block:
        diagram.chip(tap_x + 0.12, y, CONV_WIDTH, '1×1')
        diagram.wire([(tap_x + 0.12 + CONV_WIDTH, y), (x, y)], arrow=True)
    diagram.chip(x, y, layout.block_width, f'block {block}', MUTED)


def _draw_tail(diagram, layout, top, parts):
    first, last = top + layout.row(0), top + layout.row(layout.num_block)
    middle = (first + last) / 2
    diagram.fusion(layout.fusion_x, first, last, 'global')
    x = layout.fusion_x + FUSION_WIDTH
    diagram.wire([(x, middle), (x + 0.15, middle)], arrow=True)
    diagram.chip(x + 0.15, middle, CONV_WIDTH, '3×3')
    diagram.wire([(x + 0.15 + CONV_WIDTH, middle), (layout.plus_x - PLUS_RADIUS, middle)], arrow=True)
    diagram.skip(IMAGE_X + CONV_WIDTH + 0.08, layout.plus_x, first, middle)
    x = layout.plus_x + PLUS_RADIUS
    for text in parts:
        width = CONV_WIDTH if text == '3×3' else text_width(text) + 0.12
        diagram.wire([(x, middle), (x + 0.17, middle)], arrow=True)
        diagram.chip(x + 0.17, middle, width, text)
        x += 0.17 + width
    diagram.wire([(x, middle), (x + 0.17, middle)], arrow=True)
    diagram.text(x + 0.21, middle, 'HR')
