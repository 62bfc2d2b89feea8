"""The whole benchmark: find the sets and models, measure, write the table."""
from importlib.metadata import version
from pathlib import Path

import torch

from deconas_plugin.benchmark.measure import measure
from deconas_plugin.benchmark.methods import Bicubic, split_name
from deconas_plugin.benchmark.network_methods import OptionsMethod, WeightsMethod
from deconas_plugin.benchmark.reported import reported_rows
from deconas_plugin.benchmark.sr_images import SRFolder
from deconas_plugin.benchmark.table import Table, to_csv, to_json, to_markdown
from deconas_plugin.benchmark.test_sets import canonical_name, find_test_sets
from deconas_plugin.data.prepare import SCALES
from deconas_plugin.errors import DataError, OptionError
from deconas_plugin.utils.atomic import write_file
from deconas_plugin.utils.device import device_name
from deconas_plugin.utils.memory import keep_freed_memory

FORMATS = {'.md': to_markdown, '.csv': to_csv, '.json': to_json}


def run_benchmark(models=(), options=(), sr_dirs=(), paper=False, *, scale, sets, data, device, out,
                  precision='float32', tile=512, workers=1):
    """Measure models and write the table; after every row, so that an interruption loses one row at most.

    Args:
        models (list[str]): 'bicubic', or weights as ``PATH`` or ``NAME=PATH``.
        options (list[tuple[str, dict]]): File and content of BasicSR test options.
        sr_dirs (list[str]): ``NAME=PATH`` of folders of super-resolved images.
        paper (bool): Whether to put the rows that the paper reports first.
        scale (int): 2, 3 or 4.
        sets (list[str]): Test sets.
        data (str | Path): Folder with the test sets.
        device (torch.device): Where networks run.
        out (str | Path): Files to write, without their endings.
        precision, tile: As in WeightsMethod.
        workers (int): Threads that compute PSNR and SSIM.

    Returns:
        Table: The table.

    Raises:
        DeCoNASError: A model, image or folder cannot be used. Models are checked before anything is measured.
    """
    if scale not in SCALES:
        raise OptionError(f'scale: expected one of {SCALES}, got {scale!r}')
    keep_freed_memory(device)  # for all models alike: DeCoNASModel would for those after it
    test_sets, notes = find_test_sets(data, scale, sets, [opt for _, opt in options])
    names = list(dict.fromkeys(map(canonical_name, sets)))
    table = Table(scale, names, _settings(scale, device, precision), notes=notes)
    methods = [_from_model(model, scale, device, precision, tile) for model in models]
    methods += [OptionsMethod(opt, source, scale, device) for source, opt in options]
    folders = [_from_sr_dir(sr_dir, test_sets) for sr_dir in sr_dirs]
    methods += folders
    _check_names(methods)
    if paper:
        table.rows, note = reported_rows(scale, names)
        table.notes.append(note)
    table.notes += [note for folder in folders for note in folder.notes]
    write_table(table, out)
    for method in methods:
        table.rows.append(measure(method, test_sets, scale, workers))
        write_table(table, out)
    return table


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
        raise DataError(f'--out: cannot write {error.filename or out}: {error.strerror}') from error


def _from_model(model, scale, device, precision, tile):
    if model == 'bicubic':
        return Bicubic(scale)
    name, path = split_name(model)
    return WeightsMethod(path, scale, device, name, precision, tile)


def _from_sr_dir(sr_dir, test_sets):
    name, path = split_name(sr_dir)
    if name is None:
        raise OptionError(f'--sr-dir: expected NAME=PATH, got {sr_dir!r}')
    return SRFolder(name, path, test_sets)


def _check_names(methods):
    names = [method.name for method in methods]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise OptionError(f'two models are called {twice}; tell them apart with NAME=PATH')


def _settings(scale, device, precision):
    return {
        'PSNR/SSIM': f'BasicSR {version("basicsr")}, Y channel, border {scale}',
        'time': 'median over all images, from decoded LR image to result, after one for warming up',
        'memory': 'largest image, weights included',
        'device': device_name(device),
        'precision': precision,
        'torch': torch.__version__,
    }

