"""Derivation by halving: who trains, who leaves, and that it continues exactly where it was stopped."""
import json
import math
import os
import random
import shutil
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import yaml
from helpers import run
from small_run import small_search, write_options

import deconas_plugin
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.errors import OptionError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.pieces import Results
from deconas_plugin.options.read import load_options
from deconas_plugin.runs.derivation import SearchExperiment, _results
from deconas_plugin.search.alone import AloneTraining
from deconas_plugin.search.derive import Budget, random_candidates
from deconas_plugin.search.evolution import Evolution
from deconas_plugin.search.halving import Halving, HalvingOptions
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report import render_report

HALVING = {'candidates': 4, 'steps': 2, 'rungs': 2}


def test_every_rung_has_half_the_candidates_and_twice_the_steps():
    assert HalvingOptions(16, 50, 3).plan(16) == [(16, 50), (8, 100), (4, 200)]
    assert HalvingOptions(7, 10, 2).plan(7) == [(7, 10), (4, 20)]
    # A budget that fewer candidates keep within ends it early.
    assert HalvingOptions(16, 50, 3).plan(3) == [(3, 50), (2, 100)]


@pytest.fixture
def options(project):
    return small_search(project)


@pytest.mark.parametrize('halving, message', [
    (HalvingOptions(8, 1, 4), 'rungs: expected at most 3, so that 8 candidates leave two for the last rung, got 4'),
    (HalvingOptions(1, 1, 1), 'rungs: expected at most 0'),
    (HalvingOptions(6, 1, 2), 'candidates: expected at most 5, as many as derive.num_samples scores .*, got 6'),
])
def test_what_does_not_fit_is_refused(options, halving, message):
    with pytest.raises(OptionError, match=f'derive.halving.{message}'):
        halving.check(options, num_samples=4)
    HalvingOptions(4, 1, 2).check(options, num_samples=3)


def test_a_search_refuses_rungs_before_it_begins(project, options, capsys):
    options['derive']['halving'] = {**HALVING, 'rungs': 3}
    assert run('search', '-opt', write_options(project, options)) == 2
    assert 'derive.halving.rungs: expected at most 2' in capsys.readouterr().err
    assert not (project / 'experiments').exists()


@pytest.fixture
def searched(project, options):
    assert run('search', '-opt', write_options(project, options)) == 0
    return project / 'experiments' / 'small_search'


def test_the_worse_half_leaves(searched, monkeypatch, tmp_path):
    """PSNR after every rung is planted: what is best at first is not in the end."""
    experiment = SearchExperiment(searched)
    space = experiment.supernet.space
    genotypes = [space.genotype(map(int, f'{number:09b}')) for number in range(8)]
    # The best after one rung leaves after the second.
    planted = {0: [30, 29, 28, 27.5, 27, 26, 25, 24], 1: [30, 31, 32, 33], 2: [33, 32]}
    trained = []

    def train_on(self, net, num_steps, first_step, state):
        before = state and state['optimizer']
        trained.append((net.genotype, num_steps, first_step, before))
        return {'optimizer': {'steps': first_step + num_steps}, 'average': net.state_dict()}

    def score(self, net):
        rung = {0: 0, 10: 1, 30: 2}[trained[-1][2]]
        return planted[rung][[genotype.connections for genotype in genotypes].index(net.genotype)] if rung < 2 else \
            planted[2][net.genotype == genotypes[2].connections]

    monkeypatch.setattr(AloneTraining, 'train_on', train_on)
    monkeypatch.setattr(AloneTraining, 'score', score)
    monkeypatch.setattr(experiment.reward, 'penalty', lambda genotype: {})
    halving = Halving(experiment, HalvingOptions(8, 10, 3), Results(tmp_path / 'work', {}))
    halved = halving.run(genotypes)
    rungs = halved.rungs
    assert [(rung.steps, len(rung.scores), rung.kept) for rung in rungs] == [(10, 8, 4), (30, 4, 2), (70, 2, 1)]
    order = [[genotypes.index(score.genotype) for score in rung.scores] for rung in rungs]
    assert order == [[0, 1, 2, 3, 4, 5, 6, 7], [3, 2, 1, 0], [3, 2]]
    assert halved.best == rungs[2].scores and halved.best[0].psnr == 33
    assert [steps for _, steps, *_ in trained] == [10] * 8 + [20] * 4 + [40] * 2
    assert [first for _, _, first, _ in trained] == [0] * 8 + [10] * 4 + [30] * 2
    assert [state for *_, state in trained] == [None] * 8 + [{'steps': 10}] * 4 + [{'steps': 30}] * 2
    left = sorted(path.name for path in (tmp_path / 'work').glob('*.pth'))
    assert len(left) == 1 and left[0].startswith('rung_2_')


def halved(folder, name='halved'):
    """What a halving leaves: its lines, its genotype and its weights."""
    lines = [json.loads(line) for line in (folder / name / 'halving.jsonl').read_text().splitlines()]
    genotype = yaml.safe_load((folder / name / 'genotype.yml').read_text())
    genotype['provenance'].pop('seconds')
    return lines, genotype, torch.load(folder / name / 'net_g_inherited.pth', weights_only=True)['params']


def interrupt_training(patch, number):
    """list: Grows with every training alone; that of this number is interrupted."""
    calls, train_on = [], AloneTraining.train_on

    def interrupted(self, *arguments):
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return train_on(self, *arguments)

    patch.setattr(AloneTraining, 'train_on', interrupted)
    return calls


def test_halving_continues_exactly_where_it_was_stopped(searched, monkeypatch, capsys):
    derive = ['derive', searched, '--name', 'halved', '--halving', 4, 2, 2]
    torch.manual_seed(0)
    with monkeypatch.context() as patch:
        calls = interrupt_training(patch, 6)  # the second of the last rung
        assert run(*derive) == 130
        assert not (searched / 'halved').exists()
        torch.manual_seed(1)  # what the controller would draw now is something else
        assert run(*derive) == 0
        assert len(calls) == 7
    lines, genotype, weights = halved(searched)
    shutil.move(searched / 'halving', searched / 'elsewhere')
    torch.manual_seed(0)
    assert run(*derive) == 0
    again = halved(searched)
    assert again[:2] == (lines, genotype) and all(torch.equal(weights[name], again[2][name]) for name in weights)
    assert [(line['rung'], line['steps'], line['kept']) for line in lines] == [
        (1, 2, True), (1, 2, True), (1, 2, False), (1, 2, False), (2, 6, True), (2, 6, False)]
    assert lines[4]['genotype'] == genotype['genotype']['bits']
    assert genotype['result']['psnr'] == lines[4]['psnr'] and genotype['provenance']['halving_steps'] == 6
    assert 'Halving: 4 candidates, 2 rungs, 16 weight steps' in capsys.readouterr().out
    # Other settings begin anew.
    assert run(*derive[:-3], 2, 2, 1) == 0 and len(halved(searched)[0]) == 2


def test_other_circumstances_begin_anew(tmp_path, options):
    def folder(milliseconds=None, **train_data):
        table = milliseconds and SimpleNamespace(milliseconds=milliseconds)
        options['datasets']['train'].update(train_data)
        experiment = SimpleNamespace(digest='weights', has_shared_weights=True, opt=options,
                                     folder=ExperimentFolder(tmp_path), counter=SimpleNamespace(latency_table=table))
        return _results(experiment, HALVING).folder

    folders = [folder(milliseconds) for milliseconds in (None, {'skeleton': 1.0}, {'skeleton': 2.0})]
    assert len({*folders}) == 3 and folder({'skeleton': 2.0}) == folders[2]
    assert folder(batch_size_per_gpu=3) not in folders and folder(batch_size_per_gpu=2) == folders[0]


def test_children_are_of_networks_that_did_not_diverge(searched, tmp_path, monkeypatch):
    experiment, parents = SearchExperiment(searched), []
    monkeypatch.setattr(AloneTraining, 'score', lambda training, net: math.nan if parents else 30.0)

    def recall(evolution, genotypes, rewards):
        parents.append(rewards)

    monkeypatch.setattr(Evolution, 'recall', recall)
    monkeypatch.setattr(Evolution, 'ask', lambda evolution, count: [space.sample(rng) for _ in range(count)])
    space, rng = experiment.supernet.space, random.Random(0)
    halving = Halving(experiment, HalvingOptions(4, 1, 1, generations=3), Results(tmp_path / 'work', {}))
    halving.penalty = lambda genotype: {}
    assert len(halving.run([space.sample(rng) for _ in range(4)]).best) == 8
    # The second generation has diverged: children of the third are of the first alone.
    assert parents == [[30.0] * 4, [30.0] * 4]


@pytest.mark.parametrize('start', ['fresh', 'shared'])
def test_children_of_fresh_candidates_use_most_of_the_budget(searched, tmp_path, monkeypatch, start):
    experiment = SearchExperiment(searched)
    space, count, rng = experiment.supernet.space, experiment.counter.count, random.Random(0)
    monkeypatch.setattr(AloneTraining, 'score', lambda training, net: 30.0)
    monkeypatch.setattr(Evolution, 'ask', lambda evolution, number: [space.sample(rng) for _ in range(number)])
    budget = Budget(max_params=0.9 * count(space.genotype([1] * 9)).params)
    halving = Halving(experiment, HalvingOptions(8, 1, 1, start, generations=3), Results(tmp_path / 'work', {}), budget)
    halving.penalty = lambda genotype: {}
    rungs = halving.run(random_candidates(space, experiment.counter, 8, budget)).rungs
    children = [score.genotype for rung in rungs if rung.generation > 1 for score in rung.scores]
    assert len({*children}) == 8 and all(budget.allows(count(genotype)) for genotype in children)
    used = [budget.is_used_by(count(genotype)) for genotype in children]
    assert all(used) if start == 'fresh' else not all(used)
    # Where no others are left, cheap ones follow.
    halving.count = lambda genotype: replace(count(genotype), params=1)
    assert len(halving._children(rungs[0].scores, set(), 4, 2)) == 4


def test_a_rung_goes_on_with_the_training_of_the_one_before(searched):
    """Trained in two parts as in one; the average lies between the weights of all steps."""
    training = AloneTraining(SearchExperiment(searched), seed=3)
    genotype = training.experiment.supernet.space.genotype((1, 0, 0, 0, 1, 0, 0, 1, 0))
    whole, parts = training.fresh(genotype), training.fresh(genotype)
    state = training.train_on(whole, 6)
    half = training.train_on(parts, 4)
    again = training.train_on(parts, 2, 4, half)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), parts.parameters(), strict=True))
    assert all(torch.equal(state['average'][name], again['average'][name]) for name in state['average'])
    # The first decays are 2/11, 3/12, ...: after two steps the average is 1/4 of the first and 3/4 of the second.
    one, two = training.fresh(genotype), training.fresh(genotype)
    training.train_on(one, 1)
    average = training.train_on(two, 2)['average']['conv_first.weight']
    start = training.fresh(genotype).conv_first.weight
    first = start + (one.conv_first.weight - start) * 9 / 11
    assert torch.allclose(average, first + (two.conv_first.weight - first) * 9 / 12, atol=1e-7)
    averaged = training.averaged(two, {'average': training.train_on(two, 1, 2)['average']})
    assert averaged is not two and averaged.genotype == two.genotype


def test_what_belongs_to_a_halving_is_refused_without_one(searched, capsys):
    for more in (['--start', 'fresh'], ['--generations', 2]):
        assert run('derive', searched, *more) == 2
        assert f'{more[0]}: expected --halving CANDIDATES STEPS RUNGS with it' in capsys.readouterr().err


def test_a_fresh_start_does_not_depend_on_shared_weights(searched):
    fresh = ['derive', searched, '--halving', 4, 2, 2, '--start', 'fresh']
    assert run(*fresh, '--name', 'one') == 0
    with torch.no_grad():
        state = torch.load(searched / 'models' / 'net_g_latest.pth', weights_only=True)
        scores = {line['genotype']: line['psnr'] for line in halved(searched, 'one')[0] if line['rung'] == 2}
        state['params']['conv_first.weight'] += 1
        torch.save(state, searched / 'models' / 'net_g_latest.pth')
    assert run(*fresh, '--name', 'other') == 0
    other = {line['genotype']: line['psnr'] for line in halved(searched, 'other')[0]}
    assert len(scores) == 2 and {name: other[name] for name in scores if name in other} == {
        name: psnr for name, psnr in scores.items() if name in other}


@pytest.fixture
def without_supernet(options):
    options['train']['total_iter'] = 0
    options['derive'].update(max_params=8000, halving={
        'candidates': 8, 'steps': 2, 'rungs': 2, 'start': 'fresh', 'generations': 3})
    return options


def test_a_search_without_shared_weights(project, without_supernet, capsys, monkeypatch):
    path = write_options(project, without_supernet)
    with monkeypatch.context() as patch:
        calls = interrupt_training(patch, 20)
        assert run('search', '-opt', path) == 130
        assert run('search', '-opt', path, '--auto_resume') == 0
    # 8 and 4 more with twice the steps, then twice 4 children and 2.
    assert len(calls) == 12 + 6 + 6 + 1
    assert 'Halving: 8 candidates, 2 rungs, 3 generations, 64 weight steps' in capsys.readouterr().out
    folder = project / 'experiments' / 'small_search'
    lines, genotype, weights = halved(folder, 'derived')
    begun = [line['genotype'] for line in lines if line['rung'] == 1]
    assert len(begun) == len(set(begun)) == 16 and all(line['params'] <= 8000 for line in lines)
    ended = [line for line in lines if line['rung'] == 2]
    assert [line['generation'] for line in ended] == [1] * 4 + [2] * 2 + [3] * 2
    best = max(ended, key=lambda line: line['reward'])
    assert genotype['genotype']['bits'] == best['genotype'] and genotype['result']['psnr'] == best['psnr']
    net = DeCoNASNet(best['genotype'], num_feat=8, num_block=2, num_layer=2)
    net.load_state_dict(weights)
    assert AloneTraining(SearchExperiment(folder)).score(net) == pytest.approx(best['psnr'])
    assert len([*(folder / 'halving').rglob('*.pth')]) == 1
    page = render_report(Experiment(folder), pairs=[])
    assert '<section id="halving">' in page and '<td>3</td><td>2</td><td>6</td><td>2</td>' in page
    # An uninterrupted one finds the same.
    shutil.move(folder, folder.with_name('before'))
    assert run('search', '-opt', path) == 0
    assert halved(folder, 'derived')[:2] == (lines, genotype)


@pytest.fixture
def halved_alone(project, without_supernet):
    assert run('search', '-opt', write_options(project, without_supernet)) == 0
    return project / 'experiments' / 'small_search'


@pytest.mark.parametrize('more, message', [
    (['--max-latency', 5], 'derive.max_latency: expected a search with search.latency_table'),
    (['--num-samples', 50], 'has no shared weights to score with (train.total_iter: 0); leave it out'),
    (['--max-params', 100], 'sampled genotypes has at most 100 params; the smallest has'),
])
def test_what_cannot_be_derived_is_refused_before_candidates_train(halved_alone, capsys, more, message):
    before = [*(halved_alone / 'halving').iterdir()]
    assert run('derive', halved_alone, *more) == 2
    assert message in capsys.readouterr().err
    assert [*(halved_alone / 'halving').iterdir()] == before


@pytest.mark.parametrize('limit', [0, -5, 'nan', 'much'])
def test_limits_are_above_zero(searched, capsys, limit):
    for name in ('--max-params', '--max-mult-adds', '--max-latency'):
        with pytest.raises(SystemExit):
            run('derive', searched, f'{name}={limit}')
        assert f'expected a number above 0, got {limit}' in capsys.readouterr().err
    with pytest.raises(OptionError, match='max_params: expected a number above 0, got 0'):
        deconas_plugin.derive(searched, max_params=0)


def test_time_and_signals_end_the_halving_of_a_search_in_good_order(project, without_supernet, monkeypatch, capsys):
    path = write_options(project, without_supernet)
    began, train_on = [], AloneTraining.train_on

    def signalled(self, *arguments):
        began.append(arguments)
        if len(began) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_on(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(AloneTraining, 'train_on', signalled)
        assert run('search', '-opt', path) == 143
        assert 'Stopped in the derivation; what is finished is kept. The same command with --auto_resume' in \
            capsys.readouterr().err
        assert run('search', '-opt', path, '--auto_resume', '--force_yml', 'train.max_minutes=1.0e-9') == 0
        assert 'train.max_minutes is up in the derivation; what is finished is kept.' in capsys.readouterr().err
        assert len(began) == 3
        assert run('search', '-opt', path, '--auto_resume') == 0
    assert len(began) == 24 + 1  # what was signalled in was trained twice
    folder = project / 'experiments' / 'small_search'
    shared = ['train.total_iter=8', 'derive.num_samples=8']
    assert run('search', '-opt', path, '--auto_resume', '--force_yml', *shared) == 2
    assert 'train.total_iter: this run began with 0 and cannot be continued with 8' in capsys.readouterr().err
    for weights in (folder / 'halving').rglob('*.pth'):
        weights.unlink()
    next((folder / 'halving').glob('*/pieces/rung_1_*')).unlink()
    assert run('derive', folder) == 2
    assert 'missing, although its candidate has trained so far; delete' in capsys.readouterr().err


def test_what_diverges_at_once_is_no_result(project, without_supernet, capsys):
    without_supernet['train']['optim_g']['lr'] = 1e30
    assert run('search', '-opt', write_options(project, without_supernet)) == 2
    assert 'train.optim_g.lr: all 8 candidates of a rung diverged with 1e+30; lower it' in capsys.readouterr().err
    assert not (project / 'experiments' / 'small_search' / 'derived').exists()


@pytest.mark.parametrize('max_params, said', [
    (4900, 'Halving: no more than 1 of 8 candidates were found, too few for 3 generations.'),
    (6000, 'children that are new were found, too few for generation'),
])
def test_budgets_that_few_keep_within(project, without_supernet, capsys, max_params, said):
    without_supernet['derive']['max_params'] = max_params
    without_supernet['derive']['halving']['generations'] = 3 if max_params == 4900 else 20
    assert run('search', '-opt', write_options(project, without_supernet)) == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize('halving, message', [
    ((4, 1), 'halving: expected candidates, steps and rungs'),
    ({'candidates': 4, 'steps': 1, 'rings': 1}, 'halving: expected candidates, steps and rungs'),
    ((4, 0, 1), 'halving: steps: expected a whole number of at least 1, got 0'),
    ({'candidates': 4, 'steps': 1, 'rungs': 1, 'generations': 0}, 'halving: generations: expected a whole number'),
    ((4, 1, 1, 'Fresh'), "halving: start: expected one of shared, fresh, got 'Fresh'"),
])
def test_halvings_in_python_are_checked(searched, halving, message):
    with pytest.raises(OptionError, match=message):
        deconas_plugin.derive(searched, halving=halving)


def test_weights_that_nothing_starts_from_are_refused(project, without_supernet, capsys):
    without_supernet['path']['pretrain_network_g'] = 'weights.pth'
    assert run('search', '-opt', write_options(project, without_supernet)) == 2
    assert 'pretrain_network_g' in capsys.readouterr().err and not (project / 'experiments').exists()


def test_a_search_without_shared_weights_in_python(project, without_supernet):
    search = deconas_plugin.search(without_supernet, root=project)
    assert [*search] == []
    found = search.derive().candidate
    ended = [line for line in halved(search.folder, 'derived')[0] if line['rung'] == 2]
    assert found.cost.params <= 8000 and found.reward == max(line['reward'] for line in ended)


@pytest.mark.parametrize('change, message', [
    ({'halving': None}, 'derive.halving: missing; with train.total_iter = 0 there are no shared weights'),
    ({'start': 'shared'}, 'derive.halving.start: expected fresh with train.total_iter = 0'),
    ({'rungs': 3}, 'derive.halving.rungs: expected at most 2, so that 4 candidates of a later generation leave two'),
    ({'max_params': 100}, 'derive.max_params: expected at least'),
])
def test_what_a_search_without_shared_weights_refuses(project, without_supernet, capsys, change, message):
    derive = without_supernet['derive']
    for key, value in change.items():
        (derive if key in derive else derive['halving'])[key] = value
    assert run('search', '-opt', write_options(project, without_supernet)) == 2
    assert message in capsys.readouterr().err and not (project / 'experiments').exists()


def test_the_network_inherits_what_it_has_trained(searched):
    assert run('derive', searched, '--name', 'halved', '--halving', 2, 3, 1) == 0
    _, genotype, weights = halved(searched)
    experiment = SearchExperiment(searched)
    net = DeCoNASNet(genotype['genotype']['bits'], num_feat=8, num_block=2, num_layer=2)
    net.load_state_dict(weights)
    assert AloneTraining(experiment).score(net) == pytest.approx(genotype['result']['psnr'])
    shared = experiment.supernet.derive(experiment.supernet.space.genotype(net.genotype.bits)).state_dict()
    assert not torch.equal(shared['conv_first.weight'], weights['conv_first.weight'])
    options = next((searched / 'halved').glob('train_*.yml'))
    assert load_options(options)['path']['pretrain_network_g'].endswith('halved/net_g_inherited.pth')


def test_a_search_halves_at_its_end_and_reports_it(project, options):
    options['derive']['halving'] = HALVING
    assert run('search', '-opt', write_options(project, options)) == 0
    folder = project / 'experiments' / 'small_search'
    assert len(halved(folder, 'derived')[0]) == 6
    page = render_report(Experiment(folder), pairs=[])
    assert '<section id="halving">' in page and 'after 6 steps alone' in page
    shutil.rmtree(folder / 'derived')
    assert Experiment(folder).halving == []
