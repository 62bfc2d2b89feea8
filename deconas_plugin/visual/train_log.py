"""Reads BasicSR's training log."""
import re

import numpy as np

ITERATION = re.compile(r'\[epoch: *\d+, iter: *([\d,]+)')
NUMBER = r'([-+]?(?:\d[\d.]*(?:e[-+]?\d+)?|nan|inf))(?!\S)'
LOSS = re.compile(rf'\b(l_\w+): {NUMBER}')
VALIDATION = re.compile(r'INFO: (Validation|Bicubic) (.+)')
METRIC = re.compile(rf'# (\w+): {NUMBER}')


def parse_log(lines):
    """Read losses and metrics from a training log of BasicSR.

    Args:
        lines (Iterable[str]): Its lines.

    Returns:
        dict: ``losses`` and ``metrics``, each {name: (iterations, values)}.
    """
    iteration, dataset = 0, ''
    found = {'losses': {}, 'metrics': {}}
    for line in lines:
        if match := ITERATION.search(line):
            iteration = int(match[1].replace(',', ''))
            for name, value in LOSS.findall(line):
                # After a resume the same iterations come again: the later ones count.
                found['losses'].setdefault(name, {})[iteration] = float(value)
        elif match := VALIDATION.search(line):
            dataset = match[2].strip() + (', bicubic' if match[1] == 'Bicubic' else '')
        elif match := METRIC.search(line):
            if dataset:
                found['metrics'].setdefault((dataset, match[1]), {})[iteration] = float(match[2])
        else:
            dataset = ''
    return {kind: {name: _sorted_series(series) for name, series in all_series.items()}
            for kind, all_series in found.items()}


def _sorted_series(series):
    iterations = sorted(series)
    return np.array(iterations), np.array([series[iteration] for iteration in iterations])
