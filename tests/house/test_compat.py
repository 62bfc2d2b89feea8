"""BasicSR 1.4.2 imports on the installed torch, torchvision and Python, and the traps are told apart from real faults.

Each case needs an interpreter that has imported nothing of them yet, so each runs in a fresh one.
"""
import os
import subprocess
import sys
from pathlib import Path

import fresh_fixture
import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPAT = ROOT / 'deconas_plugin' / 'compat.py'

HIDE = """
import importlib.abc, sys
class Hide(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {hidden!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Hide())
for name in [name for name in sys.modules if name.partition('.')[0] in {hidden!r}]:
    del sys.modules[name]
"""

# tools/install.sh leaves a hook where it is needed, which would stand in for what is tested here.
NO_HOOK = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__name__ != 'TorchvisionFinder']
"""
NO_OPERATORS = """
import torch
def refuse(path):
    raise OSError(f'Could not load this library: {path}')
torch.ops.load_library = refuse
"""


def run_fresh(code, **environment):
    return fresh_fixture.run_fresh(NO_HOOK + code, environment={**os.environ, **environment})


def output_of(code):
    return fresh_fixture.output_of(NO_HOOK + code)


def test_plugin_import_makes_basicsr_importable():
    # The one case in an interpreter that has imported nothing at all.
    code = NO_HOOK + 'import deconas_plugin, basicsr; print(basicsr.__version__)'
    process = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, timeout=120,
                             env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert process.stdout == '1.4.2\n', process.stderr


def test_gray_conversion_of_basicsr_is_the_one_of_torchvision():
    # 0.2989, 0.587 and 0.114 are the weights of red, green and blue.
    gray = output_of('import deconas_plugin, torch\n'
                     'from basicsr.data.degradations import rgb_to_grayscale\n'
                     'print(rgb_to_grayscale(torch.tensor([1., 10., 100.]).view(3, 1, 1)).item())')
    assert float(gray) == pytest.approx(0.2989 + 5.87 + 11.4, abs=1e-4)


def test_apply_again_changes_nothing():
    snapshot = '{name: id(module) for name, module in sys.modules.items()}'
    assert output_of('import sys, deconas_plugin, basicsr\n'
                     f'before = {snapshot}\n'
                     'deconas_plugin.compat.apply()\n'
                     f'print(before == {snapshot})') == 'True'


def test_existing_functional_tensor_is_kept():
    assert output_of('import sys, types\n'
                     "name = 'torchvision.transforms.functional_tensor'\n"
                     'sys.modules[name] = own = types.ModuleType(name)\n'
                     'own.rgb_to_grayscale = len\n'
                     'import deconas_plugin\n'
                     'from basicsr.data.degradations import rgb_to_grayscale\n'
                     'print(sys.modules[name] is own and rgb_to_grayscale is len)') == 'True'


def test_torchvision_imports_without_its_operators():
    assert output_of(f'{NO_OPERATORS}\n'
                     'import deconas_plugin, basicsr, torchvision\n'
                     'print(torchvision.extension._has_ops())') == 'False'


@pytest.fixture
def torchvision_with_operators(tmp_path):
    """A stand-in for a matching torchvision: importing it registers nms, which must not exist yet. Returns its path."""
    package = tmp_path / 'torchvision' / 'transforms'
    package.mkdir(parents=True)
    (package / '__init__.py').write_text('')
    for name in ('functional', 'functional_tensor'):
        (package / f'{name}.py').write_text('rgb_to_grayscale = len')
    (package.parent / '__init__.py').write_text("""
import torch
library = torch.library.Library('torchvision', 'DEF')
library.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
library.impl('nms', lambda dets, scores, iou_threshold: scores + iou_threshold, 'CPU')
""")
    return tmp_path


@pytest.mark.parametrize('first', ['', 'import torchvision\n'])
def test_operators_that_torchvision_brings_are_not_replaced(torchvision_with_operators, first):
    # Registering an operator twice ends the process where compiled code does it.
    assert output_of(f"""
import sys
sys.path.insert(0, {str(torchvision_with_operators)!r})
{first}import torch
compat = {{}}
exec(open({str(COMPAT)!r}).read(), compat)
compat['apply']()
compat['apply']()
print(torch.ops.torchvision.nms(torch.zeros(1, 4), torch.zeros(1), 0.5).item())
""") == '0.5'


@pytest.mark.parametrize('first', ['', 'deconas_compat'])
def test_torchvision_imports_wherever_the_plugin_was_imported_before(first):
    # Also where the hook of tools/install.sh, which is compat by itself, has been there before the plugin.
    assert output_of(f"""{NO_OPERATORS}
import sys
from importlib.util import module_from_spec, spec_from_file_location
if {first!r}:
    spec = spec_from_file_location({first!r}, {str(COMPAT)!r})
    spec.loader.exec_module(hook := module_from_spec(spec))
    hook.mend_torchvision()
import deconas_plugin
watching = [type(finder).__name__ for finder in sys.meta_path].count('TorchvisionFinder')
import torchvision
print(watching, torchvision.extension._has_ops(), 'basicsr' in sys.modules)
""") == f'{1 + bool(first)} False False'


def test_import_works_after_torchvision_has_failed_in_the_same_process():
    # As where a program tries spandrel, which imports torchvision, before it comes to the plugin.
    assert output_of(f'{NO_OPERATORS}\n'
                     'try:\n    import torchvision\nexcept RuntimeError:\n    print("failed")\n'
                     'import deconas_plugin, basicsr, torchvision\n'
                     'print(torchvision.extension._has_ops())') == 'failed\nFalse'


def test_other_faults_of_torchvision_are_not_hidden(tmp_path):
    (tmp_path / 'torchvision').mkdir()
    (tmp_path / 'torchvision' / '__init__.py').write_text("""
import torch
for name in ('nms', 'qnms'):
    torch.library.define(f'torchvision::{name}', '(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
raise RuntimeError('compiled with different CUDA major versions')
""")
    process = run_fresh(f'import sys; sys.path.insert(0, {str(tmp_path)!r})\nimport deconas_plugin, basicsr')
    assert process.stderr.strip().splitlines()[-1] == 'RuntimeError: compiled with different CUDA major versions'


def test_missing_distutils_names_setuptools():
    process = run_fresh(HIDE.format(hidden=('distutils', 'setuptools')) + 'import deconas_plugin, basicsr')
    assert process.returncode != 0
    assert process.stderr.strip().splitlines()[-1].startswith('ImportError: BasicSR needs distutils')
    assert 'pip install setuptools' in process.stderr


def test_missing_torchvision_is_named():
    process = run_fresh(HIDE.format(hidden=('torchvision',)) + 'import deconas_plugin, basicsr')
    assert process.returncode != 0
    assert 'torchvision' in process.stderr.strip().splitlines()[-1]
