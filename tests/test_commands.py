"""Hints name the command that the user has: a checkout's script, or what the installed package brings."""
import sys

import pytest
from deconas_tools.train import build_parser

from deconas_plugin.errors import OptionError
from deconas_plugin.search.latency_table import LatencyTable
from deconas_plugin.utils import paths
from deconas_plugin.utils.paths import tool_command, typed


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    (tmp_path / 'project' / 'tools').mkdir(parents=True)
    (tmp_path / 'project' / 'tools' / 'search.py').touch()
    monkeypatch.setattr(paths, 'CHECKOUT', tmp_path / 'project')
    monkeypatch.setattr(sys, 'argv', ['tools/search.py'])
    monkeypatch.chdir(tmp_path / 'project')
    return tmp_path


def test_in_a_checkout_it_is_the_script(checkout, monkeypatch):
    assert tool_command('train') == 'python tools/train.py'
    monkeypatch.chdir(checkout)
    assert tool_command('train') == 'python project/tools/train.py'
    (checkout / 'other').mkdir()
    monkeypatch.chdir(checkout / 'other')
    assert tool_command('train') == f'python {checkout}/project/tools/train.py'


def test_who_has_typed_an_installed_command_is_told_another(checkout, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['/usr/bin/deconas-search'])
    assert tool_command('train') == 'deconas-train'


@pytest.mark.parametrize('started', ['deconas-search', 'site-packages/deconas_tools/search.py', '-c', ''])
def test_without_a_checkout_it_is_the_installed_command(tmp_path, monkeypatch, started):
    monkeypatch.setattr(paths, 'CHECKOUT', tmp_path / 'site-packages')
    monkeypatch.setattr(sys, 'argv', [started])
    assert tool_command('train') == 'deconas-train'


@pytest.mark.parametrize(('started', 'command'), [('/usr/bin/deconas-train', 'deconas-train'),
                                                  ('tools/train.py', 'python tools/train.py')])
def test_help_shows_the_command_that_was_typed(checkout, monkeypatch, started, command):
    monkeypatch.setattr(sys, 'argv', [started])
    text = ' '.join(build_parser().format_help().split())
    assert f'{command} -opt options/train_DeCoNASNet_x2.yml' in text
    assert ('tools/' in text) == ('tools/' in command)


@pytest.mark.parametrize(('started', 'command'), [('deconas-derive', 'deconas-latency'),
                                                  ('tools/derive.py', 'python tools/latency.py')])
def test_a_missing_latency_table_is_made_with_it(checkout, monkeypatch, started, command):
    monkeypatch.setattr(sys, 'argv', [started])
    (checkout / 'table.yml').write_text('1')
    with pytest.raises(OptionError, match=f'is no latency table .*; make one with {command}$'):
        LatencyTable.load(checkout / 'table.yml')


def test_paths_are_quoted_for_the_shell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert typed(tmp_path / 'my photos' / 'a.yml') == "'my photos/a.yml'"
