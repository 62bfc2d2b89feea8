"""The pieces of a wiring diagram. All lengths are inches, y grows downwards."""
from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch, Polygon
from matplotlib.textpath import text_to_path

from deconas_plugin.visual.theme import FAINT, INK, MUTED, PANEL, PAPER, new_figure, text_colour

FONT_SIZE = 7.5
MARGIN = 0.15
CHIP_HEIGHT = 0.21
FUSION_WIDTH = 0.24
PLUS_RADIUS = 0.085
DOT_RADIUS = 0.042
ARROW_LENGTH = 0.07


@lru_cache
def text_width(text, size=FONT_SIZE):
    """float: Width of a text, in inches."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)[0] / 72


class Diagram:
    """A drawing surface.

    Args:
        width, height (float): Its size, in inches.
    """

    def __init__(self, width, height):
        self.figure = new_figure(width, height)
        self.figure.set_layout_engine('none')
        self.axes = self.figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
        self.axes.axis('off')

    def text(self, x, y, text, colour=INK, size=FONT_SIZE, **style):
        """Write, by default left-aligned at x and vertically centred at y."""
        self.axes.text(x, y, text, color=colour, fontsize=size, **{'va': 'center_baseline', **style})

    def wire(self, points, colour=MUTED, arrow=False, live=True, width=1.1):
        """Draw a line through points; dashed and pale where nothing of it reaches the output."""
        xs, ys = zip(*points, strict=True)
        style = {} if live else {'linestyle': (0, (2, 2)), 'alpha': 0.5}
        self.axes.plot(xs, ys, color=colour, linewidth=width, solid_joinstyle='round', zorder=2, **style)
        if arrow:
            self._arrow_head(points[-1], points[-2], colour, live)

    def _arrow_head(self, tip, origin, colour, live):
        (x, y), half = tip, ARROW_LENGTH * 0.42
        dx, dy = (x > origin[0]) - (x < origin[0]), (y > origin[1]) - (y < origin[1])
        back = (x - dx * ARROW_LENGTH, y - dy * ARROW_LENGTH)
        corners = [tip, (back[0] - dy * half, back[1] + dx * half), (back[0] + dy * half, back[1] - dx * half)]
        self.axes.add_artist(Polygon(corners, facecolor=colour, edgecolor='none', alpha=1 if live else 0.5, zorder=3))

    def dot(self, x, y, colour=MUTED, live=True):
        """Mark that two crossing wires are connected."""
        # The rim keeps the dot apart from the wires that it joins.
        self.axes.add_artist(Circle((x, y), DOT_RADIUS, facecolor=colour, edgecolor=PAPER, linewidth=0.6,
                                   alpha=1 if live else 0.5, zorder=4))

    def box(self, x, y, width, height, fill=PANEL, edge=FAINT, live=True, zorder=1):
        """Draw a rounded box around (x .. x + width, y); y is its middle."""
        style = {} if live else {'linestyle': (0, (2, 2))}
        self.axes.add_artist(FancyBboxPatch((x, y - height / 2), width, height, facecolor=fill, edgecolor=edge,
                                           boxstyle='round,pad=0,rounding_size=0.045', linewidth=0.8, zorder=zorder,
                                           alpha=1 if live else 0.45, **style))

    def chip(self, x, y, width, text, fill=PAPER, height=CHIP_HEIGHT, rotation=0, live=True):
        """Draw a labelled box; the colour of its text follows from the fill."""
        self.box(x, y, width, height, fill, MUTED if fill == PAPER else fill, live, zorder=3)
        colour = INK if fill == PAPER or not live else text_colour(fill)
        self.text(x + width / 2, y, text, colour, ha='center', rotation=rotation, zorder=4,
                  **({'va': 'center'} if rotation else {}))

    def fusion(self, x, first, last, name):
        """Draw a tall box that the wires from y = first to last enter from the left; it puts out in the middle."""
        height = last - first + 0.24
        texts = (f'{name} fusion: 1×1 conv', f'{name} fusion', 'fusion')
        text = next((text for text in texts if text_width(text) < height - 0.1), '1×1')
        self.chip(x, (first + last) / 2, FUSION_WIDTH, text, height=height, rotation=90)

    def skip(self, x, plus_x, y, plus_y):
        """Draw a residual connection from (x, y) over everything to an addition."""
        self.dot(x, y)
        self.wire([(x, y), (x, y - 0.22), (plus_x, y - 0.22), (plus_x, plus_y - PLUS_RADIUS)], arrow=True)
        self.axes.add_artist(Circle((plus_x, plus_y), PLUS_RADIUS, facecolor=PAPER, edgecolor=MUTED, zorder=3))
        for dx, dy in ((0.55 * PLUS_RADIUS, 0), (0, 0.55 * PLUS_RADIUS)):
            self.axes.plot((plus_x - dx, plus_x + dx), (plus_y - dy, plus_y + dy), color=INK, linewidth=1, zorder=4)
