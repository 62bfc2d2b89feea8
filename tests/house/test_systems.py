"""What only Unix or only Linux has is not needed to import anything, and is asked for before it is used."""
import os
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch
from fresh_fixture import run_fresh

from deconas_plugin.files import atomic
from deconas_plugin.machine import parallel
from deconas_plugin.machine.device import device_name
from deconas_plugin.machine.timing import PeakMemory

ROOT = Path(__file__).resolve().parents[2]
OURS = sorted('.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
              for folder in ('deconas_plugin', 'tools') for path in (ROOT / folder).rglob('*.py'))

# Imported by their names alone: Python's own library has to find them first, for its own use.
IMPORT_ALL = """
import importlib, os, pathlib, sys, tempfile
import torch.distributed, torch.utils.data, matplotlib.pyplot, multiprocessing.pool, subprocess, concurrent.futures

hidden = {'fcntl', 'grp', 'pwd', 'resource', 'termios', 'tty', 'posix_ipc'}
for name in hidden:
    sys.modules[name] = None  # the import system then raises ModuleNotFoundError
del os.sched_getaffinity, os.fork

for name in sys.argv[1:]:
    importlib.import_module(name)
print(len(sys.argv[1:]))
"""


@pytest.fixture
def no_proc(monkeypatch):
    """A system without /proc."""
    for method in ('read_text', 'write_text', 'exists', 'open'):
        original = getattr(Path, method)

        def refuse(self, *arguments, _method=method, _original=original, **keywords):
            if not str(self).startswith('/proc'):
                return _original(self, *arguments, **keywords)
            if _method == 'exists':
                return False
            raise FileNotFoundError(2, 'No such file or directory', str(self))

        monkeypatch.setattr(Path, method, refuse)


def test_everything_imports_without_modules_of_unix():
    process = run_fresh(IMPORT_ALL, *OURS)
    assert process.returncode == 0, process.stderr[-2000:]
    assert int(process.stdout) == len(OURS) > 150


def test_the_processor_has_a_name_without_proc(no_proc):
    assert device_name(torch.device('cpu')).endswith(f'{torch.get_num_threads()} of {os.cpu_count()} threads')


def test_peak_memory_is_unknown_without_proc(no_proc):
    memory = PeakMemory(torch.device('cpu'))
    with memory.measured():
        ran = True
    assert ran and memory.bytes is None


def test_workers_are_started_anew_where_processes_cannot_be_forked(monkeypatch):
    asked = []
    monkeypatch.setattr(parallel, 'get_all_start_methods', lambda: ['spawn'])
    monkeypatch.setattr(parallel, 'get_context', lambda method: asked.append(method) or get_context('fork'))
    assert list(parallel.ordered_map(abs, [-1, 2, -3], workers=2)) == [1, 2, 3]
    assert asked == ['spawn']


def test_files_are_written_whole_where_folders_cannot_be_synced(monkeypatch, tmp_path):
    monkeypatch.setattr(atomic.os, 'name', 'nt')
    monkeypatch.setattr(atomic.os, 'open', lambda *_: pytest.fail('a folder was opened'))
    atomic.sync_folder(tmp_path)
