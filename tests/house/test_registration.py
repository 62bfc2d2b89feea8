"""Importing the plugin is quick; whoever imports BasicSR finds it registered, in whatever order."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_fixture import output_of

from deconas_plugin.registration import ROOMS_WITHOUT_BASICSR, WITHOUT_BASICSR

ROOT = Path(__file__).resolve().parents[2]
LISTED = sorted(f'deconas_plugin.{name}' for name in WITHOUT_BASICSR)
IN_ROOMS = sorted('.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__')
                  for room in ROOMS_WITHOUT_BASICSR
                  for path in (ROOT / 'deconas_plugin').joinpath(*room.split('.')).glob('*.py'))
IS_REGISTERED = """
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, MODEL_REGISTRY
from deconas_plugin.archs.deconas_arch import DeCoNASNet
assert ARCH_REGISTRY.get('DeCoNASNet') is DeCoNASNet and 'DeCoNASSuperNet' in ARCH_REGISTRY
assert 'DeCoNASModel' in MODEL_REGISTRY and 'DeCoNASPatchDataset' in DATASET_REGISTRY
"""


def test_running_networks_needs_no_basicsr_and_basicsr_not_all_that_it_imports():
    code = f"""
import importlib, sys
for name in {LISTED + IN_ROOMS!r}:
    importlib.import_module(name)
heavy = {{'basicsr', 'torchvision', 'matplotlib', 'scipy', 'lmdb', 'torch._dynamo'}} & set(sys.modules)
assert not heavy, heavy
import basicsr
{IS_REGISTERED}
import deconas_plugin.archs.deconas_arch as module
assert module is sys.modules['deconas_plugin.archs.deconas_arch']
# What takes long to import waits until it is used.
assert not {{'scipy.stats', 'matplotlib'}} & set(sys.modules)
import numpy
from basicsr.data.degradations import cdf2
found = cdf2(numpy.eye(2), numpy.stack(numpy.meshgrid([-1.0, 0, 1], [-1.0, 0, 1]), 2))
assert found.shape == (3, 3) and abs(found[1, 1] - 0.25) < 1e-3
from scipy.stats import norm
assert abs(norm.cdf(1.0) ** 2 - found[2, 2]) < 1e-3
"""
    process = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, timeout=300,
                             env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert process.returncode == 0, process.stderr


def test_the_list_names_modules_that_are_there():
    assert len(IN_ROOMS) > 50
    for name in LISTED:
        path = ROOT / name.replace('.', '/')
        assert path.with_suffix('.py').is_file() or (path / '__init__.py').is_file(), name


def test_basicsr_may_come_first():
    # With the work-arounds that it needs on today's torchvision, from somewhere else than the plugin.
    output_of(f"""
import sys
exec(open('deconas_plugin/compat.py').read(), compat := {{'__name__': 'compat'}})
compat['apply']()
import basicsr
import deconas_plugin
{IS_REGISTERED}""")


@pytest.mark.parametrize('first', ['search.reward', 'models.deconas_model', 'archs.controller_arch', 'runs.pipeline'])
def test_any_module_may_come_first(first):
    output_of(f"""
import sys
import deconas_plugin.{first} as module
assert module is sys.modules['deconas_plugin.{first}']
assert module is getattr(sys.modules['deconas_plugin.{first}'.rpartition('.')[0]], '{first}'.rpartition('.')[2])
assert module.__spec__.name == module.__name__ and module.__spec__.origin == module.__file__
from deconas_plugin.models import deconas_search_model
assert sys.modules['deconas_plugin.search.reward'].SignalProbe is deconas_search_model.SignalProbe
{IS_REGISTERED}""")
