"""Colours and figures: one look for drawings and charts, on paper and on light and dark pages."""
import io
import re
from functools import wraps
from pathlib import Path

import matplotlib
from markupsafe import escape
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from deconas_plugin.errors import OptionError

INK = '#1b1f23'
MUTED = '#5a646e'
FAINT = '#c9d0d6'
PANEL = '#f2f4f6'
PAPER = '#fefefe'

# The first six: Okabe and Ito, "Color Universal Design" (2008), told apart with every common colour vision. Left out is
# what vanishes on a light or a dark page.
COLOURS = ('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9', '#8a7f5c', '#8558b3')

# What a page sets anew for light and for dark, in its style sheet.
CSS_VARIABLES = {INK: '--ink', MUTED: '--muted', FAINT: '--faint', PANEL: '--panel', PAPER: '--paper',
                 COLOURS[0]: '--blue'}

# What each format calls the date, which would make every file differ.
DATE_KEYS = {'.svg': 'Date', '.png': 'Creation Time', '.pdf': 'CreationDate'}

STYLE = {
    'svg.fonttype': 'none',  # text stays text: small, searchable, and in the font of the page
    'font.family': 'sans-serif',
    'font.sans-serif': ['DejaVu Sans', 'Verdana', 'Arial', 'Helvetica', 'sans-serif'],
    'font.size': 9,
    'text.color': INK,
    'axes.edgecolor': MUTED,
    'axes.labelcolor': INK,
    'axes.linewidth': 0.8,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.facecolor': 'none',
    'axes.grid': True,
    'axes.axisbelow': True,
    'axes.titlesize': 9,
    'grid.color': FAINT,
    'grid.linewidth': 0.6,
    'xtick.color': MUTED,
    'ytick.color': MUTED,
    'xtick.labelsize': 8,
    'ytick.labelsize': 8,
    'legend.frameon': False,
    'legend.fontsize': 8,
    'lines.linewidth': 1.5,
    'lines.solid_capstyle': 'round',
}


def styled(draw):
    """Decorator: draw and save with this look, whatever matplotlib is set to elsewhere."""

    @wraps(draw)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return draw(*args, **kwargs)

    return wrapper


def operation_colours(names):
    """dict[str, str]: A colour for every candidate operation, by its place in the search space."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def to_css(text):
    """str: A colour, or SVG with colours, as a page that defines :data:`CSS_VARIABLES` shows it."""
    for colour, variable in CSS_VARIABLES.items():
        text = text.replace(colour, f'var({variable})')
    return text


def text_colour(background):
    """str: What reads best on a colour: black or white by relative luminance (WCAG 2), paper on the colour of text."""
    if background in (INK, MUTED):
        return PAPER
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055)**2.4 for c in to_rgb(background))
    return 'black' if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.2 else 'white'


def new_figure(width, height):
    """Figure: Transparent, in inches, free of pyplot's global state."""
    return Figure(figsize=(width, height), facecolor='none', layout='constrained')


@styled
def save(figure, path, dpi=200):
    """Save a figure on white; the format follows from the file name, and the same figure gives the same file.

    Args:
        figure (Figure): What to save.
        path (str | Path): Ends in ``.svg``, ``.png`` or ``.pdf``.
        dpi (int): Resolution of a PNG, in pixels per inch.

    Raises:
        OptionError: The name ends in something else, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in DATE_KEYS:
        raise OptionError(f'output: expected a name that ends in {", ".join(DATE_KEYS)}, got {str(path)!r}')
    try:
        with matplotlib.rc_context({'svg.hashsalt': 'deconas'}):
            figure.savefig(path, dpi=dpi, facecolor='white', metadata={DATE_KEYS[suffix]: None})
    except OSError as error:
        raise OptionError(f'output: cannot write {path}: {error.strerror}') from error


@styled
def to_svg(figure):
    """str: A figure on white, as an ``<svg>`` element."""
    buffer = io.StringIO()
    with matplotlib.rc_context({'svg.hashsalt': 'deconas'}):
        figure.savefig(buffer, format='svg', facecolor='white', metadata={'Date': None})
    svg = buffer.getvalue()
    return svg[svg.index('<svg'):]


@styled
def to_inline_svg(figure, name, description):
    """Turn a figure into SVG for a page that holds several and defines :data:`CSS_VARIABLES`.

    Args:
        figure (Figure): What to show.
        name (str): Unique within the page; prefix of all ids.
        description (str): What a screen reader says instead.

    Returns:
        str: An ``<svg>`` element. Its CSS variable ``--natural`` holds the width at which a point is a pixel.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context({'svg.hashsalt': name}):
        figure.savefig(buffer, format='svg', dpi=150, transparent=True, metadata={'Date': None})
    svg = buffer.getvalue()
    svg = svg[svg.index('<svg'):]
    # A style element would apply to the whole page.
    svg = re.sub(r'<(metadata|style).*?</\1>', '', svg, flags=re.S)
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf'\g<1>{name}-', svg)
    svg = re.sub(r' (width|height)="[\d.]+pt"', '', svg, count=2)
    width = round(figure.get_figwidth() * 72)
    head = f'<svg role="img" aria-label="{escape(description)}" style="--natural: {width}px"'
    return to_css(svg).replace('<svg', head, 1)
