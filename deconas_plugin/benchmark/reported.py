"""The paper's rows, kept apart from everything measured."""
from importlib.resources import files

import yaml

from deconas_plugin.benchmark.rows import REPORTED, Row, Score


def reported_rows(scale, test_sets):
    """Read the rows that the paper reports.

    Args:
        scale (int): 2, 3 or 4.
        test_sets (list[str]): The table's test sets; results on others are left out.

    Returns:
        tuple: list[Row], and a note on them. The paper has a table for x2 alone: no rows for another scale.
    """
    table = yaml.safe_load(files('deconas_plugin.benchmark').joinpath('reported.yml').read_text(encoding='utf-8'))
    if scale != table['scale']:
        return [], f'The paper reports x{table["scale"]} only: no reported rows for x{scale}.'
    rows = [
        Row(row['model'],
            REPORTED,
            params=row.get('params'),
            mult_adds=row.get('mult_adds'),
            network=row['model'],
            scores={name: Score(*row['scores'][name]) for name in test_sets if name in row['scores']},
            search_time=row.get('search_time')) for row in table['rows']
    ]
    return rows, table['note']
