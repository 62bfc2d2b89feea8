"""The model zoo: weights by name, checked; README's table and a page are made from the list."""
import copy
from pathlib import Path

import pytest
import torch
from basicsr.archs import build_network
from zoo_fixture import OPTIONS, entry_of, make_net, make_zoo, write_zoo

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.load import load_network
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.files.zoo import Zoo, load_zoo
from deconas_plugin.options import check as checker
from deconas_plugin.options.read import load_options
from deconas_plugin.zoo.pages import BEGIN, END, zoo_page, zoo_table

ROOT = Path(__file__).resolve().parents[2]


def same_output(one, other):
    x = torch.rand(1, 3, 8, 9)
    return torch.equal(one(x), other(x))


def test_network_comes_from_its_name_alone(tmp_path, monkeypatch):
    net = make_zoo(tmp_path, monkeypatch)
    built = build_network({'type': 'DeCoNASNet', 'pretrained': 'Small_x3'})
    assert (built.upscale, built.num_feat, str(built.genotype)) == (3, 8, '110 110101')
    assert same_output(built, net)
    assert same_output(load_network('Small_x3'), net)
    assert all(parameter.requires_grad for parameter in built.parameters())
    assert same_output(copy.deepcopy(built), net)


def test_arguments_that_agree_are_welcome(tmp_path, monkeypatch):
    net = make_zoo(tmp_path, monkeypatch)
    assert same_output(DeCoNASNet(pretrained='Small_x3', **OPTIONS), net)
    assert same_output(DeCoNASNet(pretrained='Small_x3', operations=['conv3x3', 'sep_conv3x3', 'dil_conv3x3']), net)


@pytest.mark.parametrize(('given', 'message'), [
    (dict(init='he'), "network_g.init: expected none beside pretrained, got 'he'; leave it out"),
    (dict(num_feat=16), 'network_g.num_feat: expected 8, as of the pretrained weights Small_x3, got 16'),
    (dict(upscale=4), 'network_g.upscale: expected 3'),
    (dict(genotype='110 110100'), 'network_g.genotype: expected 110 110101'),
    (dict(genotype='110'), 'network_g.genotype: expected 110 110101'),
    (dict(operations=['conv3x3']), 'network_g.operations: expected'),
    (dict(rgb_mean=(0.5, 0.5, 0.5)), 'network_g.rgb_mean: expected'),
])
def test_arguments_that_disagree(tmp_path, monkeypatch, given, message):
    make_zoo(tmp_path, monkeypatch)
    with pytest.raises(WeightsError, match=message):
        DeCoNASNet(pretrained='Small_x3', **given)


def test_damaged_missing_and_unknown_weights(tmp_path, monkeypatch):
    make_zoo(tmp_path, monkeypatch)
    with pytest.raises(WeightsError, match='Smal_x3: the model zoo has no such network .*did you mean Small_x3?'):
        DeCoNASNet(pretrained='Smal_x3')
    path = tmp_path / 'Small_x3.pth'
    torch.save({'params': make_net(upscale=2).state_dict()}, path)
    with pytest.raises(WeightsError, match='Small_x3.pth: expected the SHA-256 .* was replaced'):
        DeCoNASNet(pretrained='Small_x3')
    path.unlink()
    with pytest.raises(WeightsError, match='the weights of Small_x3 are missing'):
        load_network('Small_x3')


@pytest.mark.parametrize(('change', 'message'), [
    (dict(iterations='many'), "Small_x3: iterations: expected int, got 'many'"),
    (dict(colour='red'), 'not a list of weights: .*colour'),
])
def test_broken_lists(tmp_path, monkeypatch, change, message):
    make_zoo(tmp_path, monkeypatch, **change)
    with pytest.raises(WeightsError, match=message):
        load_zoo()


def test_lists_without_a_field_or_with_a_name_twice(tmp_path, monkeypatch):
    make_zoo(tmp_path, monkeypatch)
    entry = entry_of(tmp_path / 'Small_x3.pth')
    write_zoo(tmp_path, [entry, entry], monkeypatch)
    with pytest.raises(WeightsError, match='two networks have the same name'):
        load_zoo()
    write_zoo(tmp_path, [{key: value for key, value in entry.items() if key != 'note'}], monkeypatch)
    with pytest.raises(WeightsError, match='not a list of weights: .*note'):
        load_zoo()


def test_option_files_are_checked_with_what_the_weights_say(tmp_path, monkeypatch):
    make_zoo(tmp_path, monkeypatch)
    monkeypatch.setattr(checker, 'check_data', lambda opt, task: None)
    monkeypatch.setattr(checker, 'check_weights', lambda opt, networks: None)
    opt = load_options(ROOT / 'options' / 'test_DeCoNASNet_x3.yml')
    opt['network_g'] = {'type': 'DeCoNASNet', 'pretrained': 'Small_x3'}
    checker.check_options(opt, 'test.yml', 'test')
    for change, message in ((dict(pretrained='Other'), 'Other: the model zoo has no such network'),
                            (dict(pretrained='Small_x3', upscale=2), 'network_g.upscale: expected 3, as of the'),
                            (dict(pretrained='Small_x3', init='torch'), 'network_g.init: expected none beside'),
                            (dict(pretrained='Small_x3', genotype='DeCoNASNet_x2'), 'network_g.genotype: expected')):
        opt['network_g'] = {'type': 'DeCoNASNet', **change}
        with pytest.raises(WeightsError, match=f'{message}.*test.yml'):
            checker.check_options(opt, 'test.yml', 'test')
    opt['network_g'], opt['scale'] = {'type': 'DeCoNASNet', 'pretrained': 'Small_x3'}, 2
    with pytest.raises(OptionError, match='network_g.upscale: expected the scale 2, got 3'):
        checker.check_options(opt, 'test.yml', 'test')


def test_table(tmp_path, monkeypatch):
    make_zoo(tmp_path, monkeypatch)
    table = zoo_table(load_zoo())
    assert table.endswith('\n| Small_x3 | 13,003 | 1.5 G | Set5 30.50 / 0.9100 (+0.25 dB), '
                          'Set14 29.25 / 0.9000 (+2.25 dB) |')
    assert zoo_table(Zoo(tmp_path, load_zoo().entries, {})).count('dB') == 0
    assert zoo_table(Zoo(tmp_path, {}, {})) == 'The model zoo is empty so far.'
    page = zoo_page(load_zoo())
    assert ('on DIV2K, 1,000 iterations: `python tools/train.py -opt small.yml`. Trained for a test.\n\n'
            'Licence: Apache-2.0. SHA-256: `') in page


# The real zoo.


def test_pages_are_up_to_date():
    readme = (ROOT / 'README.md').read_text()
    shown = readme.split(BEGIN)[1].split(END)[0]
    assert (shown, (ROOT / 'docs/zoo.md').read_text()) == (zoo_table(load_zoo()), zoo_page(load_zoo())), (
        'run: python -m deconas_plugin.zoo.pages')


def assert_entries_are_true(zoo):
    for name, entry in zoo.entries.items():
        path = zoo.weights(name)
        net = load_network(name)
        cost = ComplexityCounter.of(net).count(net.genotype)
        assert path.stat().st_size <= 7 * 2**20
        assert (entry.scale, entry.genotype, entry.num_feat) == (net.upscale, str(net.genotype), net.num_feat)
        assert (entry.params, entry.mult_adds) == (cost.params, cost.mult_adds)
        assert entry.metrics.keys() and entry.metrics.keys() <= zoo.bicubic[entry.scale].keys()


def test_every_entry_says_what_its_weights_are():
    assert_entries_are_true(load_zoo())


def test_a_true_entry_passes(tmp_path, monkeypatch):
    make_zoo(tmp_path, monkeypatch)
    assert_entries_are_true(load_zoo())


@pytest.mark.parametrize('change', [
    dict(params=1), dict(mult_adds=1), dict(scale=2), dict(num_feat=4), dict(genotype='110 110100'), dict(metrics={})])
def test_a_wrong_entry_is_found(tmp_path, monkeypatch, change):
    make_zoo(tmp_path, monkeypatch, **change)
    with pytest.raises((AssertionError, KeyError)):
        assert_entries_are_true(load_zoo())
