"""The results table as Markdown, CSV and JSON: the same values in three forms."""
import csv
import hashlib
import io
import json
from dataclasses import asdict, dataclass, field
from math import isfinite
from pathlib import Path

from deconas_plugin.benchmark.rows import MEASURED, REPORTED, Row, Score


@dataclass
class Table:
    """A results table.

    Attributes:
        scale (int): 2, 3 or 4.
        test_sets (list[str]): The columns with PSNR and SSIM.
        settings (dict[str, str]): How it was measured.
        rows (list[Row]): The models.
        notes (list[str]): What a reader must know.
        key (str | None): Tells what all rows depend on.
        finished (bool): Whether every row has been measured.
    """
    scale: int
    test_sets: list
    settings: dict
    rows: list = field(default_factory=list)
    notes: list = field(default_factory=list)
    key: str = None
    finished: bool = False


def side_by_side(reported, measured):
    """list[Row]: Reported rows in their order, each with the measured rows of its network after it; then the others."""
    rows = []
    for row in reported:
        rows += [row, *(other for other in measured if other.network == row.model)]
    return rows + [row for row in measured if row.network not in {other.model for other in reported}]


def one_line(row):
    """str: A row for the screen."""
    scores = (f'{name} {score.psnr:.2f}/{score.ssim:.4f}' for name, score in row.scores.items())
    return f'{row.model}: {", ".join(scores) or "no test set"}'


def to_markdown(table):
    """str: The table for people: PSNR and SSIM in one cell, reported rows marked, missing values empty."""
    head = ['Model', 'Params', 'Mult-Adds @720p', *table.test_sets, 's / image', 'Peak memory', 'Search time']
    lines = [head, *([cell or '' for cell in _markdown_cells(row, table)] for row in table.rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = ['-' * width if column == 0 else '-' * (width - 1) + ':' for column, width in enumerate(widths)]
    body = '\n'.join(f'| {" | ".join(map(str.ljust, line, widths))} |' for line in [head, rule, *lines[1:]])
    settings = '; '.join(f'{key}: {value}' for key, value in table.settings.items())
    notes = ''.join(f'- {note}\n' for note in [settings, *table.notes])
    return f'**x{table.scale}, PSNR [dB] / SSIM**\n\n{body}\n\n{notes}'


def to_csv(table):
    """str: The table for programs: one value a column, units in the head."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    scores = [f'{name} {measure}' for name in table.test_sets for measure in ('PSNR [dB]', 'SSIM')]
    writer.writerow(['Model', 'Source', 'Params', 'Mult-Adds @720p', *scores, 'Seconds per image', 'Peak memory [byte]',
                     'Search time'])
    for row in table.rows:
        cells = [value for name in table.test_sets for value in _pair(row.scores.get(name))]
        writer.writerow([row.model, row.source, row.params, row.mult_adds, *cells, row.seconds, row.peak_memory,
                         row.search_time])
    return text.getvalue()


def to_json(table):
    """str: Everything, with the scores of every image."""
    return json.dumps(_finite(asdict(table)), indent=2) + '\n'


def _markdown_cells(row, table):
    yield f'{row.model} (reported)' if row.source == REPORTED else row.model
    yield row.params and f'{row.params / 1e3:,.0f}K'
    yield row.mult_adds and f'{row.mult_adds / 1e9:,.1f}G'
    for name in table.test_sets:
        score = row.scores.get(name)
        yield score and f'{score.psnr:.2f}/{score.ssim:.4f}'
    yield row.seconds and f'{row.seconds:.3g}'
    yield row.peak_memory and f'{row.peak_memory / 2**20:,.0f} MiB'
    yield row.search_time


def _pair(score):
    return (score.psnr, score.ssim) if score else (None, None)


def _finite(value):
    """The value with 'inf' for infinity, the PSNR of equal images, which JSON does not know."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if not isinstance(value, float) or isfinite(value) else str(value)


def table_key(settings, test_sets):
    """str: Changes when what all rows depend on does.

    Args:
        settings (dict): How it is measured.
        test_sets (list[TestSet]): On which images.
    """
    files = [(test_set.name, path.name, path.stat().st_size, path.stat().st_mtime_ns) for test_set in test_sets
             for pair in test_set.pairs for path in (pair.hr_path, pair.lr_path) if path is not None]
    return hashlib.sha256(json.dumps([settings, files]).encode()).hexdigest()


def read_unfinished(path, key):
    """Read the measured rows of a table that was not finished.

    Args:
        path (str | Path): The JSON table; it need not be there.
        key (str): That of the table that is wanted, see :func:`table_key`.

    Returns:
        dict[tuple[str, str], Row]: By model and :attr:`Row.key`; empty for a finished table or one of another kind.
    """
    try:
        content = json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict) or content.get('finished') is not False or content.get('key') != key:
        return {}
    rows = [_row(entry) for entry in content['rows'] if entry['source'] == MEASURED]
    return {(row.model, row.key): row for row in rows}


def _row(entry):
    row = Row(**entry)
    row.scores = _scores(row.scores)
    row.images = {name: _scores(images) for name, images in row.images.items()}
    return row


def _scores(scores):
    # JSON holds the PSNR of equal images as text.
    return {name: Score(float(score['psnr']), score['ssim']) for name, score in scores.items()}
