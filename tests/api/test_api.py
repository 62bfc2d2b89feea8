"""The Python way: searching, deriving, training and upscaling as functions, and a search that others drive."""
import json
import math
import sys

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from small_run import small_search, write_options

import deconas_plugin
from deconas_plugin.errors import DataError, DeCoNASError, GenotypeError, OptionError
from deconas_plugin.inference.upscaler import Upscaler
from deconas_plugin.space.genotype import SearchSpace

TINY = {'num_feat': 8, 'num_block': 1, 'num_layer': 2}


@pytest.fixture(scope='module')
def searched(tmp_path_factory):
    """A search of two rounds that was left after the first and continued, its derived and its trained network."""
    root = tmp_path_factory.mktemp('root')
    options = small_search(root)
    search = deconas_plugin.search(options, root=root, train={'total_iter': 6}, name='mine')
    for first in search:  # noqa: B007
        break
    begun = [path.name for path in (search.folder / 'training_states').glob('*')]
    rest = list(search)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        derived = search.derive(num_samples=2)
        trained = deconas_plugin.train(derived, root=root, train={'total_iter': 2}, logger={'use_tb_logger': False})
    return search, first, begun, rest, derived, trained


def test_a_search_yields_its_rounds_and_goes_on_where_the_loop_was_left(searched):
    search, first, begun, rest, *_ = searched
    assert begun == ['4.state']
    assert [one.iter for one in (first, *rest)] == [4, 6]
    assert search.rounds == [4, 6] and list(search) == []
    assert {'reward', 'psnr', 'entropy'} <= first.figures.keys()
    rewards = [candidate.reward for candidate in first.candidates]
    assert rewards == sorted(rewards, reverse=True) and first.best is first.candidates[0]
    assert str(first).startswith(f'iter 4: best reward {rewards[0]:.3f} dB, ')


def test_a_search_gives_the_same_as_the_command_does(searched, monkeypatch, capsys):
    search, *_ = searched
    root = search.folder.parents[1]
    for module in ('runs.pipeline', 'files.paths'):
        monkeypatch.setattr(f'deconas_plugin.{module}.project_root', lambda: root)
    monkeypatch.setattr('deconas_plugin.runs.pipeline.run_derivation', lambda folder, deadline: None)
    monkeypatch.setattr('deconas_plugin.runs.pipeline.write_report', lambda folder: folder)
    monkeypatch.setattr(sys, 'argv', ['deconas', 'search'])
    from deconas_plugin.commands import main
    path = write_options(root, search.options)
    assert main(['search', '-opt', str(path), '--force_yml', 'name=typed']) == 0
    lines = [[{key: value for key, value in json.loads(line).items() if key != 'time'}
              for line in (root / 'experiments' / name / 'search_history.jsonl').read_text().splitlines()]
             for name in ('mine', 'typed')]
    assert lines[0] == lines[1] and len(lines[0]) == 12


def test_history_best_and_front_of_a_search(searched):
    search, _, _, rest, *_ = searched
    history = search.history
    assert {len(column) for column in history.values()} == {12}
    assert {'genotype', 'iter', 'psnr', 'reward', 'params', 'mult_adds', 'penalty_params'} <= history.keys()
    assert search.best == rest[-1].best
    costs = [candidate.cost.mult_adds for candidate in search.front]
    psnrs = [candidate.psnr for candidate in search.front]
    assert costs == sorted(costs) and psnrs == sorted(psnrs)
    assert max(candidate.psnr for candidate in rest[-1].candidates) == psnrs[-1]


def test_what_was_derived_and_trained(searched):
    search, *_, derived, trained = searched
    written = yaml.safe_load((derived.folder / 'genotype.yml').read_text())
    assert str(derived.candidate) == written['genotype']['bits']
    assert derived.candidate.psnr == written['result']['psnr']
    assert [candidate.cost.mult_adds for candidate in derived.front] == sorted(
        candidate.cost.mult_adds for candidate in derived.front) != []
    assert str(derived.network().genotype) == str(derived.candidate) == str(trained.network().genotype)
    assert derived._repr_svg_().startswith('<svg') and str(derived.candidate) in derived._repr_svg_()
    assert trained.folder.name == 'mine_derived' and math.isfinite(trained.metrics['val/psnr'])
    again = deconas_plugin.derive(search.folder, 'again', num_samples=2, max_params=12000)
    assert again.candidate.cost.params <= 12000 and again.candidate in search.space


def test_the_report_of_a_search(searched, monkeypatch):
    search, *_ = searched
    monkeypatch.setattr('deconas_plugin.api.searching.write_report', lambda folder: folder / 'report.html')
    assert search.report() == search.folder / 'report.html'


@pytest.mark.parametrize(('changes', 'message'), [
    ({'train': {'total_itr': 5}}, 'train.total_itr: unknown option; did you mean total_iter?'),
    ({'search.controller_freq': 0}, r'search.controller_freq: expected at least 1, got 0 \(the given options\)'),
    ({'search': {'warmup_iter': 8}}, 'search.warmup_iter: expected a controller round'),
    ({'search': {'strategy': {'type': 'randm'}}}, 'search.strategy.type'),
])
def test_mistakes_are_those_of_an_option_file(tmp_path, changes, message):
    with pytest.raises(OptionError, match=message) as caught:
        deconas_plugin.search(small_search(tmp_path), root=tmp_path, **changes)
    assert '\n' not in str(caught.value) and '--force_yml' not in str(caught.value)
    assert not (tmp_path / 'experiments').exists()


def test_a_dict_with_a_type_takes_the_place_of_a_section(tmp_path):
    options = small_search(tmp_path)
    search = deconas_plugin.search(options, root=tmp_path, search={'strategy': {'type': 'random'}})
    assert search.options['search']['strategy'] == {'type': 'random'}
    assert options['search']['strategy']['type'] == 'reinforce'
    with pytest.raises(DataError, match='the search has not begun'):
        assert search.best


def test_a_signal_is_a_keyboard_interrupt_and_the_last_step_is_saved(tmp_path, monkeypatch):
    from deconas_plugin.training.signals import StopRequest
    search = deconas_plugin.search(small_search(tmp_path), root=tmp_path)
    monkeypatch.setattr(StopRequest, 'agreed', lambda stop: 2)
    with pytest.raises(KeyboardInterrupt, match='iterate again to go on'):
        search.run()
    assert [path.name for path in (search.folder / 'training_states').glob('*')] == ['1.state']


def test_a_space_to_play_with():
    space = deconas_plugin.search_space()
    assert (space.num_genotypes, space.num_bits) == (2**30, 30)
    published = space.candidate('111 110100 011000010 010011100001')
    assert published.cost.params == 1_693_251 and '382.7' in f'{published.cost.mult_adds / 1e9:.1f}'
    assert sum(parameter.numel() for parameter in published.network().parameters()) == published.cost.params
    assert space.smallest.cost.params < published.cost.params < space.largest.cost.params
    assert published in space and published not in deconas_plugin.search_space('light')
    assert [str(one) for one in space.sample(3, seed=1)] == [str(one) for one in space.sample(3, seed=1)]
    assert published._repr_svg_().count('<svg') == 1
    assert deconas_plugin.search_space('search_x2_quick', num_feat=16).largest.network().num_feat == 16
    assert deconas_plugin.search_space({'network_g': TINY}).num_bits == 9
    with pytest.raises(GenotypeError, match='expected 30 bits'):
        space.candidate('111')
    with pytest.raises(OptionError, match='num_blck'):
        deconas_plugin.search_space(num_blck=3)


def test_a_candidate_is_a_genotype_file(tmp_path):
    found = deconas_plugin.search_space('light').sample(seed=3)
    found.save(tmp_path / 'genotype.yml')
    assert deconas_plugin.Genotype.load(tmp_path / 'genotype.yml') == found.genotype


@pytest.mark.parametrize('strategy', ['random', 'evolution', 'reinforce',
                                      {'type': 'evolution', 'population': 8, 'tournament': 2}])
def test_a_search_that_others_drive_goes_on_from_a_file_as_if_it_had_never_stopped(tmp_path, strategy):
    def started():
        space = deconas_plugin.search_space(**TINY)
        return deconas_plugin.AskTell(space, strategy, [{'type': 'params', 'weight': 2.0}], seed=4)

    one = started()
    for _ in range(4):
        trials = one.ask(4)
        torch.rand(3)  # what others draw is nothing to it
        one.tell(trials[::-1], [sum(trial.genotype.bits) for trial in trials[::-1]])
    waiting = one.ask()
    one.save(tmp_path / 'search.state')
    other = started()
    assert [trial.number for trial in other.load(tmp_path / 'search.state')] == [waiting.number] == [16]
    assert other.history == one.history and other.best == one.best and other.front == one.front
    for search in (one, other):
        search.tell(search.trials[-1], 3.0)
    assert [str(trial.genotype) for trial in one.ask(5)] == [str(trial.genotype) for trial in other.ask(5)]


def test_rewards_of_trials_are_less_the_penalty_and_failures_teach_nothing():
    search = deconas_plugin.AskTell(deconas_plugin.search_space(**TINY), penalty=[{'type': 'mult_adds', 'weight': 3.0}])
    assert search.best is None and search.front == []
    first, second, third = search.ask(3)
    search.tell(second, 30.0)
    search.tell([first, third], [math.nan, None])
    assert [trial.state for trial in search.trials] == ['failed', 'done', 'failed']
    share = second.candidate.cost.mult_adds / search.space.largest.cost.mult_adds
    assert search.best.reward == pytest.approx(30 - 3 * share) and search.front == [search.best]
    assert search.history['reward'] == [None, search.best.reward, None]
    assert len(search.strategy.population) == 1
    with pytest.raises(DeCoNASError, match='trial 1, which is done'):
        search.tell(second, 31.0)
    with pytest.raises(DeCoNASError, match='a score for each of 1 trials, got 2'):
        search.tell([search.ask()], [1.0, 2.0])
    with pytest.raises(DeCoNASError, match='of another search'):
        deconas_plugin.AskTell(deconas_plugin.search_space(**TINY)).tell(second, 1.0)


def test_another_search_is_not_continued(tmp_path):
    deconas_plugin.AskTell(deconas_plugin.search_space(**TINY)).save(tmp_path / 'a.state')
    with pytest.raises(DeCoNASError, match='a.state: expected what a search with'):
        deconas_plugin.AskTell(deconas_plugin.search_space(**TINY), 'random').load(tmp_path / 'a.state')


def test_evolution_finds_a_planted_network_without_a_supernet():
    space = deconas_plugin.search_space(num_block=1, num_layer=3)
    planted = space.sample(seed=5).genotype.bits
    search = deconas_plugin.AskTell(space, {'type': 'evolution', 'population': 20, 'tournament': 5}, seed=1)
    for _ in range(400):
        trial = search.ask()
        search.tell(trial, sum(a == b for a, b in zip(trial.genotype.bits, planted, strict=True)))
    assert search.best.psnr == space.num_bits == 18


@pytest.fixture(scope='module')
def picture():
    return np.random.default_rng(0).integers(0, 256, (24, 20, 4), dtype=np.uint8)


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'float32', 'grey', 'alpha'])
def test_arrays_are_upscaled_as_what_they_are(picture, kind):
    image = {'uint8': picture[..., :3], 'uint16': picture[..., :3].astype(np.uint16) * 257,
             'float32': picture[..., :3].astype(np.float32) / 255, 'grey': picture[..., 0], 'alpha': picture}[kind]
    before = image.copy()
    result = deconas_plugin.upscale(image, 'DeCoNASNet_x2_24G', backend='torch')
    assert (image == before).all()
    assert (result.shape, result.dtype) == ((48, 40, *image.shape[2:]), image.dtype)
    whole = {'float32': 1, 'uint16': 65535}.get(kind, 255)
    assert 0.1 * whole < result.mean() < 0.9 * whole and result.max() <= whole
    if kind in ('uint16', 'float32'):
        eight = deconas_plugin.upscale(picture[..., :3], 'DeCoNASNet_x2_24G', backend='torch')
        assert abs(result / whole - eight / 255).max() < 1 / 255


def test_files_and_images_of_pil_are_upscaled_alike(picture, tmp_path):
    image = Image.fromarray(picture)
    image.save(tmp_path / 'a.png')
    from_file = deconas_plugin.upscale(tmp_path / 'a.png', scale=2, backend='torch')
    assert from_file.mode == 'RGBA' and from_file.size == (40, 48)
    assert from_file.tobytes() == deconas_plugin.upscale(image, scale=2, backend='torch').tobytes()
    turned = image.convert('RGB')
    turned.getexif()[0x112] = 6
    turned.save(tmp_path / 'a.jpg', exif=turned.getexif(), quality=100)
    with Image.open(tmp_path / 'a.jpg') as opened:
        assert deconas_plugin.upscale(opened, backend='torch').size == (48, 40)
    assert deconas_plugin.upscale(image.convert('CMYK'), backend='torch').mode == 'RGB'


@pytest.mark.parametrize(('image', 'message'), [
    (np.zeros((4, 4, 3), np.int32), 'expected uint8, uint16 or floats'),
    (np.zeros((4, 4, 2), np.uint8), r'expected the shape .* got \(4, 4, 2\)'),
    (np.full((4, 4), 2.0), 'expected floats in .0, 1., got 2 to 2'),
    (np.full((4, 4), np.nan), 'expected floats in .0, 1., got nan to nan'),
    ('missing.png', 'missing.png: cannot be read'),
])
def test_what_is_no_image_is_named(image, message):
    with pytest.raises(DataError, match=message):
        deconas_plugin.upscale(image, backend='torch')


def test_the_network_is_kept_for_the_next_image(picture, monkeypatch):
    deconas_plugin.upscale(picture, 'DeCoNASNet_x2_24G', backend='torch')
    monkeypatch.setattr(Upscaler, '__init__', None)
    assert deconas_plugin.upscale(picture, 'DeCoNASNet_x2_24G', backend='torch').shape == (48, 40, 4)


def test_public_names_are_at_the_top():
    for name in deconas_plugin.__all__:
        assert callable(getattr(deconas_plugin, name)), name
    assert deconas_plugin.load is deconas_plugin.load_network
    assert deconas_plugin.space.genotype.SearchSpace is SearchSpace  # the room is there too
    with pytest.raises(AttributeError, match='serch'):
        deconas_plugin.serch  # noqa: B018
