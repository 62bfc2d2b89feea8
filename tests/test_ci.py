"""The continuous integration runs the README's own words and fails whenever anything in it fails."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = 'Intro\n\n<!-- command 1 -->\n```bash\nfalse\n```\n\n<!-- command 2 -->\n```bash\n{command}\n```\n\nMore.\n'


@pytest.fixture
def run_ci(tmp_path):
    """Runs ``.ci/run`` in a project that consists of a README with the given command 2 and one module."""
    def run(readme, module="print('fine')\n"):
        (tmp_path / '.ci').mkdir()
        shutil.copy(ROOT / '.ci' / 'run', tmp_path / '.ci')
        (tmp_path / 'README.md').write_text(readme)
        (tmp_path / 'module.py').write_text(module)
        path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
        return subprocess.run([tmp_path / '.ci' / 'run'], capture_output=True, text=True, timeout=60,
                              env={**os.environ, 'PATH': path, 'PYTHONPATH': '/elsewhere'})
    return run


def test_command_two_runs_in_a_copy_and_without_the_callers_python_path(run_ci, tmp_path):
    process = run_ci(README.format(command='touch made && pwd && echo "path: ${PYTHONPATH-none}"'))
    assert process.returncode == 0, process.stderr
    assert 'path: none' in process.stdout
    assert str(tmp_path) not in process.stdout
    assert not (tmp_path / 'made').exists()
    copy = process.stdout.splitlines()[1]
    assert not Path(copy).exists()


@pytest.mark.parametrize('command', ['(exit 5)', 'true && (exit 5) && true', 'true && true && (exit 5)'])
def test_failure_anywhere_in_command_two_is_the_result(run_ci, command):
    process = run_ci(README.format(command=command))
    assert process.returncode == 5
    assert 'ruff' not in process.stdout


def test_lint_error_fails(run_ci):
    process = run_ci(README.format(command='true'), module='import os\n')
    assert process.returncode == 1
    assert 'F401' in process.stdout


def test_readme_without_command_two_fails(run_ci):
    process = run_ci('Intro\n')
    assert process.returncode == 1
    assert process.stderr.startswith('error: README.md has no command')
