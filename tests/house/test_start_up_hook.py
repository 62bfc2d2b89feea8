"""The hook that tools/install.sh leaves: it mends the import of torchvision for any program, and does nothing else."""
import os
import subprocess
import venv
from pathlib import Path

import pytest

from deconas_plugin import start_up_hook

ROOT = Path(__file__).resolve().parents[2]
# What matters of both: describing an operator that no compiled code has defined is an error.
TORCH = """
class Library:
    @staticmethod
    def define(name, schema):
        setattr(ops.torchvision, name.rpartition(':')[2], schema)
class ops:
    class torchvision:
        pass
library = Library
"""
TORCHVISION = """
import torch
from . import extension
if not hasattr(torch.ops.torchvision, 'nms'):
    raise RuntimeError('operator torchvision::nms does not exist')
"""


@pytest.fixture(scope='module')
def environment(tmp_path_factory):
    """The Python and the site-packages of an environment with stand-ins for torch and torchvision."""
    folder = tmp_path_factory.mktemp('environment')
    venv.create(folder, symlinks=True)
    packages, = folder.glob('[Ll]ib/**/site-packages')
    (packages / 'torch.py').write_text(TORCH)
    (packages / 'torchvision').mkdir()
    (packages / 'torchvision' / '__init__.py').write_text(TORCHVISION)
    (packages / 'torchvision' / 'extension.py').touch()
    return next(folder.glob('[bS]*/python*')), packages


@pytest.fixture
def hooked(environment, monkeypatch):
    monkeypatch.setattr(start_up_hook, 'operators_load', lambda: False)
    _, packages = environment
    assert start_up_hook.update([packages]) == packages / start_up_hook.NAME
    yield environment
    monkeypatch.setattr(start_up_hook, 'operators_load', lambda: True)
    assert start_up_hook.update([packages]) is None and not (packages / start_up_hook.NAME).exists()


def run(python, code, plugin=ROOT):
    variables = {name: value for name, value in os.environ.items() if not name.startswith('PYTHON')}
    return subprocess.run([python, '-c', code], capture_output=True, text=True, timeout=60, cwd=python.parent,
                          env={**variables, 'PYTHONPATH': str(plugin)})


def test_without_it_the_import_fails(environment):
    assert 'RuntimeError: operator torchvision::nms does not exist' in run(environment[0], 'import torchvision').stderr


def test_torchvision_comes_first(hooked):
    process = run(hooked[0], """
import sys
watching = [finder for finder in sys.meta_path if type(finder).__name__ == 'TorchvisionFinder']
print(len(watching), *sorted({'torch', 'torchvision', 'deconas_plugin'} & set(sys.modules)))
import torchvision
import importlib
print(torchvision.torch.ops.torchvision.nms[:13], 'deconas_plugin' in sys.modules)
print(importlib.reload(torchvision) is torchvision)
""")
    assert (process.stdout.split('\n'), process.stderr) == (['1', '(Tensor dets, False', 'True', ''], '')


@pytest.mark.parametrize('other', ['none', 'older', 'no package'])
def test_where_there_is_no_such_plugin_it_does_nothing(hooked, tmp_path, other):
    if other != 'none':
        (tmp_path / 'deconas_plugin').mkdir()
    if other == 'older':
        for name in ('__init__.py', 'compat.py'):
            (tmp_path / 'deconas_plugin' / name).touch()
    process = run(hooked[0], 'import sys, torch; print(len(sys.meta_path))', tmp_path)
    plain = run(hooked[0], 'import sys; print(len(sys.meta_path))', tmp_path)
    assert (process.stdout, process.stderr) == (plain.stdout, '')
    assert 'RuntimeError: operator' in run(hooked[0], 'import torchvision', tmp_path).stderr


def test_it_goes_to_the_first_folder_that_can_be_written_to(monkeypatch, tmp_path):
    monkeypatch.setattr(start_up_hook, 'operators_load', lambda: False)
    monkeypatch.setattr(os, 'access', lambda folder, mode: folder == tmp_path)
    assert start_up_hook.update([tmp_path / 'system', tmp_path]) == tmp_path / start_up_hook.NAME


@pytest.mark.parametrize('load', [True, False])
def test_operators_are_asked_for_themselves(load):
    # An operator may be described and not be there: this one is described once torchvision has been imported.
    import torch
    import torchvision

    def nms(*arguments):
        if not load:
            raise NotImplementedError("Could not run 'torchvision::nms' with arguments from the 'CPU' backend")
        return torch.zeros(1)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torchvision.ops, 'nms', nms)
        assert start_up_hook.operators_load() is load
