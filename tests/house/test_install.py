"""The set-up script refuses what it cannot serve, and the pinned versions fit what setup.py asks for.

That it really installs is shown by the continuous integration, which runs it in a fresh environment.
"""
import importlib
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import setuptools
from packaging.requirements import Requirement

from deconas_plugin import commands
from deconas_plugin.files.paths import COMMAND

ROOT = Path(__file__).resolve().parents[2]
INSTALL = ROOT / 'tools' / 'install.sh'
PYTHONS = ('3.10', '3.11', '3.12')


@pytest.fixture(scope='module')
def setup_arguments():
    """The arguments that setup.py gives to setuptools."""
    arguments = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setuptools, 'setup', arguments.update)
        runpy.run_path(str(ROOT / 'setup.py'))
    return arguments


@pytest.fixture
def pretend_python(tmp_path):
    """Puts a ``python`` in front of the others that believes to be another version; returns the environment."""
    def pretend(major, minor):
        version = (major, minor, 0, 'final', 0)
        (tmp_path / 'sitecustomize.py').write_text(f'import sys\nsys.version_info = {version}\n')
        (tmp_path / 'python').write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n')
        (tmp_path / 'python').chmod(0o755)
        return {**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'}
    return pretend


def run_install(*arguments, env=None):
    return subprocess.run(['bash', INSTALL, *arguments], capture_output=True, text=True, env=env, timeout=60)


def pins(python):
    applying = [Requirement(line) for line in (ROOT / 'requirements' / 'pinned.txt').read_text().splitlines()
                if line and not line.startswith('#')]
    return [pin for pin in applying if pin.marker is None or pin.marker.evaluate({'python_version': python})]


def test_script_is_valid_bash():
    assert subprocess.run(['bash', '-n', INSTALL], capture_output=True).stderr == b''


@pytest.mark.parametrize(('major', 'minor'), [(3, 9), (3, 13), (3, 14), (4, 0)])
def test_unsupported_python_is_refused_before_anything_is_installed(pretend_python, major, minor):
    process = run_install(env=pretend_python(major, minor))
    assert process.returncode == 2
    assert process.stdout == ''
    assert process.stderr.count('\n') == 1
    assert f'/python is Python {major}.{minor}, but BasicSR 1.4.2 needs Python 3.10, 3.11 or 3.12;' in process.stderr


def test_help_describes_every_flag_without_touching_python():
    process = run_install('--help', env={'PATH': '/usr/bin:/bin'})
    assert process.returncode == 0
    assert '--tests' in process.stdout


def test_unknown_argument_is_refused():
    process = run_install('--test')
    assert process.returncode == 2
    assert process.stderr == "error: unknown argument '--test'; expected --tests or --help\n"


@pytest.mark.parametrize('python', PYTHONS)
def test_each_pin_applies_once_and_names_one_version(python):
    names = [pin.name for pin in pins(python)]
    assert sorted(names) == sorted(set(names))
    assert all(re.fullmatch(r'==[\w.]+', str(pin.specifier)) for pin in pins(python))


@pytest.mark.parametrize('python', PYTHONS)
def test_pins_satisfy_every_declared_dependency(setup_arguments, python):
    pinned = {pin.name: str(pin.specifier).removeprefix('==') for pin in pins(python)}
    declared = setup_arguments['install_requires'] + setup_arguments['extras_require']['dev']
    misfits = [requirement for requirement in map(Requirement, declared)
               if not requirement.specifier.contains(pinned.get(requirement.name, 'missing'))]
    assert misfits == []


def test_supported_pythons_are_the_same_in_setup_and_script(setup_arguments):
    supported = Requirement('python' + setup_arguments['python_requires']).specifier
    assert [f'3.{minor}' for minor in range(20) if supported.contains(f'3.{minor}.5')] == list(PYTHONS)
    assert f'{" | ".join(PYTHONS)})' in INSTALL.read_text()


def test_option_files_are_part_of_the_package(setup_arguments):
    assert setup_arguments['package_dir']['deconas_options'] == 'options'
    patterns = setup_arguments['package_data']['deconas_options']
    left_out = [path.name for path in (ROOT / 'options').iterdir() if not any(map(path.match, patterns))]
    assert 'deconas_options' in setup_arguments['packages'] and left_out == []


def test_the_console_script_is_the_command(setup_arguments):
    script, = setup_arguments['entry_points']['console_scripts']
    name, module, function = re.fullmatch(r'(\w+) = ([\w.]+):(\w+)', script).groups()
    assert name == COMMAND
    assert getattr(importlib.import_module(module), function) is commands.main
