"""A benchmark that was stopped goes on: what it has measured stands in its JSON table."""
import hashlib
import json
from pathlib import Path

from deconas_plugin.benchmark.rows import MEASURED, Row, Score


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
