"""A search with searched widths, from the options to the tested network."""
import json

import pytest
import torch
import yaml
from experiment_fixture import write_search
from helpers import changed, psnrs, run
from run_fixture import continued_search, search_options
from small_run import small_search, write_options

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.errors import OptionError
from deconas_plugin.options.check import check_options
from deconas_plugin.options.read import load_options
from deconas_plugin.runs.derivation import SearchExperiment
from deconas_plugin.search.derive import _scores
from deconas_plugin.space.genotype import Genotype, SearchSpace
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report import write_report

WIDTHS = [4, 8]
CHANGES = {
    'reinforce': {},
    'random': {'strategy': {'type': 'random'}, 'weight_sampling': 'uniform'},
    'evolution': {'strategy': {'type': 'evolution', 'population': 4, 'tournament': 2}},
    'fair': {'weight_sampling': 'fair', 'genotypes_per_step': 2},
}


@pytest.fixture
def opt(project):
    opt = small_search(project)
    opt['network_g']['num_feat'] = WIDTHS
    return opt


def test_candidates_of_all_widths_are_scored_by_several_threads_at_once(project, opt):
    """A supernet is another module while it computes a narrow network."""
    opt['network_g']['num_feat'] = [16, 32]
    assert run('search', '-opt', write_options(project, opt)) == 0
    experiment = SearchExperiment(project / 'experiments' / 'small_search')
    space, batches = experiment.supernet.space, list(experiment.reward_set.batches(2)) * 4
    candidates = [space.genotype([width, *(1, 0, 0, 0, 1, 0, 0, 1, 0)]) for width in (0, 1)] * 20
    one, other = (score.psnr for score in experiment.reward.score(candidates[:2], batches))
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    try:
        found = _scores(experiment.reward, candidates, batches)
    finally:
        torch.set_num_threads(before)
    assert [score.psnr for score in found] == pytest.approx([one, other] * 20, abs=1e-5)


@pytest.mark.parametrize('name', CHANGES)
def test_from_the_search_to_the_tested_network(project, opt, name, capsys):
    opt['search'].update(CHANGES[name])
    assert run('search', '-opt', write_options(project, opt)) == 0
    folder = project / 'experiments' / 'small_search'
    derived = folder / 'derived'
    found = yaml.safe_load((derived / 'genotype.yml').read_text())
    width, text = found['connections']['num_feat'], found['genotype']['bits']
    assert found['genotype']['num_feat'] == WIDTHS and text.startswith(f'{width}ch ')
    assert text in capsys.readouterr().out
    lines = [json.loads(line) for line in (folder / 'search_history.jsonl').read_text().splitlines()]
    assert {line['genotype'].split('ch ')[0] for line in lines} == {'4', '8'}

    train_file, test_file = next(derived.glob('train_*.yml')), next(derived.glob('test_*.yml'))
    for path in (train_file, test_file):
        network = load_options(path)['network_g']
        assert network['num_feat'] == width and f'{width}ch {network["genotype"]}' == text
    net = DeCoNASNet(str(derived / 'genotype.yml'), num_feat=width, num_block=2, num_layer=2)
    assert sum(parameter.numel() for parameter in net.parameters()) == found['result']['params']
    # The inherited weights compute what the supernet computes.
    net.load_state_dict(torch.load(derived / 'net_g_inherited.pth', weights_only=True)['params'])
    genotype, images = Genotype.load(derived / 'genotype.yml'), torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert (net(images) - SearchExperiment(folder).supernet(images, genotype)).abs().max() <= 1e-5
    for path in (derived / 'front').glob('*.yml'):
        point = yaml.safe_load(path.read_text())
        net = DeCoNASNet(str(path), num_feat=point['connections']['num_feat'], num_block=2, num_layer=2)
        assert sum(parameter.numel() for parameter in net.parameters()) == point['result']['params']

    if name == 'reinforce':
        assert run('train', '-opt', train_file) == 0
        assert run('test', '-opt', test_file) == 0
        trained = project / 'experiments' / 'small_search_derived'
        assert psnrs(project / 'results' / 'small_search_derived') == psnrs(trained)[-1:]
        # A point of the front in the place of the best, but not its width.
        wrong = changed(load_options(train_file), 'network_g', {
            **load_options(train_file)['network_g'], 'genotype': text, 'num_feat': 12})
        with pytest.raises(OptionError, match=f'network_g.genotype: .*{width} channels, but num_feat is 12; .*x.yml'):
            check_options(wrong, 'x.yml', 'train')


def test_the_tools_around_a_search(project, opt, capsys):
    table = project / 'latency.yml'
    options = write_options(project, opt)
    assert run('latency', '-opt', options, '--output', table, '--lr-size', 16, 12, '--runs', 2, '--networks', 1) == 0
    opt['search'].update(latency_table=str(table), penalty=[{'type': 'latency', 'weight': 1.0}])
    assert run('search', '-opt', write_options(project, opt)) == 0
    folder = project / 'experiments' / 'small_search'
    page = write_report(folder).read_text()
    found = yaml.safe_load((folder / 'derived' / 'genotype.yml').read_text())
    assert found['genotype']['bits'] in page and f'(b) Network, {found["connections"]["num_feat"]} channels' in page
    assert 'latency' in found['result'] and 'of 2¹⁰' in page
    counter = SearchExperiment(folder).counter
    smallest_wide = Genotype(counter.space, counter.space.width_bits(8) + counter.nothing.connections.bits)
    limit = counter.count(smallest_wide).params - 1
    assert run('derive', folder, '--max-params', limit, '--name', 'light') == 0
    light = yaml.safe_load((folder / 'light' / 'genotype.yml').read_text())
    assert light['connections']['num_feat'] == 4
    assert run('rank', folder, '--num', 4, '--steps', 2) == 0
    assert run('draw', folder / 'light' / 'genotype.yml', '-o', project / 'genotype.svg') == 0
    assert '4 channels' in (project / 'genotype.svg').read_text()


def test_a_stopped_search_continues_exactly(tmp_path):
    options = search_options(tmp_path, **{'network_g.num_feat': WIDTHS, 'search.weight_sampling': 'fair'})
    assert continued_search(tmp_path, options)['genotype']['num_feat'] == WIDTHS


@pytest.mark.parametrize('num_feat', [[16, 24, 32], [32, 16], [16], [16, '32'], [16, 16.5], []])
def test_wrong_choices_are_named(opt, num_feat):
    with pytest.raises(OptionError, match=r'network_g: num_feat: expected 2, 4 or 8 different whole numbers') as caught:
        check_options(changed(opt, 'network_g.num_feat', num_feat), 'small.yml', 'search')
    assert '\n' not in str(caught.value) and str(caught.value).endswith('(small.yml)')
    with pytest.raises(OptionError, match='network_g.num_feat: expected a number, got .16'):
        check_options(changed(opt, 'network_g.num_feat', '16'), 'small.yml', 'search')


def test_running_searches_are_reported_too(tmp_path):
    for kwargs in ({'search_fusion': True}, {'share_blocks': False, 'num_block': 2}):
        space = SearchSpace(widths=(4, 8), **kwargs)
        experiment = Experiment(write_search(tmp_path / str(len(kwargs)), space, rounds=2, derived=False))
        assert experiment.space == space
        best = experiment.history['genotype'][experiment.best(1)[0]]
        assert str(experiment.genotype) == best
        assert experiment.cost.params == experiment.history['params'][experiment.best(1)[0]]
        published = experiment.published
        assert published.width == 8 and '111 110100 011000010 010011100001' in str(published)
        page = write_report(experiment.folder).read_text()
        assert best in page and 'Not shown: ' not in page.split('id="samples"')[0]
