"""What a search has seen: which genotype counts as the best of a round."""
import json
import random

import pytest

from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.search.history import SearchHistory, read_history
from deconas_plugin.search.reward import Score
from deconas_plugin.space.genotype import SearchSpace
from deconas_plugin.visual.experiment import Experiment

SPACE = SearchSpace(num_block=1, num_layer=1)


def scores(*psnrs):
    return [Score(SPACE.genotype([index >> 2 & 1, index >> 1 & 1, index & 1]), psnr, {})
            for index, psnr in enumerate(psnrs)]


def make_history(folder):
    return SearchHistory(folder, ComplexityCounter(SPACE, num_feat=4))


def test_best_is_the_largest_gain_on_the_same_patches_of_the_last_round(tmp_path):
    history = make_history(tmp_path)
    assert history.best == 'none'
    history.add_scores(100, 0, scores(38.0, 38.1), {})  # easy patches
    history.add_scores(100, 1, scores(29.0, 29.0, 29.6), {})  # hard ones, where 010 stands out
    assert history.best == '010 (+0.400 dB)'
    history.add_scores(200, 0, scores(31.0, 31.2), {})
    assert history.best == '001 (+0.100 dB)'


def test_best_of_steps_on_the_same_patches_is_the_largest_reward(tmp_path):
    history = make_history(tmp_path)
    history.add_scores(100, 0, scores(30.0, 32.0), {}, patches=0)
    history.add_scores(100, 1, scores(29.0, 33.0, 34.0), {}, patches=0)
    assert history.best == '010 (+2.400 dB)'
    columns = Experiment(tmp_path).history
    assert columns['psnr'].tolist() == columns['reward'].tolist() == [30.0, 32.0, 29.0, 33.0, 34.0]


def test_histories_of_an_earlier_version_had_patches_for_every_step(tmp_path):
    history = make_history(tmp_path)
    history.add_scores(100, 0, scores(38.0, 38.1), {})
    history.add_scores(100, 1, scores(29.0, 29.6), {})
    now = Experiment(tmp_path).history['psnr']
    lines = [json.loads(line) for line in history.scores_path.read_text().splitlines()]
    for line in lines[:2]:
        line.pop('patches')
    history.scores_path.write_text(''.join(json.dumps(line) + '\n' for line in lines))
    assert Experiment(tmp_path).history['psnr'].tolist() == now.tolist() and now.max() < 34


def test_best_survives_a_resume(tmp_path):
    history, again = make_history(tmp_path), make_history(tmp_path)
    history.add_scores(100, 0, scores(38.0, 38.5), {})
    again.load_state_dict(history.state_dict())
    assert again.best == history.best == '001 (+0.250 dB)'


def test_steps_of_one_genotype_are_compared_with_their_round(tmp_path):
    history = make_history(tmp_path)
    log = {'baseline': 30.9}
    for step, (bits, psnr) in enumerate([([0, 0, 1], 30.0), ([0, 1, 1], 32.0), ([0, 1, 0], 31.0)]):
        history.add_scores(100, step, [Score(SPACE.genotype(bits), psnr, {})], log)
    assert history.best == '011 (+1.000 dB)'
    history.add_scores(200, 0, [Score(SPACE.genotype([1, 0, 0]), 29.0, {})], log)
    assert history.best == '100 (+0.000 dB)'  # all there is of this round


@pytest.mark.parametrize('num_samples', [1, 2, 5])
def test_log_and_report_name_the_same_genotype(tmp_path, num_samples):
    rng, history = random.Random(num_samples), make_history(tmp_path)
    for iteration in (100, 200, 300):
        # Worse from round to round, as with another learning rate: earlier rewards must not win.
        for step in range(4):
            luck = rng.gauss(0, 2) - iteration / 10
            genotypes = [SPACE.sample(rng) for _ in range(num_samples)]
            history.add_scores(iteration, step, [
                Score(genotype, 60 + luck + sum(genotype.bits) / 10, {'params': 0.01 * sum(genotype.bits)})
                for genotype in genotypes], {'baseline': 30.0})
        experiment = Experiment(tmp_path)
        row, = experiment.best(1)
        assert experiment.history['iter'][row] == iteration
        of_round = experiment.history['reward'][experiment.history['iter'] == iteration]
        gain = experiment.history['reward'][row] - of_round.mean()
        assert history.best == f'{experiment.history["genotype"][row]} ({gain:+.3f} dB)'


def test_half_a_line_of_a_search_that_was_killed_is_no_genotype(tmp_path):
    history = make_history(tmp_path)
    history.add_scores(100, 0, scores(38.0, 38.5), {})
    with open(history.scores_path, 'a') as file:
        file.write('{"iter": 100, "step": 1, "geno')
    assert read_history(tmp_path, SPACE) == ([score.genotype for score in scores(38.0, 38.5)], [38.0, 38.5])
