"""Settings of all tests: the plugin first, so that BasicSR can be imported in any order, and one thread.

The networks of the tests are so small that several threads wait for each other longer than they work.
"""
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault('OMP_NUM_THREADS', '1')

import deconas_plugin  # noqa: E402, F401


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder in which experiments and results land."""
    monkeypatch.chdir(tmp_path)
    for module in ('runs.pipeline', 'files.paths'):
        monkeypatch.setattr(f'deconas_plugin.{module}.project_root', lambda: tmp_path)
    monkeypatch.setattr(sys, 'argv', ['tools/search.py'])
    # The report takes longer than these searches; one test asks for it.
    monkeypatch.setattr('deconas_plugin.runs.pipeline.write_report', lambda folder: Path(folder, 'report.html'))
    return tmp_path
