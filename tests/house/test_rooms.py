"""The house: rooms import only from rooms below them, and those at the ground need neither torch nor BasicSR."""
import ast
import functools
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / 'deconas_plugin'
# From the ground up.
ORDER = ('errors', 'compat', 'registration', 'files', 'machine', 'space', 'data', 'archs', 'inference', 'cost',
         'training', 'search', 'visual', 'models', 'options', 'runs', 'benchmark', 'league', 'formats', 'doctor', 'zoo',
         'api', 'commands')
# Whoever calls the room `search` calls the function of the Python way.
UPWARDS = {('search', 'api')}


def imports_of(path):
    """Rooms that a file imports, also inside functions, with the line of each."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'deconas_plugin':
            names = node.module.split('.')[1:2] or [alias.name for alias in node.names]
            yield from ((name, node.lineno) for name in names)


@functools.cache
def names_in(module):
    """set[str]: What a module defines or imports, and the keys of its dicts, such as the package's public names."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding='utf-8'))):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.alias):
            found.add(node.asname or node.name)
        elif isinstance(node, ast.Dict):
            found.update(key.value for key in node.keys if isinstance(key, ast.Constant))
    return found


def test_every_room_is_in_the_order():
    rooms = {path.stem if path.is_file() else path.name for path in PACKAGE.iterdir()
             if path.suffix == '.py' or (path / '__init__.py').is_file()}
    assert rooms - {'__init__', '__main__', 'start_up_hook'} == set(ORDER)


@pytest.mark.parametrize('room', ORDER)
def test_a_room_imports_from_those_below_it(room):
    place = PACKAGE / room
    for path in sorted(place.rglob('*.py')) if place.is_dir() else [place.with_suffix('.py')]:
        for name, line in imports_of(path):
            if name in ORDER and name != room and (room, name) not in UPWARDS:
                assert ORDER.index(name) < ORDER.index(room), f'{path}:{line} imports from {name}, which is above it'


def test_every_room_says_what_lives_there():
    for room in ORDER:
        if (PACKAGE / room).is_dir():
            text = ast.get_docstring(ast.parse((PACKAGE / room / '__init__.py').read_text(encoding='utf-8')))
            assert len(text.splitlines()) >= 3, f'{room}: expected what lives there and what may not'


def test_the_map_of_the_readme_is_in_the_same_order():
    text = (PACKAGE.parent / 'README.md').read_text(encoding='utf-8')
    rows = text.split('| room | what lives there |\n|---|---|\n')[1].split('\n\n')[0].splitlines()
    rooms = [room for row in rows for room in re.findall('`(.+?)`', row.split('|')[1])]
    assert rooms == [room for room in ORDER if (PACKAGE / room).is_dir()]


def test_dotted_names_in_texts_are_those_of_something():
    root = PACKAGE.parent
    texts = [*PACKAGE.rglob('*.py'), *PACKAGE.rglob('*.yml'), root / 'README.md', *root.glob('docs/*.md'),
             *root.glob('options/*.yml'), *root.glob('docs/examples/*'), *root.glob('tools/lab/**/*.py')]
    lost = []
    for path in texts:
        for name in re.findall(r'\bdeconas_plugin((?:\.\w+)+)', path.read_text(encoding='utf-8')):
            place, parts = PACKAGE, name.split('.')[1:]
            while parts and (place / parts[0]).is_dir():
                place /= parts.pop(0)
            module = place / f'{parts[0]}.py' if parts else place / '__init__.py'
            if module.is_file():
                parts = parts[1:]
            else:
                module = place / '__init__.py'
            if parts and parts[0] not in names_in(module):
                lost.append((path.name, name))
    assert lost == []


def test_no_two_modules_have_the_same_name():
    modules = [path for path in PACKAGE.rglob('*.py')
               if path.name != '__init__.py' and path.parent.name not in ('commands', 'api')]
    names = [path.name for path in modules]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_the_ground_needs_no_torch():
    code = ('import sys, time; start = time.process_time()\n'
            'import deconas_plugin.space.genotype, deconas_plugin.space.spaces\n'
            'assert not {"torch", "basicsr", "numpy"} & set(sys.modules), "imported"\n'
            'assert time.process_time() - start < 0.5')
    subprocess.run([sys.executable, '-c', code], check=True)
