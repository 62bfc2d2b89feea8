"""What a search has seen: which genotype counts as the best of a round."""
from deconas_plugin.search.complexity import ComplexityCounter
from deconas_plugin.search.history import SearchHistory
from deconas_plugin.search.reward import Score
from deconas_plugin.search.search_space import SearchSpace

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


def test_best_survives_a_resume(tmp_path):
    history, again = make_history(tmp_path), make_history(tmp_path)
    history.add_scores(100, 0, scores(38.0, 38.5), {})
    again.load_state_dict(history.state_dict())
    assert again.best == history.best == '001 (+0.250 dB)'
