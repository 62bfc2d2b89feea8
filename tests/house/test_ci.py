"""The continuous integration runs the README's own words and fails whenever anything in it fails."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
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


@pytest.fixture
def pretend_newest(tmp_path, monkeypatch):
    """Puts in place a ``python`` whose environments hold nothing, and whose pip does what the test says."""
    def pretend(pip, smoke, free=100):
        (tmp_path / 'tests').mkdir()
        (tmp_path / 'tests' / 'smoke.py').write_text(smoke)
        (tmp_path / 'bin').mkdir()
        stubs = {'env_python': f'if [ "$1 $2" = "-m pip" ]; then {pip}; else exec {sys.executable} "$@"; fi',
                 'python': f'if [ "$1 $2" = "-m venv" ]; then mkdir -p "$3/bin" && cp {tmp_path}/bin/env_python '
                           f'"$3/bin/python"; else exec {sys.executable} "$@"; fi',
                 'df': f'echo Avail; echo {free}'}
        for name, text in stubs.items():
            (tmp_path / 'bin' / name).write_text(f'#!/bin/sh\n{text}\n')
            (tmp_path / 'bin' / name).chmod(0o755)
        return README.format(command=f'PATH={tmp_path}/bin:$PATH')
    return pretend


@pytest.mark.parametrize(('smoke', 'code'), [("print('ran')\n", 0), ('raise SystemExit(3)\n', 3)])
def test_the_newest_pair_has_to_work_where_pip_has_it(run_ci, pretend_newest, smoke, code):
    process = run_ci(pretend_newest('true', smoke))
    assert process.returncode == code, process.stderr
    assert ('ran' in process.stdout.splitlines()) == (code == 0)


def test_what_pip_cannot_install_beside_the_newest_pair_fails(run_ci, pretend_newest):
    process = run_ci(pretend_newest('case "$*" in *torchvision) true;; *) exit 4;; esac', "print('ran')\n"))
    assert process.returncode == 4


@pytest.mark.parametrize(('pip', 'free', 'note'), [
    ('exit 1', 100, 'or not soon enough'), ('sleep 9', 100, 'or not soon enough'), ('true', 11, 'less than 12 GB')])
def test_the_newest_pair_is_left_out_with_a_note(run_ci, pretend_newest, monkeypatch, pip, free, note):
    monkeypatch.setenv('CI_NEWEST_SECONDS', '1')
    process = run_ci(pretend_newest(pip, 'raise SystemExit(3)\n', free))
    assert process.returncode == 0, process.stderr
    assert note in process.stdout.splitlines()[-1]
