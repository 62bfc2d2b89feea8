"""The whole benchmark: find the sets and models, measure, write table and chart."""
from importlib.metadata import version
from math import ceil
from pathlib import Path

import torch
from matplotlib.lines import Line2D

from deconas_plugin.benchmark.measure import measure, new_row
from deconas_plugin.benchmark.methods import Bicubic, OptionsMethod, split_name, weights_method
from deconas_plugin.benchmark.rows import REPORTED, reported_rows
from deconas_plugin.benchmark.sets import PAPER_SETS, canonical_name, find_test_sets
from deconas_plugin.benchmark.sr_images import SRFolder
from deconas_plugin.benchmark.table import (
    Table,
    one_line,
    read_unfinished,
    side_by_side,
    table_key,
    to_csv,
    to_json,
    to_markdown,
)
from deconas_plugin.data.prepare import SCALES
from deconas_plugin.errors import DataError, OptionError
from deconas_plugin.files.atomic import write_file
from deconas_plugin.files.paths import default_folder
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.machine.device import device_name, keep_freed_memory
from deconas_plugin.visual.theme import COLOURS, MUTED, new_figure, save, styled

WIDTH, HEIGHT = 4.4, 3.6  # inches, of a panel
MARKERS = 'osD^vP*X<>'
FORMATS = {'.md': to_markdown, '.csv': to_csv, '.json': to_json}
PROTOCOLS = {'rgb': 'of 8-bit RGB images', 'y': 'of results that were not rounded to 8-bit RGB'}


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


def run_benchmark(models=(), options=(), sr_dirs=(), paper=False, *, scale, sets, device, data=None, out=None,
                  precision='float32', tile=512, workers=1, protocol='rgb', costs=(), show=lambda line: None):
    """Measure models and write the table, after every test set of every row, and in the end a picture. A run that was
    stopped goes on when it is started again; one that was finished measures everything anew.

    Args:
        models (list[str]): 'bicubic', or weights as ``PATH`` or ``NAME=PATH``.
        options (list[tuple[str, dict]]): File and content of BasicSR test options.
        sr_dirs (list[str]): ``NAME=PATH`` of folders of super-resolved images.
        paper (bool): Whether to put the rows that the paper reports first.
        scale (int): 2, 3 or 4.
        sets (list[str]): Test sets.
        data (str | Path | None): Folder with the test sets. Default: ``datasets`` beside ``experiments``.
        device (torch.device): Where networks run.
        out (str | Path | None): Files to write, without their endings. Default: see :func:`default_out`.
        precision, tile: As in WeightsMethod.
        workers (int): Threads that compute PSNR and SSIM.
        protocol (str): As in :func:`deconas_plugin.benchmark.measure.measure`.
        costs (list[str]): ``NAME=PARAMS,MULT_ADDS`` of folders of super-resolved images.
        show (Callable[[str], None]): Gets a line for every finished row.

    Returns:
        Table: The table.

    Raises:
        DeCoNASError: A model, image or folder cannot be used. Models are checked before anything is measured.
    """
    if scale not in SCALES:
        raise OptionError(f'scale: expected one of {SCALES}, got {scale!r}')
    keep_freed_memory(device)  # for all models alike: DeCoNASModel would for those after it
    test_sets, notes = find_test_sets(data or default_folder('datasets'), scale, sets, [opt for _, opt in options])
    names = list(dict.fromkeys(map(canonical_name, sets)))
    settings = _settings(scale, device, precision, protocol)
    table = Table(scale, names, settings, notes=notes, key=table_key(settings, test_sets))
    methods = [_from_model(model, scale, device, precision, tile) for model in models]
    for source, opt in options:
        import_user_code(opt)
        methods.append(OptionsMethod(opt, source, scale, device))
    folders = [_from_sr_dir(sr_dir, test_sets) for sr_dir in sr_dirs]
    _set_costs(folders, costs)
    methods += folders
    _check_names(methods)
    out = out or default_out(scale, names, protocol)
    reported = []
    if paper:
        reported, note = reported_rows(scale, names)
        table.notes.append(note)
    table.notes += [note for folder in folders for note in folder.notes]
    before = read_unfinished(f'{out}.json', table.key)
    rows = [before.get((method.name, method.key)) or new_row(method) for method in methods]
    begun = [row for row in rows if row.scores]
    if begun:
        show(f'Going on with {out}.json, which was stopped and holds {", ".join(row.model for row in begun)}')
    table.rows = side_by_side(reported, begun)
    write_table(table, out)
    for row, method in zip(rows, methods, strict=True):
        begun += [] if row in begun else [row]
        table.rows = side_by_side(reported, [row for row in rows if row in begun])
        for _ in measure(row, method, test_sets, scale, workers, protocol):
            write_table(table, out)
        show(one_line(row))
    table.rows = side_by_side(reported, rows)
    table.finished = True
    write_table(table, out)
    write_picture(table, out)
    return table


def default_out(scale, sets, protocol='rgb'):
    """str: Where a table goes: one of other sets than the paper's four, or of another protocol, has a name of its own.

    Args:
        scale (int): Its scale.
        sets (list[str]): Its test sets.
        protocol (str): How they are compared.
    """
    parts = [f'{default_folder("results")}/benchmark_x{scale}', *([] if set(sets) == set(PAPER_SETS) else sets)]
    return '_'.join(parts + [protocol] * (protocol != 'rgb'))


def write_table(table, out):
    """Write ``<out>.md``, ``<out>.csv`` and ``<out>.json``.

    Raises:
        DataError: They cannot be written.
    """
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        for ending, to_text in FORMATS.items():
            write_file(f'{out}{ending}', to_text(table).encode('utf-8'))
    except OSError as error:
        raise DataError(f'--output: cannot write {error.filename or out}: {error.strerror}') from error


def write_picture(table, out):
    """Write ``<out>.svg`` and ``<out>.png``, where there is something to draw.

    Raises:
        OptionError: They cannot be written.
    """
    figure = draw_chart(table)
    if figure is not None:
        for ending in ('.svg', '.png'):
            save(figure, f'{out}{ending}')


def _from_model(model, scale, device, precision, tile):
    if model == 'bicubic':
        return Bicubic(scale)
    name, path = split_name(model)
    return weights_method(path, scale, device, name, precision, tile)


def _from_sr_dir(sr_dir, test_sets):
    name, path = split_name(sr_dir)
    if name is None:
        raise OptionError(f'--sr-dir: expected NAME=PATH, got {sr_dir!r}')
    return SRFolder(name, path, test_sets)


def _set_costs(folders, costs):
    """Give folders of super-resolved images the params and Mult-Adds of ``NAME=PARAMS,MULT_ADDS``."""
    by_name = {folder.name: folder for folder in folders}
    for cost in costs:
        name, numbers = split_name(cost)
        try:
            params, mult_adds = (round(float(number)) for number in numbers.split(','))
        except (OverflowError, ValueError) as error:
            raise OptionError(f'--cost: expected NAME=PARAMS,MULT_ADDS such as FALSR=1021e3,234.7e9, got {cost!r}'
                              ) from error
        if name not in by_name:
            raise OptionError(f'--cost: expected the name of an --sr-dir, got {name!r}; networks are counted')
        by_name[name].params, by_name[name].mult_adds = params, mult_adds
        by_name[name].key += cost


def _check_names(methods):
    names = [method.name for method in methods]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise OptionError(f'two models are called {twice}; tell them apart with NAME=PATH')


def _settings(scale, device, precision, protocol):
    return {
        'PSNR/SSIM': f'BasicSR {version("basicsr")}, Y channel {PROTOCOLS[protocol]}, border {scale}',
        'time': 'median over all images, from decoded LR image to result, after one for warming up',
        'memory': 'largest image, weights included',
        'device': device_name(device),
        'precision': precision,
        'torch': torch.__version__,
    }
