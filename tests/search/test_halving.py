"""Derivation by halving: who trains, who leaves, and that it continues exactly where it was stopped."""
import json
import shutil
from types import SimpleNamespace

import pytest
import torch
import yaml
from helpers import run
from small_run import small_search, write_options

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.errors import OptionError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.pieces import Results
from deconas_plugin.options.read import load_options
from deconas_plugin.runs.derivation import SearchExperiment, _results
from deconas_plugin.search.alone import AloneTraining
from deconas_plugin.search.halving import Halving, HalvingOptions
from deconas_plugin.search.reward import Score
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

    def train(self, net, num_steps, first_step, warmup, state):
        trained.append((net.genotype, num_steps, first_step, state))
        return {'steps': first_step + num_steps}

    def score(self, net):
        rung = {0: 0, 10: 1, 30: 2}[trained[-1][2]]
        return planted[rung][[genotype.connections for genotype in genotypes].index(net.genotype)] if rung < 2 else \
            planted[2][net.genotype == genotypes[2].connections]

    monkeypatch.setattr(AloneTraining, 'train', train)
    monkeypatch.setattr(AloneTraining, 'score', score)
    monkeypatch.setattr(experiment.reward, 'penalty', lambda genotype: {})
    halving = Halving(experiment, HalvingOptions(8, 10, 3), Results(tmp_path / 'work', {}))
    rungs = halving.run([Score(genotype, 30.0, {}) for genotype in genotypes])
    assert [(rung.steps, len(rung.scores), rung.kept) for rung in rungs] == [(10, 8, 4), (30, 4, 2), (70, 2, 1)]
    order = [[genotypes.index(score.genotype) for score in rung.scores] for rung in rungs]
    assert order == [[0, 1, 2, 3, 4, 5, 6, 7], [3, 2, 1, 0], [3, 2]] and rungs[2].scores[0].psnr == 33
    assert [steps for _, steps, *_ in trained] == [10] * 8 + [20] * 4 + [40] * 2
    assert [first for _, _, first, _ in trained] == [0] * 8 + [10] * 4 + [30] * 2
    assert [state for *_, state in trained] == [None] * 8 + [{'steps': 10}] * 4 + [{'steps': 30}] * 2
    left = sorted(path.name for path in (tmp_path / 'work').glob('*.pth'))
    assert left == ['rung_2_3.pth']


def halved(folder, name='halved'):
    """What a halving leaves: its lines, its genotype and its weights."""
    lines = [json.loads(line) for line in (folder / name / 'halving.jsonl').read_text().splitlines()]
    genotype = yaml.safe_load((folder / name / 'genotype.yml').read_text())
    genotype['provenance'].pop('seconds')
    return lines, genotype, torch.load(folder / name / 'net_g_inherited.pth', weights_only=True)['params']


def test_halving_continues_exactly_where_it_was_stopped(searched, monkeypatch, capsys):
    derive = ['derive', searched, '--name', 'halved', '--halving', 4, 2, 2]
    torch.manual_seed(0)
    with monkeypatch.context() as patch:
        calls, train = [], AloneTraining.train

        def interrupted(self, *arguments):
            calls.append(arguments)
            if len(calls) == 6:  # the second of the last rung
                raise KeyboardInterrupt
            return train(self, *arguments)

        patch.setattr(AloneTraining, 'train', interrupted)
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


def test_another_latency_table_begins_anew(tmp_path):
    def folder(milliseconds):
        table = milliseconds and SimpleNamespace(milliseconds=milliseconds)
        experiment = SimpleNamespace(digest='weights', opt={'train': {}, 'manual_seed': 1},
                                     folder=ExperimentFolder(tmp_path), counter=SimpleNamespace(latency_table=table))
        return _results(experiment, HALVING).folder

    folders = [folder(milliseconds) for milliseconds in (None, {'skeleton': 1.0}, {'skeleton': 2.0})]
    assert len({*folders}) == 3 and folder({'skeleton': 2.0}) == folders[2]


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
