"""PSNR against Mult-Adds of all rows of a table."""
from math import ceil

from matplotlib.lines import Line2D

from deconas_plugin.benchmark.rows import REPORTED
from deconas_plugin.visual.theme import COLOURS, MUTED, new_figure, styled

WIDTH, HEIGHT = 4.4, 3.6  # inches, of a panel
MARKERS = 'osD^vP*X<>'


@styled
def draw_chart(table):
    """Draw a panel for every test set: filled what was measured, hollow what is reported, a line between both of one
    network. A row that has a PSNR but no Mult-Adds, such as bicubic, stands in the corner as text.

    Args:
        table (Table): The rows.

    Returns:
        Figure | None: The chart; None where no row has both Mult-Adds and a PSNR.
    """
    sets = [name for name in table.test_sets if any(row.mult_adds and _psnr(row, name) for row in table.rows)]
    if not sets:
        return None
    num_columns = min(2, len(sets))
    num_rows = ceil(len(sets) / num_columns)
    figure = new_figure(WIDTH * num_columns, HEIGHT * num_rows + 0.6)
    looks = _looks(row for row in table.rows if row.mult_adds and any(_psnr(row, name) for name in sets))
    for index, name in enumerate(sets):
        axes = figure.add_subplot(num_rows, num_columns, index + 1, xscale='log', title=f'{name} x{table.scale}',
                                  xlabel='Mult-Adds @720p (G)', ylabel='PSNR on Y (dB)')
        axes.xaxis.set_major_formatter('{x:,.0f}')
        axes.grid(which='both', alpha=0.4)
        _draw_set(axes, table.rows, name, looks)
    handles = [Line2D([], [], label=label, linestyle='', **look) for label, look in looks.items()]
    handles += [Line2D([], [], marker='o', linestyle='', color=MUTED, label='measured'),
                Line2D([], [], marker='o', linestyle='', color=MUTED, markerfacecolor='none', label='reported')]
    figure.legend(handles=handles, loc='outside lower center', ncols=min(len(handles), 3 * num_columns))
    return figure


def _draw_set(axes, rows, name, looks):
    places, texts = {}, []
    for row in rows:
        psnr, is_reported = _psnr(row, name), row.source == REPORTED
        if psnr and row.mult_adds:
            places.setdefault(_kind(row), []).append((row.mult_adds / 1e9, psnr))
            fill = {'markerfacecolor': 'none'} if is_reported else {}
            axes.plot(row.mult_adds / 1e9, psnr, linestyle='', **looks[_kind(row)], **fill)
        elif psnr:
            texts.append(f'{row.model} {psnr:.2f} dB{" (reported)" if is_reported else ""}')
    for kind, points in places.items():
        axes.plot(*zip(*points, strict=True), linewidth=0.8, color=looks[kind]['color'])
    axes.text(0.98, 0.02, '\n'.join(texts), transform=axes.transAxes, ha='right', va='bottom', fontsize=7, color=MUTED)


def _looks(rows):
    """dict[str, dict]: Colour and marker of every network."""
    return {kind: {'color': COLOURS[index % len(COLOURS)], 'marker': MARKERS[index % len(MARKERS)], 'markersize': 5}
            for index, kind in enumerate(dict.fromkeys(map(_kind, rows)))}


def _kind(row):
    return row.network or row.model


def _psnr(row, name):
    """float | None: Equal images have no place in a chart."""
    score = row.scores.get(name)
    return score.psnr if score and score.psnr != float('inf') else None
