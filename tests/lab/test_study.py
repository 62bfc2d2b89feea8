"""Rank correlation and the study: what they compute, and that they continue where they were stopped."""
import json
import random
import shutil
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from faults import SignalAt
from helpers import changed, run
from scipy.stats import kendalltau, spearmanr
from small_run import small_search, write_options

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.pieces import Results
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.runs.derivation import SearchExperiment
from deconas_plugin.search.alone import AloneTraining, reset_in_common
from deconas_plugin.search.reward import Score
from deconas_plugin.space.genotype import SearchSpace
from deconas_plugin.training.schedules import learning_rate_factor
from tools.lab.study import run_rank
from tools.lab.study.compare_strategies import search_with
from tools.lab.study.rank import stratified_genotypes
from tools.lab.study.report import fairness_table, rank_table, strategy_table, yardstick_table
from tools.lab.study.run_study import Study
from tools.lab.study.statistics import corrected, kendall, rank_correlation, spearman, yardstick


def test_rank_correlation_of_known_lists():
    perfect = rank_correlation(range(10), [value**3 for value in range(10)])
    assert perfect['kendall'] == pytest.approx([1, 1, 1]) and perfect['spearman'] == pytest.approx([1, 1, 1])
    assert perfect['num'] == 10
    # One swapped pair of neighbours: 44 concordant pairs, one discordant.
    one_swap = rank_correlation(range(10), [1, 0, *range(2, 10)])
    assert one_swap['kendall'][0] == pytest.approx(43 / 45)
    assert one_swap['kendall'][1] < 43 / 45 <= one_swap['kendall'][2]
    tied = [1, 2, 2, 3], [1, 3, 2, 2]
    assert kendall(*map(np.array, tied)) == pytest.approx(kendalltau(*tied).statistic)
    assert spearman(*map(np.array, tied)) == pytest.approx(spearmanr(*tied).statistic)
    rng = random.Random(0)
    for values in ([1, 1, 1], [5]):
        alike = rank_correlation(values, range(len(values)))
        assert np.isnan(alike['kendall'] + alike['spearman']).all()
        assert '| params | undefined | undefined |' in rank_table({'params': alike}, '')
        assert '| fair | undefined | undefined |' in fairness_table({'fair': [alike['kendall']]})
    value, lower, upper = rank_correlation(range(40), [rng.random() for _ in range(40)])['kendall']
    assert lower < 0 < upper and lower < value < upper


@pytest.mark.parametrize('num_seeds', [2, 3])
def test_the_yardstick_sees_through_its_own_noise(num_seeds):
    rng = np.random.default_rng(0)
    truth = rng.normal(size=500)
    alone = truth + rng.normal(0, 0.8, (num_seeds, 500))
    prediction = truth + rng.normal(0, 0.5, 500)
    found = yardstick(alone.tolist(), {'shared weights': prediction.tolist(), 'params': [1.0] * 500}, num_bootstrap=60)
    known = kendall(prediction, truth)
    ours = found['predictors']['shared weights']
    assert ours['kendall'][2] < known - 0.03 and ours['corrected'][0] == pytest.approx(known, abs=0.06)
    assert ours['corrected'][1] < known < ours['corrected'][2]
    pairs = [kendalltau(alone[i], alone[j]).statistic for i in range(num_seeds) for j in range(i)]
    assert found['seeds'][0] == pytest.approx(np.mean(pairs)) and found['num'] == 500
    assert np.isnan(found['predictors']['params']['kendall']).all()
    table = yardstick_table(found, 'title', found['seeds'][0] + 0.01)
    assert 'It cannot tell: below' in table and '| params | undefined | undefined | undefined |' in table
    assert 'It can tell.' in yardstick_table(found, 'title', found['seeds'][0])


def test_nothing_is_corrected_by_seeds_that_disagree():
    assert np.isnan(corrected(0.3, -0.1, 2)) and np.isnan(corrected(0.3, 0.0, 2))
    assert corrected(0.5, 1.0, 2) == pytest.approx(0.5) and corrected(0.9, 0.3, 2) == 1
    assert corrected(-0.4, 0.5, 2) == pytest.approx(-corrected(0.4, 0.5, 2)) and corrected(0.4, 0.5, 2) > 0.4


def test_stratified_genotypes_reach_from_small_to_large():
    space = SearchSpace()
    counter = ComplexityCounter(space, num_feat=16)
    genotypes = stratified_genotypes(space, counter, 20, seed=0)
    costs = [counter.count(genotype).mult_adds for genotype in genotypes]
    assert len(set(genotypes)) == 20 and costs == sorted(costs)
    smallest, largest = counter.count(counter.nothing).mult_adds, counter.largest.mult_adds
    margin = (largest - smallest) / 5
    assert costs[0] < smallest + margin and costs[-1] > largest - margin
    assert stratified_genotypes(space, counter, 20, seed=0) == genotypes


@pytest.mark.parametrize('operations', [('conv3x3', ), ('conv3x3', 'sep_conv3x3', 'dil_conv3x3')])
def test_no_more_genotypes_than_the_space_has(operations):
    space = SearchSpace(1, 1, operations)
    genotypes = stratified_genotypes(space, ComplexityCounter(space, num_feat=8), 24, seed=0)
    assert len(set(genotypes)) == len(genotypes) == 2**len(operations)


def test_results_are_computed_once_and_belong_to_their_settings(tmp_path):
    calls = []
    for _ in range(2):
        results = Results(tmp_path, {'num': 3})
        assert results.get('piece', lambda: calls.append(1) or [1.5]) == [1.5]
    assert calls == [1]
    with pytest.raises(DeCoNASError, match='results with num 3, not 4'):
        Results(tmp_path, {'num': 4})
    Results(tmp_path / 'nested', {'train': {'optim_g': {'lr': 0.1, 'type': 'Adam'}}})
    with pytest.raises(DeCoNASError, match='results with train.optim_g.lr 0.1, not 0.2'):
        Results(tmp_path / 'nested', {'train': {'optim_g': {'lr': 0.2, 'type': 'Adam'}}})


def test_the_strategy_table_compares_seed_by_seed():
    rewards = {'reinforce': [31.0, 32.0], 'random': [30.0, 32.5]}
    table = strategy_table(rewards, rewards, 64)
    assert '| reinforce | 31.500 ± 0.707 | 31.500 ± 0.707 | +0.250 (-0.500 to +1.000) | 1 of 2 |' in table
    assert '| random | 31.250' in table


@pytest.fixture
def study_options(project):
    opt = small_search(project)
    opt['train']['total_iter'] = 4
    return write_options(project, opt)


SMALL = dict(seeds=2, rank_seeds=1, budget=6, candidates=2, supernet_steps=2, num=3, steps=2)


def test_a_study_continues_where_it_was_stopped(project, study_options):
    output = project / 'study'
    assert not Study(study_options, output, **SMALL, max_minutes=0).run()
    assert not list(output.glob('pieces/*'))
    arguments = [part for key, value in SMALL.items() for part in (f'--{key.replace("_", "-")}', value)]
    assert run('study', '-opt', study_options, '--output', output, *arguments) == 0
    text = (output / 'study.md').read_text()
    for name in ('reinforce', 'random', 'evolution', 'shared weights', 'params', 'fair'):
        assert f'| {name} |' in text
    assert (output / 'strategies.png').stat().st_size > 5000 and (output / 'rank.png').stat().st_size > 5000
    pieces = {path: path.stat().st_mtime_ns for path in output.glob('pieces/*')}
    assert len(pieces) == 2 * 3 + 3 + 3
    assert Study(study_options, output, **SMALL).run()
    assert {path: path.stat().st_mtime_ns for path in output.glob('pieces/*')} == pieces
    assert (output / 'study.md').read_text() == text


@pytest.mark.parametrize('changes, arguments, message', [
    ({'datasets.train.type': 'PairedImageDataset'}, {}, 'datasets.train.type: expected DeCoNASPatchDataset, .*'
                                                        'got PairedImageDataset'),
    ({'train.pixel_opt': None, 'train.perceptual_opt': {'type': 'PerceptualLoss', 'layer_weights': {'conv5_4': 1}}}, {},
     'train.pixel_opt: missing; networks are trained alone with the pixel loss'),
    ({}, {'budget': 7}, r'--budget: expected a multiple of search.num_samples \(3\), got 7'),
    ({'search.strategy.baseline': 'loo'}, {}, 'search.strategy.baseline: expected one of'),
])
def test_a_study_that_could_not_end_does_not_begin(project, changes, arguments, message):
    opt = small_search(project)
    for path, value in changes.items():
        opt = changed(opt, path, value)
    with pytest.raises(DeCoNASError, match=message):
        Study(write_options(project, opt), project / 'study', **{**SMALL, **arguments})
    assert not (project / 'study').exists()


@pytest.mark.parametrize('tool, option, value, expected', [
    ('study', '--rank-seeds', 0, 'at least 1, got 0'), ('study', '--num', 2, 'at least 3, got 2'),
    ('study', '--supernet-steps', 1, 'at least 2, got 1'), ('study', '--budget', -8, 'at least 1, got -8'),
    ('rank', '--num', 0, 'at least 3, got 0'), ('rank', '--steps', '1e3', 'at least 1, got 1e3'),
    ('latency', '--runs', 0, 'at least 1, got 0'), ('derive', '--num-samples', -1, 'at least 0, got -1'),
])
def test_numbers_that_tools_refuse(capsys, tool, option, value, expected):
    with pytest.raises(SystemExit) as caught:
        run(tool, f'{option}={value}')
    assert caught.value.code == 2
    assert f'argument {option}: expected a whole number of {expected}' in capsys.readouterr().err


def test_a_study_interrupted_in_the_training_of_a_supernet_continues(
        project, study_options, monkeypatch, capsys):
    arguments = [part for key, value in {**SMALL, 'seeds': 1, 'supernet_steps': 4}.items()
                 for part in (f'--{key.replace("_", "-")}', value)]
    study = ['study', '-opt', study_options, '--output', project / 'study', *arguments]
    with monkeypatch.context() as patch:
        patch.setattr(DeCoNASModel, 'optimize_parameters', DeCoNASModel.optimize_parameters)  # put back at the end
        SignalAt(2, signal.SIGINT)()
        assert run(*study) == 128 + signal.SIGINT
    assert 'Stopped at iter 2 and saved. The same command continues there.\n' in capsys.readouterr().err
    assert run(*study) == 0
    assert (project / 'study' / 'study.md').exists()
    logs = [path.read_text() for path in project.glob('study/experiments/supernet_uniform_0/*.log')]
    assert any('Resuming training from epoch: 0, iter: 2.' in log for log in logs)


def test_rank_belongs_to_a_search_and_knows_the_size_of_its_space(project, capsys):
    opt = small_search(project)
    opt['network_g'].update(num_block=1, num_layer=1)
    folder, output = project / 'experiments' / 'small_search', project / 'ranked'
    assert run('search', '-opt', write_options(project, opt)) == 0
    rank = ['rank', folder, '--num', 24, '--steps', 1, '--output', output]
    assert run(*rank) == 0
    printed = capsys.readouterr().out
    assert '8 networks, 2 seeds: 176 weight steps to come' in printed and '8 networks, 1 steps alone' in printed
    alone = {path.name: path.read_text() for path in output.glob('pieces/alone_*')}
    assert len(alone) == 16

    # A cache that only the loader of a whole training can use makes no difference.
    saved = yaml.safe_load((folder / 'options.yml').read_text())
    write_options(folder, changed(saved, 'datasets.train.cache', 'cuda'), 'options.yml')
    assert run(*rank) == 2
    assert "results with datasets.train.cache 'none', not 'cuda'" in capsys.readouterr().err
    assert run(*rank[:-1], project / 'again') == 0
    assert {path.name: path.read_text() for path in project.glob('again/pieces/alone_*')} == alone

    write_options(folder, saved, 'options.yml')
    for name in ('latest', 8):
        shutil.copy(folder / 'models' / 'net_g_4.pth', folder / 'models' / f'net_g_{name}.pth')
    assert run(*rank) == 2
    assert 'results with weights ' in capsys.readouterr().err


def test_rank_of_a_search(project, capsys):
    assert run('search', '-opt', write_options(project, small_search(project))) == 0
    folder = project / 'experiments' / 'small_search'
    rank = ['rank', folder, '--num', 4, '--warm-steps', 1, 2, '--fresh-steps', 2]
    assert run(*rank, '--steps', 2, '--max-minutes', 0) == 0
    assert '0 of 16 pieces are done; the same command continues.' in capsys.readouterr().out
    for _ in range(2):
        assert run(*rank, '--steps', 2) == 0
        printed = capsys.readouterr().out
        assert '| shared weights |' in printed and '| shared weights + 3 steps |' in printed
        assert '| initial weights + 2 steps |' in printed
    assert 'weight steps to come' not in printed  # nothing was left to do
    assert (folder / 'rank' / 'rank.png').exists() and len(list((folder / 'rank' / 'pieces').iterdir())) == 17
    found = json.loads((folder / 'rank' / 'rank.json').read_text())
    assert found['steps'] == 2 and [len(seed) for seed in found['alone']] == [4, 4]
    assert run('rank', folder, '--num', 5, '--steps', 2) == 2
    assert 'results with num 4, not 5' in capsys.readouterr().err


def test_rank_of_a_search_without_shared_weights_within_a_budget(project, capsys):
    opt = small_search(project)
    opt['train']['total_iter'] = 0
    opt['derive'].update(max_params=8000, halving={'candidates': 2, 'steps': 1, 'rungs': 1, 'start': 'fresh'})
    folder = project / 'experiments' / 'small_search'
    assert run('search', '-opt', write_options(project, opt)) == 0
    rank = ['rank', folder, '--num', 4, '--steps', 2, '--max-params', 8000]
    assert run(*rank, '--warm-steps', 1) == 2
    assert 'has no shared weights (train.total_iter: 0)' in capsys.readouterr().err
    assert run(*rank, '--fresh-steps', 1, 1) == 0
    printed = capsys.readouterr().out
    assert '| initial weights + 2 steps |' in printed and 'shared weights' not in printed
    found = json.loads((folder / 'rank' / 'rank.json').read_text())
    assert max(found['predicted']['params']) <= 8000 and len(set(found['genotypes'])) == 4
    assert run(*rank[:-1], 8500) == 2
    assert 'results with budget.max_params 8000.0, not 8500.0' in capsys.readouterr().err


def test_rank_trains_for_longer_until_seeds_agree(project, capsys, monkeypatch):
    trained = []

    def train_alone(training, genotype, num_steps):
        trained.append(num_steps)
        # Up to 500 steps the seeds rank the other way round.
        return genotype.bits.count(1) * (1 if training.seed == 3 or num_steps > 500 else -1)

    monkeypatch.setattr(run_rank, 'train_alone', train_alone)
    assert run('search', '-opt', write_options(project, small_search(project))) == 0
    rank = ['rank', project / 'experiments' / 'small_search', '--num', 3, '--seed', 3, '--steps', 'auto']
    assert run(*rank, '--max-steps', 300) == 0
    assert trained == [250] * 6 + [300] * 6
    printed = capsys.readouterr().out
    assert '3 networks, 2 seeds: at most, up to 300 per network: 3,360 weight steps to come' in printed
    assert printed.count('It cannot tell') == 2
    assert run(*rank) == 0
    assert trained[12:] == [500] * 6 + [1000] * 6 and 'It can tell.' in capsys.readouterr().out


def test_networks_alone_have_in_common_what_is_alike(project):
    opt = small_search(project)
    opt['network_g'].update(residual='bicubic')
    assert run('search', '-opt', write_options(project, opt)) == 0
    experiment = SearchExperiment(project / 'experiments' / 'small_search')
    space = experiment.supernet.space
    one, other = (AloneTraining(experiment).fresh(space.genotype(bits))
                  for bits in ((1, 0, 0, 0, 1, 0, 0, 1, 0), (1, 0, 0, 1, 1, 0, 0, 1, 0)))
    ours, theirs = dict(one.named_parameters()), dict(other.named_parameters())
    alike = [name for name in ours if name in theirs and torch.equal(ours[name], theirs[name])]
    assert {'conv_first.weight', 'blocks.1.layers.1.operations.sep_conv3x3.pointwise', 'conv_last.weight'} <= {*alike}
    name = 'blocks.0.layers.1.operations.sep_conv3x3.depthwise'
    assert torch.equal(ours[name], theirs[name])
    # The same numbers in the range that the number of inputs asks for, as a network has them by itself.
    fusion = one.blocks[0].local_fusion.weight.detach()
    assert fusion.abs().max() <= 24**-0.5 and fusion.std() == pytest.approx((24 * 3)**-0.5, rel=0.1)
    assert not one.conv_last.weight.any()  # what a residual begins with
    # Weights that all features of an operation have in common agree too, whatever it reads.
    options = dict(num_feat=8, num_block=1, num_layer=1, operations=('skip', 'bs_conv3x3'))
    light = [DeCoNASNet(genotype=bits, **options) for bits in ('11', '01')]
    for net in light:
        reset_in_common(net, seed=2)
    one, other = (net.blocks[0].layers['0'].operations['bs_conv3x3'] for net in light)
    assert torch.equal(one.depthwise, other.depthwise) and torch.equal(one.pointwise, other.pointwise)
    again = AloneTraining(experiment, seed=1).fresh(space.genotype((1, 0, 0, 0, 1, 0, 0, 1, 0)))
    assert not torch.equal(again.conv_first.weight, ours['conv_first.weight'])


def test_parts_of_a_training_see_the_patches_of_the_whole(project, monkeypatch):
    assert run('search', '-opt', write_options(project, small_search(project))) == 0
    training = AloneTraining(SearchExperiment(project / 'experiments' / 'small_search'), seed=2)
    whole = list(training._batches(0, 5))
    parts = [*training._batches(0, 2), *training._batches(2, 3)]
    for one, other in zip(whole, parts, strict=True):
        assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])
    assert [learning_rate_factor(step, 4) for step in range(4)] == pytest.approx([1, 0.853553, 0.5, 0.146447], abs=1e-6)
    assert learning_rate_factor(0, 100, warmup=9) == pytest.approx(0.1)


def test_latency_tool_and_a_budget_in_milliseconds(project, capsys):
    options = write_options(project, small_search(project))
    table = project / 'latency.yml'
    assert run('latency', '-opt', options, '--output', table, '--lr-size', 16, 12, '--runs', 3, '--networks', 2) == 0
    assert 'Predicted against measured, 2 random networks' in capsys.readouterr().out
    # Only training is refused bf16 with 8 channels on a CPU: the gradient of the weights is what fails there.
    assert run('latency', '-opt', options, '--output', project / 'bf16.yml', '--lr-size', 8, 6, '--runs', 1,
               '--networks', 0, '--precision', 'bf16') == 0
    assert run('search', '-opt', options) == 0
    folder = project / 'experiments' / 'small_search'
    values = [point['result'] for point in _derived(folder, 'limited', table, capsys, 1e6)]
    limit = values[0]['latency'] * 1.0001
    assert all(point['result']['latency'] <= limit for point in _derived(folder, 'tight', table, capsys, limit))
    assert run('derive', folder, '--max-latency', 1e-9, '--latency-table', table) == 2


def _derived(folder, name, table, capsys, limit):
    assert run('derive', folder, '--name', name, '--max-latency', limit, '--latency-table', table) == 0
    assert 'Latency (ms)' in capsys.readouterr().out
    return [yaml.safe_load(path.read_text()) for path in sorted((folder / name / 'front').glob('*.yml'))]


@pytest.mark.parametrize('name, batches', [('reinforce', 4), ('random', 1), ('evolution', 1)])
def test_strategies_that_compare_rewards_of_different_steps_see_the_same_patches(name, batches):
    space, drawn = SearchSpace(2, 2), set()

    class Patches:

        def draws(self, batch_size, count, rng, same=False):
            for batch in [rng.random()] * count if same else [rng.random() for _ in range(count)]:
                drawn.add(batch)
                yield batch

        def batches(self, batch_size):
            return iter((0.0, ))

    class BatchReward:

        def score(self, genotypes, batches):
            return [Score(genotype, sum(batches), {}) for genotype in genotypes]

    experiment = SimpleNamespace(
        opt={'network_c': {'type': 'DeCoNASController'}, 'search': {'reward': {'batch_size': 1}}},
        supernet=SimpleNamespace(space=space), counter=ComplexityCounter(space, num_feat=8), reward_set=Patches(),
        reward=BatchReward())
    found = search_with(experiment, {'type': name}, budget=8, num_samples=2, num_candidates=3, seed=0)
    assert len(drawn) == batches
    assert found['gains'] == [0.0] * 4  # nothing but the patches decides here, and the gain is free of them
