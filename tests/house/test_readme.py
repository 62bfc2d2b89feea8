"""What the README and the pages of docs name exists, and the commands that they run answer."""
import re
import subprocess
import sys
from pathlib import Path

import pytest
from fresh_fixture import run_fresh
from PIL import Image

import deconas_plugin
from deconas_plugin.commands import NAMES, script

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / 'README.md').read_text(encoding='utf-8')
PAGES = {path: path.read_text(encoding='utf-8') for path in (ROOT / 'README.md', *sorted(ROOT.glob('docs/*.md')))}
TEXT = '\n'.join(PAGES.values())
FENCE = re.compile(r'^```\w*\n(.*?)^```$', re.M | re.S)
PATH = re.compile(r'(?:[\w*-][\w.*-]*/)+[\w.*-]*|[\w*-][\w.*-]*\.(?:py|sh|yml|txt|md|toml)')

# Folders that runs create; git ignores them.
CREATED = {line.rstrip('/') for line in (ROOT / '.gitignore').read_text().splitlines() if line.endswith('/')}


def commands():
    return [line for block in FENCE.findall(TEXT) for line in block.splitlines()]


def named_paths():
    """Every relative path in commands, in `code` and in [links](path), globs included."""
    prose = FENCE.sub('', TEXT)
    words = [word for command in commands() for word in command.split()]
    words += [word for code in re.findall(r'`([^`\n]+)`', prose) for word in code.split() if '/' in word]
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


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_links_and_pictures_lead_somewhere(page):
    links = re.findall(r'\]\(\s*([^)#\s]+)', PAGES[page]) + re.findall(r'<img src="([^"]+)', PAGES[page])
    assert [link for link in links if '://' not in link and not (page.parent / link).exists()] == []


def test_the_readme_is_short_and_its_pictures_are_small():
    assert README.count('\n') < 200
    assert max(path.stat().st_size for path in (ROOT / 'docs' / 'images').iterdir()) < 150_000


def test_public_names_on_the_pages_are_there():
    named = set(re.findall(r'deconas_plugin\.(\w+)\(', TEXT))
    assert {'search', 'derive', 'train', 'upscale', 'AskTell'} <= named <= set(deconas_plugin.__all__)


def test_named_commands_are_there():
    named = re.findall(r'(?:^|`)deconas ([a-z]\S*[a-z])', TEXT, re.M)
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
    conversions = [line.split()[2:] for line in commands() if line.startswith('deconas convert')]
    for arguments in conversions:
        assert script('convert')(arguments) == 0
    assert {Path(target).suffix for _, target in conversions} == {'.safetensors', '.onnx', '.param'}
    Image.new('RGB', (30, 20)).save('photo.png')
    text = README + PAGES[ROOT / 'docs' / 'upscaling.md']
    shown = '\n'.join(re.findall(r'^```python\n(.*?)^```$', text, re.M | re.S))
    shown += '\nassert sr.shape == (1, 3, 96, 128) and net.upscale == model.scale == 2 and big.size == (60, 40)'
    # Checking the options of a search, which test_api.py does, takes longer than all the rest.
    begin = 'from deconas_plugin.api.searching import Search\nSearch.__init__ = lambda *_: None\n'
    process = run_fresh(begin + shown, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
