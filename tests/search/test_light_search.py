"""A search in the light space, from the options to the tested network."""
import json

import pytest
import torch
import yaml
from helpers import changed, psnrs, run
from run_fixture import continued_search, search_options
from small_run import small_search, write_options

from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import GenotypeError, OptionError
from deconas_plugin.options.check import check_options
from deconas_plugin.options.read import load_options
from deconas_plugin.runs.derivation import SearchExperiment
from deconas_plugin.space.genotype import Genotype
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report import write_report

SMALL_LIGHT = {'num_feat': [4, 8], 'num_block': [1, 2], 'num_layer': [1, 2]}


@pytest.fixture
def opt(project):
    opt = small_search(project)
    opt['network_g'] = {'type': 'DeCoNASSuperNet', 'space': 'light', **SMALL_LIGHT, 'upscale': 2}
    return opt


def test_from_the_search_to_the_tested_network(project, opt, capsys):
    assert run('search', '-opt', write_options(project, opt)) == 0
    folder = project / 'experiments' / 'small_search'
    derived = folder / 'derived'
    found = yaml.safe_load((derived / 'genotype.yml').read_text())
    genotype = Genotype.load(derived / 'genotype.yml')
    text = found['genotype']['bits']
    assert text == str(genotype) and text.startswith(f'v2 {genotype.width}ch {genotype.num_block}b ')
    assert f'v2 {genotype.width}ch' in capsys.readouterr().out
    supernet = SearchExperiment(folder).supernet
    assert genotype.space == supernet.space == Experiment(folder).space
    scored = [json.loads(line)['genotype'] for line in (folder / 'search_history.jsonl').read_text().splitlines()]
    assert len({str(Genotype.from_text(supernet.space, line)) for line in scored}) == len(set(scored)) > 1

    train_file, test_file = next(derived.glob('train_*.yml')), next(derived.glob('test_*.yml'))
    network = load_options(train_file)['network_g']
    assert network['genotype'] == str(genotype.connections)
    assert (network['num_feat'], network['num_block'], network['num_layer']) == (
        genotype.width, genotype.num_block, genotype.num_layer)
    assert (network['tail'], network['residual']) == ('light', 'bicubic')
    # The inherited weights tell the network, and compute what the supernet computes.
    net = load_network(derived / 'net_g_inherited.pth')
    assert net.num_params == found['result']['params']
    with torch.no_grad():
        images = torch.rand(1, 3, 8, 8)
        assert (net(images) - supernet(images, genotype)).abs().max() <= 1e-5

    assert run('train', '-opt', train_file) == 0
    assert run('test', '-opt', test_file) == 0
    trained = project / 'experiments' / 'small_search_derived'
    assert psnrs(project / 'results' / 'small_search_derived') == psnrs(trained)[-1:]
    page = write_report(folder).read_text()
    assert text in page and 'Not shown: ' not in page.split('id="samples"')[0]


@pytest.mark.slow
def test_a_stopped_search_continues_exactly(tmp_path):
    changes = {'network_g.space': 'light', **{f'network_g.{key}': value for key, value in SMALL_LIGHT.items()},
               'search.strategy': {'type': 'evolution', 'population': 4, 'tournament': 2},
               'search.weight_sampling': 'fair'}
    options = search_options(tmp_path, **changes)
    assert continued_search(tmp_path, options)['genotype']['num_block'] == [1, 2]


@pytest.mark.parametrize('key, value, message', [
    ('network_g.space', 'heavy', "network_g: space: expected one of paper, light, got 'heavy'"),
    ('network_g.num_block', [1, 2, 3], 'network_g: num_block: expected 2, 4 or 8 different whole numbers'),
    ('network_g.num_layer', '2', 'network_g.num_layer: expected a number, got .2'),
    ('network_g.attention', ['channel', 'all'], "network_g: attention: expected one of none, channel, .*got 'all'"),
    ('network_g.activation', ['relu', 'relu'], 'network_g: activation: expected one, or 2, 4 or 8 different ones'),
    ('network_g.tail', 'heavy', "network_g: tail: expected one of classic, light, got 'heavy'"),
    ('derive.max_params', 100, 'derive.max_params: expected at least [0-9,]+, which the smallest network'),
    ('derive.max_mult_adds', 1e6, 'derive.max_mult_adds: expected at least [0-9,]+, which the smallest network'),
    ('search.penalty', [{'type': 'mult_adds', 'weight': 1.0, 'target': 1e6}],
     r'the target 1e\+06 is below [0-9.e+]+, which the smallest network of the space costs with num_feat 4'),
])
def test_what_cannot_be_is_refused_before_the_search(opt, key, value, message):
    with pytest.raises(OptionError, match=message) as caught:
        check_options(changed(opt, key, value), 'small.yml', 'search')
    assert '\n' not in str(caught.value) and str(caught.value).endswith('(small.yml)')


@pytest.mark.parametrize('genotype, message', [
    ('v2 1l spatial 1111', 'genotype: it was found for 1 layers in a block, but num_layer is 2; set num_layer to 1'),
    ('v3 spatial 1111 11111111', 'written in version 3'),
    ('v2 spatial 1111', 'expected 12 bits for num_layer=2'),
    ('spatial 1111 11111111', 'expected v2 at its beginning'),
])
def test_a_genotype_of_another_space_is_refused_before_the_training(project, opt, genotype, message):
    network = {'type': 'DeCoNASNet', 'genotype': genotype, 'num_feat': 8, 'num_block': 2, 'num_layer': 2, 'upscale': 2,
               'operations': ['rep_conv3x3', 'bs_conv3x3', 'bs_conv7x7', 'gate_conv3x3']}
    training = {key: opt[key] for key in ('name', 'scale', 'num_gpu', 'manual_seed', 'datasets', 'path', 'train',
                                          'val', 'logger')}
    with pytest.raises(OptionError, match=message) as caught:
        check_options({**training, 'model_type': 'DeCoNASModel', 'network_g': network}, 'x.yml', 'train')
    assert '\n' not in str(caught.value) and 'network_g.genotype' in str(caught.value)


def test_a_genotype_of_another_space_is_named(opt):
    with torch.device('meta'):
        from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
        space = DeCoNASSuperNet(space='light', **SMALL_LIGHT).space
    with pytest.raises(GenotypeError, match='expected one of 1b, 2b before its bits, got 3b'):
        Genotype.from_text(space, 'v2 8ch 3b 2l none relu 1111 11111111')
