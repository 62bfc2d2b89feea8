"""What the README names exists, and the tools it runs answer."""
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_fixture import run_fresh

from deconas_plugin.commands import NAMES, script

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / 'README.md').read_text(encoding='utf-8')
FENCE = re.compile(r'^```\w*\n(.*?)^```$', re.M | re.S)
PATH = re.compile(r'(?:[\w*-][\w.*-]*/)+[\w.*-]*|[\w*-][\w.*-]*\.(?:py|sh|yml|txt|md|toml)')

# Folders that runs create; git ignores them.
CREATED = {line.rstrip('/') for line in (ROOT / '.gitignore').read_text().splitlines() if line.endswith('/')}


def commands():
    return [line for block in FENCE.findall(README) for line in block.splitlines()]


def named_paths():
    """Every relative path in commands, in `code` and in [links](path), globs included."""
    prose = FENCE.sub('', README)
    words = [word for command in commands() for word in command.split()]
    words += [word for code in re.findall(r'`([^`\n]+)`', prose) for word in code.split() if '/' in word]
    words += [link for link in re.findall(r'\]\(([^)#\s]+)', prose) if '://' not in link]
    return sorted({word for word in words if PATH.fullmatch(word) and word.split('/')[0] not in CREATED})


def tools():
    return sorted({path for path in named_paths() if re.fullmatch(r'tools/\w+\.(py|sh)', path)})


@pytest.mark.parametrize('path', named_paths())
def test_named_path_exists(path):
    assert list(ROOT.glob(path)) != []


@pytest.mark.parametrize('tool', tools())
def test_named_tool_answers_help(tool):
    interpreter = 'bash' if tool.endswith('.sh') else sys.executable
    process = subprocess.run([interpreter, ROOT / tool, '--help'], capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith('usage:')


def test_named_commands_are_there():
    named = re.findall(r'(?:^|`)deconas ([a-z]\S*[a-z])', README, re.M)
    assert named != [] and set(named) <= set(NAMES)


@pytest.mark.parametrize(('number', 'last_step'), [(1, 'python tools/search.py -opt options/search_x2_quick.yml'),
                                                   (2, 'python -m pytest -n 2 --dist loadfile')])
def test_the_two_commands_are_one_line_each_and_set_up_first(number, last_step):
    block = re.search(rf'^<!-- command {number} -->\n```bash\n(.*?)^```$', README, re.M | re.S).group(1)
    assert block.count('\n') == 1
    environment, activation, set_up, *steps = block.strip().split(' && ')
    assert (environment, activation, steps[-1]) == ('python3 -m venv .venv', '. .venv/bin/activate', last_step)
    assert set_up.startswith('bash tools/install.sh')


def test_trained_networks_work_as_shown(tmp_path, monkeypatch):
    for package in ('onnx', 'onnxruntime', 'onnxscript', 'spandrel'):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    conversions = [line.split()[2:] for line in commands() if line.startswith('python tools/convert.py')]
    for arguments in conversions:
        assert script('convert')(arguments) == 0
    assert {Path(target).suffix for _, target in conversions} == {'.safetensors', '.onnx', '.param'}
    shown = '\n'.join(re.findall(r'^```python\n(.*?)^```$', README, re.M | re.S))
    shown += '\nassert sr.shape == (1, 3, 96, 128) and net.upscale == model.scale == 2'
    process = run_fresh(shown, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
