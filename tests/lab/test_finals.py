"""The study of finally trained networks: equal compute, resumable, and what its table compares."""
import json

import pytest
import yaml
from helpers import run
from small_run import small_search, write_options

from deconas_plugin.errors import DeCoNASError
from deconas_plugin.search import halving as halving_module
from deconas_plugin.search.derive import Budget
from deconas_plugin.search.halving import HalvingOptions
from tools.lab.study import finals
from tools.lab.study.finals import Finals
from tools.lab.study.finals_report import finals_table

SMALL = dict(final_steps=2, strategies=['random', 'nsga2'], seeds=1, budget=6, candidates=4, supernet_steps=10,
             halving=HalvingOptions(4, 1, 2), limits=Budget())


@pytest.fixture
def spaces(project):
    wide, narrow = small_search(project), small_search(project)
    narrow['network_g']['num_feat'] = 4
    narrow['search'].update(weight_sampling='sandwich', genotypes_per_step=2)
    return [write_options(project, wide, 'wide.yml'), write_options(project, narrow, 'narrow.yml')]


def pieces(output):
    return {path.relative_to(output).as_posix(): path.stat().st_mtime_ns for path in output.glob('*/pieces/*')}


def test_a_study_of_spaces_strategies_and_halving(project, spaces, capsys, monkeypatch):
    output = project / 'finals'
    command = ['study', '--output', output, '--finals', 2, '-opt', *spaces, '--strategies', 'random', 'nsga2',
               '--seeds', 1, '--budget', 6, '--candidates', 4, '--supernet-steps', 10, '--halving', 4, 1, 2]
    assert run(*command, '--max-minutes', 0) == 0
    assert '0 of 8 searches are done; the same command continues.' in capsys.readouterr().out
    assert not pieces(output)

    train_alone, done = finals.Finals._train, []

    def interrupted(self, *arguments):
        done.append(arguments)
        if len(done) == 3:
            raise KeyboardInterrupt
        return train_alone(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(finals.Finals, '_train', interrupted)
        assert run(*command) == 130
    before = pieces(output)
    assert run(*command) == 0
    after = pieces(output)
    assert before.items() < after.items()
    rows = json.loads((output / 'finals.json').read_text())
    assert [(row['space'], row['strategy'], row['halved']) for row in rows] == [
        (space, strategy, halved) for space in ('wide', 'narrow') for halved in (False, True)
        for strategy in ('random', 'nsga2')]
    assert all(5 < row['psnr'] < 60 and 5 < row['reward_psnr'] < 60 for row in rows)
    assert max(row['params'] for row in rows[4:]) < min(row['params'] for row in rows[:4])
    # Equal compute: the eight steps of a halving (four candidates one step, two of them two more) are taken from
    # the supernet's ten.
    trained = [yaml.safe_load(path.read_text()) for path in sorted(output.glob('*/experiments/*/options.yml'))]
    assert [(opt['name'], opt['train']['total_iter'], opt['search']['weight_sampling']) for opt in trained] == [
        ('supernet_1_0', 1, 'sandwich'), ('supernet_5_0', 5, 'sandwich'),
        ('supernet_10_0', 10, 'uniform'), ('supernet_2_0', 2, 'uniform')]
    table = (output / 'finals.md').read_text()
    assert 'above `random` in wide (dB)' in table and table.count('\n| ') == 9
    assert run(*command) == 0 and pieces(output) == after
    # More strategies and seeds go on from there, other lengths do not.
    capsys.readouterr()
    assert run(*command, '--seeds', 2, '--max-minutes', 0) == 0
    assert '8 of 16 searches are done' in capsys.readouterr().out and len(json.loads(
        (output / 'finals.json').read_text())) == 8
    assert run(*command, '--finals', 3) == 2
    assert 'results with final_steps 2, not 3' in capsys.readouterr().err


def test_training_alone_beside_shared_weights_at_equal_compute(project, capsys):
    wide = small_search(project)
    wide['train']['warmup_iter'] = 3
    study = Finals([write_options(project, wide, 'wide.yml')], project / 'finals', **{
        **SMALL, 'strategies': ['random', 'none'], 'supernet_steps': 14,
        'halving': HalvingOptions(4, 1, 1, generations=2)})
    # Shared: 14 steps of a supernet, 8 of another and the 6 of a halving, of four candidates and two children.
    # Unshared: nine candidates and four children within 14 steps. Then three networks train for two.
    assert study.unshared.candidates == 9
    assert study.run()
    assert f'3 searches: at most {14 + 14 + 14 + 6} weight steps' in capsys.readouterr().out
    rows = json.loads((project / 'finals/finals.json').read_text())
    assert [(row['strategy'], row['halved']) for row in rows] == [('random', False), ('random', True), ('none', True)]
    assert all(row['params'] > 0 and row['mult_adds'] > 0 for row in rows)
    work = project / 'finals/wide/halving/none_0/pieces'
    trained = {path.name: json.loads(path.read_text()) for path in work.glob('rung_0_*')}
    assert len(trained) == 13
    assert '| wide | none | yes | 1 |' in (project / 'finals/finals.md').read_text()


def test_no_network_is_chosen_by_its_final_training(project, spaces, monkeypatch):
    seeds = {'final': [], 'halving': []}

    def alone(experiment, seed):
        seeds['final'].append(seed)
        return training(experiment, seed)

    def halving(experiment, seed):
        seeds['halving'].append(seed)
        return training(experiment, seed)

    training = finals.AloneTraining
    monkeypatch.setattr(finals, 'AloneTraining', alone)
    monkeypatch.setattr(halving_module, 'AloneTraining', halving)
    assert Finals(spaces[:1], project / 'finals', **{**SMALL, 'strategies': ['none'], 'seeds': 2}).run()
    assert seeds['final'] == [0, 1] and len(seeds['halving']) == 2 and not {*seeds['final']} & {*seeds['halving']}


def test_networks_may_inherit_their_weights(project, spaces):
    assert Finals(spaces[:1], project / 'finals', **{**SMALL, 'strategies': ['random']}, inherit=True).run()
    names = {path.name for path in (project / 'finals').glob('wide/pieces/final_*')}
    assert names == {'final_random_0.json', 'final_random_halved_0.json'}


@pytest.mark.parametrize('changes, message', [
    ({'strategies': ['annealing']}, '--strategies: expected some of .*nsga2, none, got annealing'),
    ({'strategies': ['none'], 'halving': None}, '--strategies none: expected --halving'),
    ({'strategies': ['none'], 'halving': HalvingOptions(2, 1, 2), 'supernet_steps': 5},
     'derive.halving.rungs: expected at most 1, so that 2 candidates leave two'),
    ({'supernet_steps': 8}, r'--halving: expected fewer weight steps than --supernet-steps \(8\).*, got 8'),
    ({'candidates': 3}, 'derive.halving.candidates: expected at most 3'),
    ({'budget': 7}, r'--budget: expected a multiple of search.num_samples \(3, wide\), got 7'),
    ({'opts': ['wide.yml', './wide.yml']}, '-opt: expected files of different names, .*, got wide.yml, ./wide.yml'),
    ({'limits': Budget(max_mult_adds=1e6)}, 'wide: nothing has at most 0.0 G Mult-Adds @720p; the smallest network of'),
])
def test_what_could_not_end_does_not_begin(project, spaces, changes, message):
    with pytest.raises(DeCoNASError, match=message):
        Finals(**{**SMALL, 'opts': spaces, 'output': project / 'finals', **changes})
    assert not (project / 'finals').exists()


def test_the_table_compares_seed_by_seed():
    common = {'params': 1000, 'mult_adds': 2e9}
    psnrs = {('a', 'random', False): [30., 31.], ('a', 'random', True): [30.2, 31.4],
             ('b', 'nsga2', False): [31., 30.8]}
    rows = [dict(seed=seed, space=space, strategy=strategy, halved=halved, psnr=psnr, **common)
            for (space, strategy, halved), values in psnrs.items() for seed, psnr in enumerate(values)]
    table = finals_table(rows, 2000)
    assert '| a | random | no | 2 | 30.500 ± 0.707 |  |  |  | 1,000 ± 0 | 2.0 G ± 0.0 G |' in table
    assert ('| a | random | yes | 2 | 30.800 ± 0.849 | +0.300 (+0.200 to +0.400) | 2 of 2 | '
            '+0.300 (+0.200 to +0.400) |') in table
    assert '| b | nsga2 | no | 2 | 30.900 ± 0.141 | +0.400 (-0.200 to +1.000) | 1 of 2 |  |' in table
