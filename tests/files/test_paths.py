"""One rule for data and output, from whatever folder a tool is started."""
from pathlib import Path

import pytest
import yaml

from deconas_plugin.benchmark.run import default_out
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.files import paths
from deconas_plugin.files.pieces import Results
from deconas_plugin.options.read import load_options
from deconas_plugin.training.checkpoints import check_changes


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A checkout with data and plugins, and another folder to start from, which has data of one name too."""
    for place in ('checkout/tools/search.py', 'checkout/datasets/HR/a.png', 'checkout/own.py', 'checkout/x/latency.yml',
                  'checkout/x/genotype.yml', 'checkout/x/net.pth', 'elsewhere/mine/a.png'):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).touch()
    monkeypatch.setattr(paths, 'CHECKOUT', tmp_path / 'checkout')
    monkeypatch.chdir(tmp_path / 'elsewhere')
    return tmp_path / 'checkout'


OPTIONS = {
    'plugins': ['own.py', 'a.module'], 'sample_photos': 'datasets/photos',
    'datasets': {'train': {'dataroot_gt': 'datasets/HR', 'dataroot_lq': 'datasets/photos/LR.lmdb', 'name': 'datasets'},
                 'val': {'dataroot_gt': 'mine', 'dataroot_lq': 'missing', 'meta_info_file': None}},
    'search': {'latency_table': 'x/latency.yml', 'penalty': [{'type': 'params'}]},
    'members': [{'network_g': {'genotype': 'x/genotype.yml'}, 'weights': 'x/net.pth'},
                {'network_g': {'genotype': '0101 ' * 100}, 'weights': None}], 'test_data': 'datasets',
    'path': {'pretrain_network_g': '/somewhere/net.pth'}}


def located(checkout):
    file = checkout / 'options.yml'
    file.write_text(yaml.safe_dump(OPTIONS))
    return load_options(file)


def test_paths_of_options_are_found_in_the_checkout_from_another_folder(checkout):
    opt = located(checkout)
    train, val = opt['datasets']['train'], opt['datasets']['val']
    assert train['dataroot_gt'] == str(checkout / 'datasets/HR')
    assert train['dataroot_lq'] == str(checkout / 'datasets/photos/LR.lmdb')  # photographs are still to be made there
    assert opt['sample_photos'] == str(checkout / 'datasets/photos')
    assert opt['plugins'] == [str(checkout / 'own.py'), 'a.module']
    assert opt['search']['latency_table'] == str(checkout / 'x/latency.yml')
    assert val == {'dataroot_gt': 'mine', 'dataroot_lq': 'missing', 'meta_info_file': None}
    assert opt['members'][0] == {'network_g': {'genotype': str(checkout / 'x/genotype.yml')},
                                 'weights': str(checkout / 'x/net.pth')}
    assert opt['members'][1] == OPTIONS['members'][1] and opt['test_data'] == str(checkout / 'datasets')
    assert train['name'] == 'datasets' and opt['path'] == OPTIONS['path']


def test_nothing_changes_in_the_checkout(checkout, monkeypatch):
    monkeypatch.chdir(checkout)
    assert located(checkout) == OPTIONS
    assert paths.default_folder('datasets') == Path('datasets')


def test_defaults_lie_in_the_checkout(checkout):
    assert paths.default_folder('datasets') == checkout / 'datasets'
    assert default_out(2, ['Set5']) == f'{checkout}/results/benchmark_x2_Set5'


def test_a_run_that_is_continued_from_another_folder_has_the_same_options(checkout):
    reward = {'search': {'reward': {'dataset': {'dataroot_gt': 'datasets/HR'}}}}
    elsewhere = {'search': {'reward': {'dataset': {'dataroot_gt': str(checkout / 'datasets/HR')}}}}
    assert check_changes(reward, elsewhere) == check_changes(elsewhere, reward) == []
    with pytest.raises(OptionError, match='dataroot_gt: this run began with'):
        check_changes(reward, {'search': {'reward': {'dataset': {'dataroot_gt': '/other/datasets/HR'}}}})


def test_a_study_that_is_continued_from_another_folder_has_the_same_settings(checkout, tmp_path):
    def results(folder, plugin):
        return Results(tmp_path / 'study', {'train': {'dataroot_gt': folder}, 'plugins': [plugin]})

    results('datasets/HR', 'own.py')
    results(str(checkout / 'datasets/HR'), str(checkout / 'own.py'))
    with pytest.raises(DeCoNASError, match="it holds results with train.dataroot_gt 'datasets/HR', not '/other/HR'"):
        results('/other/HR', 'own.py')


def test_options_that_contain_themselves_are_left_to_the_check(checkout):
    (checkout / 'options.yml').write_text('a: &a\n  b: *a\n')
    assert list(load_options(checkout / 'options.yml')) == ['a']
