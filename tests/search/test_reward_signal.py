"""Whether rewards rank anything: what is measured, and that a blind search says so."""
import json
import random

import numpy as np
import pytest
import torch
from helpers import changed, run
from small_run import small_search, write_options

from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.forward import blocks_off
from deconas_plugin.search.reward import Reward, RewardSignal, Score, SignalProbe, block_gain
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report_summary import status, tiles


def scores(psnrs):
    return [Score(None, float(np.mean(row)), {}, list(row)) for row in psnrs]


def planted(num_genotypes, num_patches, spread, rest, seed):
    """ndarray: PSNRs (G, P) of genotypes and patches that differ by 2 dB, and a rest."""
    rng = np.random.default_rng(seed)
    return (30 + rng.normal(0, spread, (num_genotypes, 1)) + rng.normal(0, 2, (1, num_patches)) +
            rng.normal(0, rest, (num_genotypes, num_patches)))


def test_spread_and_noise_are_what_was_planted():
    found = [RewardSignal.of(scores(planted(8, 16, 0.1, 0.2, seed))) for seed in range(200)]
    assert np.sqrt(np.mean([signal.noise**2 for signal in found])) == pytest.approx(0.2 / 4, rel=0.03)
    assert np.sqrt(np.mean([signal.spread**2 for signal in found])) == pytest.approx(0.1, rel=0.1)
    assert sum(signal.ranks for signal in found) > 160  # the spread is twice the noise
    # Four times the patches halve the noise of the mean, and no genotype lies closer to another.
    scored = scores(planted(8, 16, 0.1, 0.2, 0))
    fewer, more = RewardSignal.of(scored), RewardSignal.of(scored, num_patches=64)
    assert more.noise == pytest.approx(fewer.noise / 2) and more.spread == fewer.spread
    # A spread that is there without noise is found whole, how easy patches are notwithstanding.
    exact = RewardSignal.of(scores(np.array([[30.], [30.1], [30.2]]) + np.array([0., 5., -3.])))
    assert exact.spread == pytest.approx(0.1) and exact.noise == pytest.approx(0, abs=1e-9)


def test_genotypes_that_do_not_differ_are_told():
    found = [RewardSignal.of(scores(planted(8, 16, 0, 0.2, seed))) for seed in range(200)]
    assert sum(signal.ranks for signal in found) < 20
    blind = RewardSignal(0.001, 0.0042, 0.35)
    assert not blind.ranks and '\n' not in blind.warning
    assert 'differs by 0.0010 dB' in blind.warning and 'noise of the patches is 0.0042 dB' in blind.warning
    assert 'loses 0.35 dB' in blind.warning


def test_too_little_to_measure():
    assert RewardSignal.of(scores([[30., 31.]])) is None
    assert RewardSignal.of(scores([[30.], [31.]])) is None
    assert RewardSignal.of([Score(None, 30., {}), Score(None, 31., {})]) is None
    assert RewardSignal.of(scores([[30., 31.], [np.nan, 31.], [30.5, 31.5]])).spread == pytest.approx(0.5 / 2**0.5)


@pytest.fixture
def reward():
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(num_feat=[4, 8], num_block=2, num_layer=2)
    return Reward(supernet, lambda genotype: {}, crop_border=2)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.rand(3, 3, 8, 8, generator=generator), torch.rand(3, 3, 16, 16, generator=generator)


def test_switched_off_blocks_pass_their_input_on(reward, batch):
    supernet, space = reward.supernet, reward.supernet.space
    one, other = (space.genotype([width, *(0, 1, 1) * 3]) for width in (0, 1))
    with torch.no_grad():
        for genotype in (one, other):
            derived = supernet.derive(genotype)
            for block in derived.blocks:
                for parameter in block.parameters():
                    parameter.zero_()
            with blocks_off():
                off = supernet(batch[0], genotype)
            assert torch.equal(off, derived(batch[0]))
            assert not torch.equal(off, supernet(batch[0], genotype))
    scored = reward.score([one, other], [batch])
    with blocks_off():
        off = reward.score([one, other], [batch])
    expected = sum(score.psnr for score in scored) / 2 - sum(score.psnr for score in off) / 2
    assert block_gain(reward, scored, [batch]) == pytest.approx(expected) and expected != 0
    assert [score.psnr for score in scored] == pytest.approx([np.mean(score.patch_psnrs) for score in scored])


def test_the_probe_is_the_same_in_every_round_and_draws_nothing(reward, batch):
    class Patches:
        batches = staticmethod(lambda batch_size: iter([batch] * 300))

        def __len__(self):
            return 300 * len(batch[0])

    reward_set = Patches()
    states = random.getstate(), torch.get_rng_state()
    first, second = (SignalProbe(reward, reward_set, 3, seed=5).measure() for _ in range(2))
    assert first == second and first.block_gain is not None
    assert random.getstate() == states[0] and torch.equal(torch.get_rng_state(), states[1])


def test_a_search_says_what_its_rewards_are_worth(project, capsys):
    # Weights that hardly learn: no genotype differs from another by more than chance.
    opt = small_search(project)
    opt['train']['optim_g']['lr'] = 1e-9
    opt['search']['reward'].update(num_patches=4, batch_size=2)
    assert run('search', '-opt', write_options(project, opt)) == 0
    folder = project / 'experiments' / 'small_search'
    lines = [json.loads(line) for line in (folder / 'signal.jsonl').read_text().splitlines()]
    assert [line['iter'] for line in lines] == [4, 6, 8]
    assert all(line.keys() == {'iter', 'spread', 'noise', 'block_gain'} for line in lines)
    log = next(folder.glob('*.log')).read_text()
    assert f'spread {lines[0]["spread"]:.4f}, noise {lines[0]["noise"]:.4f}' in log

    (folder / 'signal.jsonl').write_text(json.dumps({**lines[0], 'spread': 0.001, 'noise': 0.002}) + '\n')
    experiment = Experiment(folder)
    assert 'Finished: a genotype is derived. Shared weights do not rank: ' in status(experiment)
    assert ('Spread of genotypes', '0.001 dB') in [tile[:2] for tile in tiles(experiment)]
    (folder / 'signal.jsonl').write_text(json.dumps({**lines[0], 'spread': 0.002, 'noise': 0.001}) + '\n')
    assert status(Experiment(folder)) == 'Finished: a genotype is derived.'


def test_a_blind_search_names_no_best_genotype(project, capsys, monkeypatch):
    blind = RewardSignal(0.001, 0.002, 0.1)
    monkeypatch.setattr(SignalProbe, 'measure', lambda self: blind)
    monkeypatch.setattr(RewardSignal, 'of', lambda scores: blind)
    opt = changed(small_search(project), 'train.total_iter', 4)
    assert run('search', '-opt', write_options(project, opt)) == 0
    log = next((project / 'experiments' / 'small_search').glob('*.log')).read_text()
    assert log.count('Shared weights do not rank') == 1 and 'Best: none, as the rewards are noise' in log
    assert 'Shared weights do not rank' in capsys.readouterr().out
