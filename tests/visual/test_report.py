"""The report is made of whatever an experiment has written so far, needs nothing else, and says what is missing."""
import base64
import hashlib
import json
import math
import re
import time
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import yaml
from basicsr.utils.matlab_functions import imresize
from experiment_fixture import add_images, add_inherited_weights, add_supernet_weights, write_log, write_search

from deconas_plugin.cost.pareto import front
from deconas_plugin.errors import DataError
from deconas_plugin.search.history import comparable
from deconas_plugin.space.genotype import NAMED_GENOTYPES, Genotype, SearchSpace
from deconas_plugin.visual import report_sections
from deconas_plugin.visual.bits import MAX_ROUNDS, probability_image, thin
from deconas_plugin.visual.curves import MAX_POINTS, summarise
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report import _breakable, write_report
from deconas_plugin.visual.report_summary import duration, giga, kilo, power_of_two
from deconas_plugin.visual.samples import CROP, make_sample, validation_pairs
from deconas_plugin.visual.trade_off import draw_trade_off
from deconas_plugin.visual.train_log import parse_log
from tools.report import main

VOID = {'meta', 'link', 'img', 'br', 'input', 'hr', 'wbr'}


class Page(HTMLParser):
    """What a report consists of.

    Attributes:
        sections (dict[str, str]): Text of every section, by its id.
        unclosed (list[str]): Elements that do not match.
        addresses (list[str]): All that a browser might fetch or go to.
    """

    def __init__(self, html):
        super().__init__()
        self.sections, self.unclosed, self.addresses = {}, [], []
        self._open, self._section = [], None
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        for key, value in attributes.items():
            self.addresses += [value] * (key in ('src', 'href', 'xlink:href', 'action'))
            self.addresses += re.findall(r'url\(([^)]*)\)', value or '')
        if tag == 'section':
            self._section = attributes['id']
            self.sections[self._section] = ''
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unclosed.append(tag)
        if tag == 'section':
            self._section = None

    def handle_data(self, data):
        if self._section:
            self.sections[self._section] += data

    @property
    def missing(self):
        """dict[str, str]: Why a section is not shown."""
        parts = {name: text.split('Not shown: ') for name, text in self.sections.items()}
        return {name: part[1].strip() for name, part in parts.items() if len(part) > 1}


def report_on(folder):
    html = write_report(folder).read_text(encoding='utf-8')
    page = Page(html)
    assert not page.unclosed
    return html, page


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A finished search with images, weights and report; tests only read it."""
    folder = write_search(tmp_path_factory.mktemp('experiments') / 'search_test')
    add_images(folder)
    add_inherited_weights(folder)
    # Processor time: other processes of the machine do not count.
    started = time.process_time()
    write_report(folder)
    assert time.process_time() - started < 20
    return folder


@pytest.fixture(scope='module')
def html(finished):
    return (finished / 'report.html').read_text(encoding='utf-8')


@pytest.fixture
def no_pictures(monkeypatch):
    """Builds all figures but does not render them, which takes most of the time."""
    monkeypatch.setattr(report_sections, 'to_inline_svg', lambda figure, name, description: f'<svg id="{name}"></svg>')


def test_finished_search_has_every_section_in_one_small_file(finished, html):
    page = Page(html)
    assert len(html.encode()) < 3e6
    assert list(page.sections) == [
        'result', 'network', 'search', 'bits', 'trade_off', 'best_ten', 'training', 'samples', 'time', 'options']
    assert page.missing == {}
    assert all(address.startswith(('#', 'data:')) for address in page.addresses)
    assert not list(finished.glob('*.part'))


def test_numbers_of_the_experiment_are_on_the_page(finished, html):
    page = Page(html)
    experiment = Experiment(finished)
    genotype = experiment.derived['genotype']
    assert str(genotype) in page.sections['result']
    assert 'train.py -opt' in page.sections['result'] and 'derived/test_derived.yml' in page.sections['result']
    assert 'max_params' not in page.sections['result']
    cost = experiment.counter.count(genotype)
    assert f'<dd>{kilo(cost.params)}</dd>' in html and f'<dd>{giga(cost.mult_adds)}</dd>' in html
    assert '<dd>31.50 dB</dd>' in html and '<dd>48</dd>' in html and 'of 2³⁰' in html
    assert '<dd>1 h 7 min</dd>' in html and 'weights50 min 0 s75.0 %' in page.sections['time']
    assert html.count('class="strip"') == 10


def test_axes_have_names_and_units(html):
    texts = set(re.findall(r'<text[^>]*>([^<]+)</text>', html))
    assert {'reward (dB)', 'PSNR (dB)', 'penalty (dB)', 'entropy (nats)', 'parameters (K)', 'Mult-Adds @720p (G)',
            'iteration', 'probability of a 1', 'loss', 'SSIM', 'PSNR with shared weights (dB)'} <= texts
    assert {'front, last round', 'derived', 'published'} <= texts


def test_pictures_are_well_formed_and_no_id_comes_twice(html):
    svgs = re.findall(r'<svg.*?</svg>', html, flags=re.S)
    assert len(svgs) == 1 + 6 + 1 + 2 + 10 + 3
    ids = []
    for svg in svgs:
        ids += [node.attrib['id'] for node in ElementTree.fromstring(svg).iter() if 'id' in node.attrib]
    assert len(ids) == len(set(ids))


def test_running_search_is_reported_up_to_its_last_whole_line(tmp_path, no_pictures):
    folder = write_search(tmp_path / 'search', derived=False)
    with open(folder / 'search_history.jsonl', 'a') as file:
        file.write('{"iter": 7000, "ste')
    with open(next(folder.glob('*.log')), 'a') as file:
        file.write('2026-01-01 00:00:00,000 INFO: [searc..][epoch:  0, iter:   6,100, lr:(1.0e-04,)] l_pix: 9.')
    add_images(folder)
    add_supernet_weights(folder)
    html, page = report_on(folder)
    assert page.missing == {}
    assert 'At iteration 6,000 of 9,000; running, or stopped.' in html
    best = Experiment(folder)
    last = best.history['iter'] == 6000
    assert str(best.genotype) == best.history['genotype'][last][best.history['reward'][last].argmax()]
    assert 'The genotype (best of the last round)' in page.sections['result']
    assert 'best genotype of the last round with the weights of net_g_5000.pth' in page.sections['samples']


@pytest.mark.parametrize('name, sections', [
    ('search_history.jsonl', {'search', 'trade_off', 'best_ten'}),
    ('bit_probabilities.jsonl', {'bits'}),
    ('timing.json', {'time'}),
    ('options.yml', {'search', 'bits', 'best_ten', 'network'}),
    ('derived/genotype.yml', {'result', 'network'}),
    ('derived/net_g_inherited.pth', set()),
    ('train_search_test_20260101_000000.log', {'training'}),
])
@pytest.mark.parametrize('content', ['{"a": [1', '[1, 2]\n', '\0\1\2\n', b'\xff\xfe\xff\n'])
def test_what_is_broken_is_named_in_its_place(tmp_path, no_pictures, name, sections, content):
    folder = write_search(tmp_path / 'search_test', rounds=2)
    add_inherited_weights(folder)
    (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    _, page = report_on(folder)
    # Options that are text are shown even where they are no YAML.
    assert set(page.missing) - {'options'} == sections | {'samples'}
    assert all(len(reason) > 10 and '\n' not in reason for reason in page.missing.values())


@pytest.mark.parametrize('name, sections', [
    ('search_history.jsonl', {'search', 'trade_off', 'best_ten'}),
    ('bit_probabilities.jsonl', {'bits'}),
    ('timing.json', {'time'}),
    ('options.yml', {'search', 'bits', 'best_ten', 'options', 'network'}),
    ('derived/genotype.yml', set()),  # the search then counts as running
    ('train_search_test_20260101_000000.log', {'training'}),
])
def test_what_is_missing_is_named_in_its_place(tmp_path, no_pictures, name, sections):
    folder = write_search(tmp_path / 'search_test', rounds=2)
    (folder / name).unlink()
    _, page = report_on(folder)
    assert set(page.missing) == sections | {'samples'}
    assert all(len(reason) > 10 and '\n' not in reason for reason in page.missing.values())


def test_empty_folder_still_makes_a_page(tmp_path, no_pictures):
    html, page = report_on(tmp_path)
    assert 'Nothing recorded yet.' in html
    assert page.missing['training'] == 'no train_*.log in the folder yet.'


def test_training_of_a_derived_network_is_reported_too(tmp_path, no_pictures):
    folder = tmp_path / 'train_test'
    folder.mkdir()
    network = {'type': 'DeCoNASNet', 'genotype': NAMED_GENOTYPES['DeCoNASNet_x2'], 'upscale': 2}
    options = {'scale': 2, 'train': {'total_iter': 6000}, 'network_g': network}
    (folder / 'train_x2.yml').write_text(yaml.safe_dump(options))
    write_log(folder)
    html, page = report_on(folder)
    assert list(page.sections) == ['result', 'network', 'training', 'samples', 'options']
    assert '<dd>1,693 K</dd>' in html and '<dd>382.7 G</dd>' in html and '<dd>36.00 dB</dd>' in html
    assert set(page.missing) == {'samples'}
    assert 'Trained to the end, iteration 6,000.' in html


def test_texts_of_the_experiment_cannot_become_markup(tmp_path, no_pictures):
    folder = write_search(tmp_path / 'search <b>', rounds=2)
    with open(folder / 'options.yml', 'a') as file:
        file.write('note: "<script>alert(1)</script> & <img src=x>"\n')
    html, page = report_on(folder)
    assert '<script>alert' not in html and '<img src=x' not in html and '<b>' not in html
    assert '<script>alert(1)</script> & <img src=x>' in page.sections['options']


def test_large_search_stays_small_and_quick(tmp_path):
    folder = write_search(tmp_path / 'search', rounds=4)
    rows = [json.loads(line) for line in (folder / 'search_history.jsonl').read_text().splitlines()]
    with open(folder / 'search_history.jsonl', 'w') as file:
        for index in range(20000):
            row = {**rows[index % len(rows)], 'iter': 10 * (index // 10), 'step': index % 10}
            file.write(json.dumps({**row, 'params': row['params'] + index}) + '\n')
    with open(folder / 'bit_probabilities.jsonl', 'w') as file:
        for index in range(2000):
            file.write(json.dumps({'iter': 10 * index, 'probabilities': [0.5 + index / 5000] * 30}) + '\n')
    started = time.process_time()
    html, page = report_on(folder)
    assert time.process_time() - started < 20
    assert len(html.encode()) < 3e6
    assert set(page.missing) == {'samples'}


def test_other_spaces_are_reported(tmp_path):
    space = SearchSpace(2, 8, ('conv3x3', 'conv1x1'), True)
    _, page = report_on(write_search(tmp_path / 'search', space, rounds=2))
    assert set(page.missing) == {'samples'}


def test_diverged_scores_are_left_out(tmp_path, no_pictures):
    folder = write_search(tmp_path / 'search', rounds=2, derived=False)
    lines = (folder / 'search_history.jsonl').read_text().splitlines()
    broken = {**json.loads(lines[3]), 'psnr': math.nan, 'reward': math.nan, 'entropy': None, 'penalties': None}
    (folder / 'search_history.jsonl').write_text('\n'.join([*lines, json.dumps(broken)]) + '\n')
    _, page = report_on(folder)
    assert set(page.missing) == {'samples'}
    assert 'nan' not in page.sections['best_ten']


def test_tool_writes_and_names_mistakes(tmp_path, no_pictures, capsys):
    folder = write_search(tmp_path / 'search', rounds=2)
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out.strip().endswith('search/report.html')
    assert main([str(tmp_path / 'none')]) == 2
    error = capsys.readouterr().err
    assert 'expected the folder of an experiment' in error and error.count('\n') == 1


def test_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    costs, values = rng.integers(0, 30, 200).astype(float), rng.integers(0, 30, 200).astype(float)
    beaten = [any((costs <= cost) & (values >= value) & ((costs < cost) | (values > value)))
              for cost, value in zip(costs, values, strict=True)]
    expected = {(cost, value) for cost, value, worse in zip(costs, values, beaten, strict=True) if not worse}
    found = front(np.stack([costs, -values], axis=1))
    assert {(costs[i], values[i]) for i in found} == expected and len(found) == len(expected)
    assert (np.diff(costs[found]) > 0).all()


def test_patches_are_taken_out_of_scores():
    quality = np.array([1., 2., 3., 4.])
    iterations, steps = np.repeat([1, 2], 8), np.tile(np.repeat([0, 1], 4), 2)
    luck = np.repeat([5., -5., 2., 0.], 4)
    scores = comparable(np.tile(quality, 4) + luck, iterations, steps)
    # Of each round only the mean luck of its steps remains: 0 and 1.
    np.testing.assert_allclose(scores, np.concatenate([np.tile(quality, 2), np.tile(quality, 2) + 1]))
    single = np.array([1., 5., 2.])
    np.testing.assert_array_equal(comparable(single, np.ones(3), np.arange(3)), single)


@pytest.mark.parametrize(('baseline', 'corrected'), [('leave_one_out', True), ('moving_average', False)])
def test_a_baseline_of_the_same_patches_loses_their_luck_with_the_rewards(tmp_path, baseline, corrected):
    folder = write_search(tmp_path / 'search', rounds=2)
    options = yaml.safe_load((folder / 'options.yml').read_text())
    options['search']['strategy'] = {'type': 'reinforce', 'baseline': baseline}
    (folder / 'options.yml').write_text(yaml.safe_dump(options))
    rows = [json.loads(line) for line in (folder / 'search_history.jsonl').read_text().splitlines()]
    given = {key: np.array([row[key] for row in rows]) for key in ('baseline', 'reward', 'psnr')}
    history = Experiment(folder).history
    luck = given['psnr'] - history['psnr']
    assert np.abs(luck).max() > 0.01
    np.testing.assert_allclose(history['reward'], given['reward'] - luck)
    np.testing.assert_allclose(history['baseline'], given['baseline'] - corrected * luck)


def test_the_front_joins_points_of_the_last_round_alone():
    costs, psnrs = np.array([1., 2., 3., 1., 2., 3.]), np.array([40., 41., 42., 30., 29., 31.])
    figure = draw_trade_off(costs, psnrs, np.array([5, 5, 5, 9, 9, 9]), 'parameters (K)')
    line, = (line for line in figure.axes[0].lines if line.get_label() == 'front, last round')
    assert line.get_xydata().tolist() == [[1, 30], [3, 31]]


def test_commands_can_be_copied_and_no_other_script_runs(html):
    script, = re.findall(r'<script>(.*?)</script>', html, flags=re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert html.count('<button') == html.count('<pre>') - 1 > 2  # the options are shown to be read


def test_names_break_between_their_words():
    assert str(_breakable('search_x2-quick.a<b>')) == 'search_<wbr>x2-<wbr>quick.<wbr>a&lt;b&gt;'
    assert str(_breakable('__init__')) == '__<wbr>init__'


def test_summary_of_rounds():
    iterations = np.repeat([10., 20.], 11)
    xs, low, median, high = summarise(iterations, np.concatenate([np.arange(11.), np.arange(11.) + 100]))
    np.testing.assert_allclose([xs, low, median, high], [[10, 20], [1, 101], [5, 105], [9, 109]])
    xs, *_ = summarise(np.arange(10000.), np.ones(10000))
    assert len(xs) == MAX_POINTS
    assert len(summarise(np.array([1.]), np.array([np.nan]))[0]) == 0


def test_training_log_is_read_as_basicsr_writes_it(tmp_path):
    write_log(tmp_path)
    lines = next(tmp_path.glob('*.log')).read_text().split('\n')
    lines += ['2026 INFO: Bicubic photos', '\t # psnr: 29.5', '', '2026 INFO: something', '\t # psnr: 1.0']
    log = parse_log(lines)
    iterations, losses = log['losses']['l_pix']
    assert iterations[0] == 100 and iterations[-1] == 6000 and losses[-1] == pytest.approx(1 / 6000, rel=1e-4)
    assert log['metrics']['photos', 'psnr'][1][-1] == 36 and log['metrics']['photos', 'ssim'][1][0] == 0.91
    assert log['metrics']['photos, bicubic', 'psnr'][1].tolist() == [29.5]
    assert len(log['metrics']) == 3


def test_resumed_iterations_replace_the_earlier_ones():
    line = '[a..][epoch:  0, iter:     {}, lr:(1e-4,)] l_pix: {} '
    log = parse_log([line.format(100, 1.0), line.format(200, 2.0), line.format(100, 3.0)])
    assert [list(series) for series in log['losses']['l_pix']] == [[100, 200], [3.0, 2.0]]


def test_best_genotypes_are_different_ones_in_order(finished):
    experiment = Experiment(finished)
    best = experiment.best(10)
    iterations, rewards = experiment.history['iter'][best], experiment.history['reward'][best]
    assert len(set(experiment.history['genotype'][best])) == 10
    # The last round scored eight; two more come from the round before, whose rewards are those of other weights.
    assert iterations.tolist() == [6000] * 8 + [5000] * 2
    assert (np.diff(rewards[:8]) <= 0).all() and rewards[8] >= rewards[9]
    for iteration, row in ((6000, best[0]), (5000, best[8])):
        of_round = experiment.history['iter'] == iteration
        assert experiment.history['reward'][row] == experiment.history['reward'][of_round].max()


def test_published_network_is_found_in_a_space_with_fusion_bits(tmp_path):
    space = SearchSpace(search_fusion=True)
    published = Experiment(write_search(tmp_path / 'search', space, rounds=1)).published
    assert published == Genotype.parse(NAMED_GENOTYPES['DeCoNASNet_x2'] + '1' * 8)
    other = Experiment(write_search(tmp_path / 'other', SearchSpace(num_layer=3), rounds=1))
    with pytest.raises(DataError, match='does not hold the published network'):
        other.published  # noqa: B018


def test_sample_shows_the_same_crop_in_every_version():
    gt = torch.rand(3, 400, 300, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4
    gt[:, 220:400, 120:300] += 0.5 * (torch.arange(180) // 4 % 2).view(1, 1, -1)  # the only detailed part
    lq = imresize(gt, 0.5)
    sample = make_sample(lambda x: imresize(x[0], 2)[None], 'a.png', lq, gt, 2)
    assert sample.images['HR'].shape == sample.images['network'].shape == (CROP, CROP, 3)
    assert sample.images['LR'].shape == (CROP // 2, CROP // 2, 3)
    np.testing.assert_array_equal(sample.images['network'], sample.images['bicubic'])
    assert sample.psnrs['network'] == sample.psnrs['bicubic'] > 15
    shown = sample.images['HR'].astype(float)
    assert np.abs(np.diff(shown[:, :, 0], axis=1)).max(axis=1).min() > 100  # stripes in every row


def test_images_smaller_than_a_crop_are_shown_whole():
    gt = torch.rand(3, 60, 48)
    sample = make_sample(lambda x: imresize(x[0], 3)[None], 'a.png', imresize(gt, 1 / 3), gt, 3)
    assert sample.images['HR'].shape == sample.images['network'].shape == (60, 48, 3)


def test_validation_set_is_read_or_its_fault_is_named(finished):
    options = Experiment(finished).options
    pairs = validation_pairs(options)
    assert len({name for name, _, _ in pairs}) == 3
    assert all(tuple(lq.shape) == (3, 100, 120) and tuple(gt.shape) == (3, 200, 240) for _, lq, gt in pairs)
    options['datasets']['val']['dataroot_gt'] = 'no/such/folder'
    with pytest.raises(DataError, match='datasets.val cannot be read here: '):
        validation_pairs(options)
    with pytest.raises(DataError, match='name no validation set'):
        validation_pairs({'scale': 2, 'datasets': {'train': {}}})


def test_heat_map_pixels():
    image = probability_image([[0.5, 1.], [0., 0.5]], cell=2)
    assert image.shape == (4, 4, 3) and image.dtype == np.uint8
    assert image[0, 0].tolist() == [255, 255, 255]  # undecided
    assert image[2, 0].tolist() == [0, 0x72, 0xb2] and image[0, 2].tolist() == [0xe6, 0x9f, 0]
    iterations, probabilities = thin(np.arange(5000), np.zeros((5000, 3)))
    assert probabilities.shape == (MAX_ROUNDS, 3) and iterations[0] == 0 and iterations[-1] == 4999


@pytest.mark.parametrize('seconds, text', [
    (0.04, '0.0 s'), (59.94, '59.9 s'), (60, '1 min 0 s'), (3599.6, '1 h 0 min'), (22320, '6 h 12 min'),
    (7 * 86400, '7.0 days'),
])
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_counts():
    assert (kilo(1693251), giga(382663098368), power_of_two(38)) == ('1,693 K', '382.7 G', '2³⁸')
