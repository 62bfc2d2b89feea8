"""Search, derivation, training and testing, as the tools run them, on synthetic images."""
import json
import math
import re

import pytest
import torch
import yaml
from helpers import psnrs, run
from small_run import small_search, write_options

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.options.read import load_options
from deconas_plugin.visual.report import write_report


@pytest.fixture
def searched(project, capsys):
    opt = small_search(project)
    assert run('search', '-opt', write_options(project, opt)) == 0
    return project, opt, capsys.readouterr().out


def test_the_whole_chain(searched):
    project, opt, printed = searched
    derived = project / 'experiments' / 'small_search' / 'derived'
    train_file, test_file = next(derived.glob('train_*.yml')), next(derived.glob('test_*.yml'))
    assert f'train.py -opt {train_file.relative_to(project)}' in printed
    assert f'test.py -opt {test_file.relative_to(project)}' in printed
    assert run('train', '-opt', train_file) == 0
    trained = project / 'experiments' / 'small_search_derived'
    assert run('test', '-opt', test_file) == 0
    tested = psnrs(project / 'results' / 'small_search_derived')
    assert len(tested) == 1 and tested[0] == psnrs(trained)[-1]

    # BasicSR's own model gives the same, and the weights alone tell the network.
    stock = write_options(project, {**load_options(test_file), 'model_type': 'SRModel', 'name': 'stock'}, 'stock.yml')
    assert run('test', '-opt', stock) == 0
    assert psnrs(project / 'results' / 'stock') == tested
    state = torch.load(trained / 'models' / 'net_g_latest.pth', weights_only=True)['params']
    genotype = yaml.safe_load((derived / 'genotype.yml').read_text())['genotype']['bits']
    net = DeCoNASNet(genotype, num_feat=8, num_block=2, num_layer=2)
    net.load_state_dict(state)


@pytest.mark.parametrize('strategy', [
    {'type': 'random'}, {'type': 'evolution', 'population': 12, 'tournament': 2}, {'type': 'nsga2', 'population': 12},
], ids=lambda strategy: strategy['type'])
def test_validation_does_not_change_what_is_searched(project, strategy):
    found = []
    for name, val_freq in (('often', 1), ('never', 1000)):
        opt = small_search(project, name)
        opt['search'].update(strategy=dict(strategy), penalty=[])
        opt['val']['val_freq'] = val_freq
        assert run('search', '-opt', write_options(project, opt)) == 0
        lines = (project / 'experiments' / name / 'search_history.jsonl').read_text().splitlines()
        found.append([(line['genotype'], line['psnr']) for line in map(json.loads, lines)])
    assert found[0] == found[1] and len(found[0]) == 18


def test_what_a_search_leaves_behind(searched):
    project, opt, printed = searched
    experiment = project / 'experiments' / 'small_search'
    history = [json.loads(line) for line in (experiment / 'search_history.jsonl').read_text().splitlines()]
    # Rounds at iterations 4, 6 and 8: two steps of three genotypes each.
    assert [line['iter'] for line in history] == [4] * 6 + [6] * 6 + [8] * 6
    for line in history:
        assert line['reward'] == pytest.approx(line['psnr'] - line['penalties']['params'])
        assert 0 <= line['penalties']['params'] <= 0.5
    probabilities = [json.loads(line) for line in (experiment / 'bit_probabilities.jsonl').read_text().splitlines()]
    assert [len(line['probabilities']) for line in probabilities] == [9, 9, 9]
    derived = yaml.safe_load((experiment / 'derived' / 'genotype.yml').read_text())
    assert derived['genotype']['bits'] in printed and f'{derived["result"]["params"]:,}' in printed
    net = DeCoNASNet(derived['genotype']['bits'], num_feat=8, num_block=2, num_layer=2)
    assert sum(parameter.numel() for parameter in net.parameters()) == derived['result']['params']
    # The inherited weights compute what the supernet computes.
    from deconas_plugin.runs.derivation import SearchExperiment
    search = SearchExperiment(experiment)
    net.load_state_dict(torch.load(experiment / 'derived' / 'net_g_inherited.pth', weights_only=True)['params'])
    images = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        assert (net(images) - search.supernet(images, net.genotype)).abs().max() <= 1e-5


def test_report_times_and_tensorboard(searched):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    project, _, printed = searched
    experiment = project / 'experiments' / 'small_search'
    page = write_report(experiment).read_text()
    assert 'experiments/small_search/report.html' in printed
    assert yaml.safe_load((experiment / 'derived' / 'genotype.yml').read_text())['genotype']['bits'] in page
    times = json.loads((experiment / 'timing.json').read_text())
    assert times.keys() == {'data', 'weights', 'controller', 'validation'} and min(times.values()) >= 0
    events = EventAccumulator(str(project / 'tb_logger' / 'small_search'), size_guidance={'images': 0})
    events.Reload()
    # Rounds follow the steps 4, 6 and 8; a line is logged after each second step.
    assert [event.step for event in events.Scalars('search/reward')] == [6, 8]
    rates = [(event.step, event.value) for event in events.Scalars('learning_rate')]
    assert rates == [(step, pytest.approx(1e-3)) for step in (2, 4, 6, 8)]
    assert [event.step for event in events.Images('search/bit_probabilities')] == [4, 6, 8]
    assert [event.step for event in events.Images('samples/0006_s001')] == [4, 8]


def test_derive_again_with_a_budget(searched, capsys):
    project, _, _ = searched
    experiment = project / 'experiments' / 'small_search'
    assert run('derive', experiment, '--max-params', 12000, '--name', 'light', '--num-samples', 10) == 0
    light = yaml.safe_load((experiment / 'light' / 'genotype.yml').read_text())
    assert light['result']['params'] <= 12000 and light['provenance']['max_params'] == 12000
    assert (experiment / 'derived' / 'genotype.yml').is_file()
    assert run('derive', experiment, '--max-mult-adds', 1e6) == 2
    assert 'none of' in (message := capsys.readouterr().err) and 'G Mult-Adds' in message
    assert run('derive', project) == 2
    assert 'expected the folder of a search' in capsys.readouterr().err


def test_same_seed_same_search(project):
    histories, losses = [], []
    for name in ('one', 'two'):
        assert run('search', '-opt', write_options(project, small_search(project / name, name))) == 0
        folder = project / 'experiments' / name
        lines = [json.loads(line) for line in (folder / 'search_history.jsonl').read_text().splitlines()]
        histories.append([{key: line[key] for key in line if key != 'time'} for line in lines])
        losses.append(re.findall(r'l_pix: (\S+)', max(folder.glob('*.log')).read_text()))
    assert histories[0] == histories[1]
    assert losses[0] == losses[1] and len(losses[0]) == 4
    assert all(math.isfinite(float(loss)) for loss in losses[0])


def test_mistakes_leave_no_folder_behind(project, capsys):
    opt = small_search(project)
    opt['search']['controler_steps'] = 3
    assert run('search', '-opt', write_options(project, opt)) == 2
    message = capsys.readouterr().err
    assert message.startswith('error: search.controler_steps: unknown option; did you mean controller_steps?')
    assert message.count('\n') == 1
    assert not (project / 'experiments').exists()


def test_changes_from_the_command_line_are_kept(project):
    path = write_options(project, small_search(project))
    assert run('search', '-opt', path, '--force_yml', 'name=other', 'search:controller_steps=1') == 0
    saved = load_options(project / 'experiments' / 'other' / 'options.yml')
    assert saved['search']['controller_steps'] == 1
    assert len((project / 'experiments' / 'other' / 'search_history.jsonl').read_text().splitlines()) == 9


@pytest.mark.parametrize('upscale', [3, 4])
def test_fusion_search_at_other_scales(project, upscale):
    opt = small_search(project)
    from lmdb_fixture import paired_lmdb
    gt, lq = paired_lmdb(project / 'data2', count=12, size=48, scale=upscale)
    for dataset in (*opt['datasets'].values(), opt['search']['reward']['dataset']):
        dataset.update(dataroot_gt=gt, dataroot_lq=lq)
    opt.update(scale=upscale)
    opt['network_g'].update(upscale=upscale, search_fusion=True)
    for metric in opt['val']['metrics'].values():
        metric['crop_border'] = upscale
    assert run('search', '-opt', write_options(project, opt)) == 0
    bits = yaml.safe_load((project / 'experiments/small_search/derived/genotype.yml').read_text())['genotype']['bits']
    assert len(bits.replace(' ', '')) == 9 + 2 + 2
