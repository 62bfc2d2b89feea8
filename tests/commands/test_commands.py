"""The command line: every command explains itself at once, flags mean one thing, and hints name what the user typed."""
import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deconas_plugin import commands
from deconas_plugin.commands import NAMES, argument_parser, main
from deconas_plugin.cost.latency import LatencyTable
from deconas_plugin.errors import OptionError
from deconas_plugin.files import paths
from deconas_plugin.files.paths import tool_command, typed
from deconas_plugin.files.zoo import load_zoo

ROOT = Path(__file__).resolve().parents[2]
# Flags that BasicSR's own tools have are as they are there.
WITH_UNDERSCORES = {'--auto_resume', '--force_yml', '--local_rank', '--num_block', '--num_layer'}


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / 'project' / 'tools').mkdir(parents=True)
    for name in ('search', 'train', 'latency', 'prepare_data', 'benchmark_speed'):
        (tmp_path / 'project' / 'tools' / f'{name}.py').touch()
    monkeypatch.setattr(paths, 'CHECKOUT', tmp_path / 'project')
    monkeypatch.setattr(sys, 'argv', ['tools/search.py'])
    monkeypatch.chdir(tmp_path / 'project')
    return tmp_path


def actions(parser):
    """Every argument of a parser, those of its own commands included."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from actions(below)


def test_in_a_checkout_it_is_the_script(checkout, monkeypatch):
    assert tool_command('train') == 'python tools/train.py'
    assert tool_command('prepare-data') == 'python tools/prepare_data.py'
    assert tool_command('speed') == 'python tools/benchmark_speed.py'
    assert tool_command('options') == 'deconas options'  # which has no script
    monkeypatch.chdir(checkout)
    assert tool_command('train') == 'python project/tools/train.py'
    (checkout / 'other').mkdir()
    monkeypatch.chdir(checkout / 'other')
    assert tool_command('train') == f'python {checkout}/project/tools/train.py'


def test_who_has_typed_the_command_is_told_another(checkout, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/usr/bin/deconas', 'search'])
    assert tool_command('train') == 'deconas train'


@pytest.mark.parametrize('started', ['deconas', 'site-packages/other/search.py', '-c', ''])
def test_without_a_checkout_it_is_the_command(tmp_path, monkeypatch, started):
    monkeypatch.setattr(paths, 'CHECKOUT', tmp_path / 'site-packages')
    monkeypatch.setattr(sys, 'argv', [started])
    assert tool_command('train') == 'deconas train'


@pytest.mark.parametrize(('started', 'command'), [('/usr/bin/deconas', 'deconas train'),
                                                  ('tools/train.py', 'python tools/train.py')])
def test_help_shows_the_command_that_was_typed(checkout, monkeypatch, started, command):
    monkeypatch.setattr(sys, 'argv', [started])
    text = ' '.join(argument_parser('train').format_help().split())
    assert f'{command} -opt train_DeCoNASNet_x2' in text
    assert ('tools/' in text) == ('tools/' in command)


@pytest.mark.parametrize(('started', 'command'), [('deconas', 'deconas latency'),
                                                  ('tools/derive.py', 'python tools/latency.py')])
def test_a_missing_latency_table_is_made_with_it(checkout, monkeypatch, started, command):
    monkeypatch.setattr(sys, 'argv', [started])
    (checkout / 'table.yml').write_text('1')
    with pytest.raises(OptionError, match=f'is no latency table .*; make one with {command}$'):
        LatencyTable.load(checkout / 'table.yml')


def test_paths_are_quoted_for_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed(tmp_path / 'my photos' / 'a.yml') == "'my photos/a.yml'"


@pytest.mark.parametrize('name', NAMES)
def test_every_command_explains_itself_with_examples_that_parse(name, capsys):
    with pytest.raises(SystemExit) as end:
        main([name, '--help'])
    said = capsys.readouterr().out
    assert end.value.code == 0 and said.startswith(f'usage: deconas {name} ')
    assert f'    {tool_command(name)} ' in said.partition('examples:')[2]
    wordless = [action.dest for action in actions(argument_parser(name)) if not action.help and not action.choices]
    assert wordless == []


def test_a_script_is_a_command():
    scripts = {paths.SCRIPTS.get(name, name.replace('-', '_')) for name in NAMES} - {'options', 'zoo', 'completion'}
    assert {path.stem for path in (ROOT / 'tools').glob('*.py')} - {'__init__'} == scripts


def test_a_flag_means_the_same_in_every_command():
    found = {}
    for name in NAMES:
        for action in actions(argument_parser(name)):
            for flag in action.option_strings:
                found.setdefault(flag, {})[name] = tuple(action.option_strings), action.metavar, action.dest
    assert {flag: uses for flag, uses in found.items() if len(set(uses.values())) > 1} == {}
    assert {flag for flag in found if '_' in flag} == WITH_UNDERSCORES
    assert len(found['--device']) > 5


def test_without_a_command_the_help_lists_all(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    said = capsys.readouterr().out
    assert end.value.code == 0
    assert [line.split()[0] for line in said.splitlines() if line.startswith('  ') and line.split()[0] in NAMES
            and not line.startswith('    ')] == list(NAMES)
    assert max(map(len, said.splitlines())) <= 120


def test_an_unknown_command_is_an_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(['serch'])
    assert end.value.code == 2 and "invalid choice: 'serch'" in capsys.readouterr().err


@pytest.mark.skipif(not sys.platform.startswith('linux'), reason='measured on Linux')
def test_help_is_quick_without_torch():
    # The help of all commands builds every parser. What counts is processor time, whatever else the machine does.
    code = 'import sys; sys.modules["torch"] = None; from deconas_plugin.commands import main; main(["--help"])'
    process = subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.DEVNULL,
                               env={**os.environ, 'PYTHONPATH': str(ROOT)})
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0 and usage.ru_utime + usage.ru_stime < 0.5


def test_the_shell_completes_commands_option_files_and_networks(tmp_path):
    (tmp_path / 'search_x2_mine.yml').touch()

    def completed(line):
        read = "import os, sys; os.dup2(os.open('said', os.O_CREAT | os.O_RDWR), 8); sys.argv[0] = 'deconas'; "
        subprocess.run([sys.executable, '-c', read + 'from deconas_plugin.commands import main; main()'], cwd=tmp_path,
                       env={**os.environ, 'PYTHONPATH': str(ROOT), '_ARGCOMPLETE': '1', '_ARGCOMPLETE_IFS': '\n',
                            'COMP_LINE': line, 'COMP_POINT': str(len(line)), '_ARGCOMPLETE_STDOUT_FILENAME': 'said',
                            '_ARC_DEBUG': ''}, check=True, timeout=60)
        said = (tmp_path / 'said').read_text().split('\n')
        (tmp_path / 'said').unlink()
        return {word.strip() for word in said}

    assert completed('deconas up') == {'upscale'}
    assert {'search_x2', 'search_x2_quick', 'search_x2_mine.yml'} <= completed('deconas search -opt search_x2')
    assert completed('deconas upscale a.png --weights DeCoNASNet_x4') == {
        name for name in load_zoo().entries if name.startswith('DeCoNASNet_x4')}


@pytest.mark.parametrize('shell', ['bash', 'zsh', 'fish'])
def test_completion_is_printed_for_a_shell(shell, capsys):
    assert main(['completion', shell]) == 0
    assert 'deconas' in capsys.readouterr().out


def test_option_files_are_listed_with_what_they_are_for(capsys):
    assert main(['options', 'list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == sorted(path.stem for path in (ROOT / 'options').glob('*.yml'))
    assert all(len(line.split()) > 3 for line in lines) and max(map(len, lines)) <= 120


def test_an_option_file_is_copied_with_its_schema_and_the_next_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['options', 'copy', 'search_x2_quick', 'mine']) == 0
    copy, following = capsys.readouterr().out.splitlines()
    assert copy == 'mine/search_x2_quick.yml' and following.endswith(' -opt mine/search_x2_quick.yml')
    text, original = (tmp_path / copy).read_text(), (ROOT / 'options/search_x2_quick.yml').read_text()
    assert yaml.safe_load(text) == yaml.safe_load(original)
    assert f'$schema=file://{ROOT}/options/options.schema.json' in text
    assert f'{tool_command("search")} -opt mine/search_x2_quick.yml' in text
    assert main(['options', 'copy', 'search_x2_quick', 'mine']) == 2
    assert 'mine/search_x2_quick.yml: is there already' in capsys.readouterr().err
    assert main(['options', 'copy', 'search_x2_quik']) == 2
    assert 'did you mean search_x2_quick' in capsys.readouterr().err


def test_a_key_is_explained_wherever_it_may_stand(capsys):
    assert main(['options', 'explain', 'warmup_iter']) == 0
    said = capsys.readouterr().out
    assert 'search: warmup_iter\n' in said and 'train and derive.train: warmup_iter\n' in said
    assert main(['options', 'explain', 'search.warmup_iter']) == 0
    said = capsys.readouterr().out
    assert said.count(': warmup_iter\n') == 1 and 'weight steps before the first controller round' in said.lower()
    assert main(['options', 'explain', 'warmup_itr']) == 2
    assert 'did you mean warmup_iter' in capsys.readouterr().err


def test_the_zoo_is_listed_and_explained(capsys):
    assert main(['zoo', 'list']) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert sorted(line.split()[0] for line in lines) == sorted(load_zoo().entries)
    assert [line.split()[0] for line in lines if ' x2 ' in line][0] == load_zoo().best(2)
    assert main(['zoo', 'show', 'DeCoNASNet_x2_24G']) == 0
    said = capsys.readouterr().out
    assert '100 010010 010010010' in said and '105747' in said
    assert main(['zoo', 'show', 'DeCoNASNet_x2_24']) == 2
    assert 'did you mean DeCoNASNet_x2_24G' in capsys.readouterr().err


def test_the_zoo_is_verified(tmp_path, monkeypatch, capsys):
    from deconas_plugin.files import zoo as catalogue
    assert main(['zoo', 'verify', 'DeCoNASNet_x2_24G']) == 0
    assert capsys.readouterr().out == 'ok  DeCoNASNet_x2_24G\n'
    for path in catalogue.FOLDER.glob('*'):
        if path.name == 'DeCoNASNet_x2_24G.pth':
            (tmp_path / path.name).write_bytes(path.read_bytes()[:-1])
        elif path.is_file():
            (tmp_path / path.name).symlink_to(path)
    monkeypatch.setattr(catalogue, 'FOLDER', tmp_path)
    assert main(['zoo', 'verify', 'DeCoNASNet_x2_23G', 'DeCoNASNet_x2_24G']) == 1
    said = capsys.readouterr()
    assert said.out == 'ok  DeCoNASNet_x2_23G\n' and 'the file is damaged or was replaced' in said.err


def test_what_a_command_cannot_use_is_its_parsers_error(capsys):
    with pytest.raises(SystemExit) as end:
        main(['convert', 'a.pth', '--precision', 'fp16'])
    assert end.value.code == 2 and 'deconas convert: error: expected WEIGHTS and TARGET' in capsys.readouterr().err
    assert commands.script('zoo')(['list']) == 0
