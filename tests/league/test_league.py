"""The league: members trained alike, whole or in pieces; what it says of them; what it refuses before it trains."""
import csv
import json
import math
import shutil
from collections import defaultdict
from pathlib import Path

import pytest
import torch
import yaml
from basicsr.archs.ecbsr_arch import ECBSR
from benchmark_fixture import make_test_sets
from lmdb_fixture import paired_lmdb
from run_fixture import changed
from torch.utils.flop_counter import FlopCounterMode

import deconas_plugin
from deconas_plugin.cost.modules import count_network, merge_branches
from deconas_plugin.errors import DeCoNASError, Interrupted
from deconas_plugin.league import league
from deconas_plugin.league import members as league_members
from deconas_plugin.league.league import League
from deconas_plugin.league.members import load_league
from deconas_plugin.league.standings import Standing, seed_limit, winners, write_report
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.options import check as checker
from deconas_plugin.training.signals import StopRequest

ROOT = Path(__file__).resolve().parents[2]
OWN = {'type': 'DeCoNASNet', 'genotype': '100 010010', 'num_feat': 8, 'num_block': 1, 'num_layer': 2, 'upscale': 2}
ECB = {'type': 'ECBSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_block': 1, 'num_channel': 8, 'with_idt': True,
       'act_type': 'prelu', 'scale': 2}
COMPACT = {'type': 'SRVGGNetCompact', 'num_feat': 8, 'num_conv': 1, 'upscale': 2}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """Sections of datasets, and the folder of test sets."""
    folder = tmp_path_factory.mktemp('data')
    sections = {}
    for key, count, size in (('train', 6, 48), ('choose', 2, 32), ('val', 3, 32)):
        gt, lq = paired_lmdb(folder / key, count=count, size=size)
        sections[key] = {'name': f'photos_{key}', 'type': 'DeCoNASPatchDataset', 'dataroot_gt': gt, 'dataroot_lq': lq,
                         'io_backend': {'type': 'lmdb'}}
    sections['train'].update(gt_size=16, num_worker_per_gpu=0, batch_size_per_gpu=2, dataset_enlarge_ratio=2)
    return sections, make_test_sets(folder, sizes={'Set5': [(48, 40), (37, 51)], 'Set14': [(40, 40)]})


def options(data, **changes):
    sections, test_data = data
    return changed({
        'name': 'small', 'scale': 2, 'num_gpu': 0, 'max_mult_adds': 3.0e9, 'budgets': [1.0e9], 'seeds': [0, 1],
        'learning_rates': [0.001, 0.004], 'rate_iter': 3,
        'datasets': {key: dict(section) for key, section in sections.items()},
        'test_sets': ['Set5'], 'test_data': str(test_data),
        'train': {'total_iter': 6, 'warmup_iter': 2, 'ema_decay': 0.9, 'precision': 'float32',
                  'optim_g': {'type': 'Adam'}, 'scheduler': {'type': 'WarmupCosineLR'},
                  'pixel_opt': {'type': 'L1Loss'}},
        'members': [{'name': 'ours', 'network_g': dict(OWN)}, {'name': 'ECBSR', 'network_g': dict(ECB)},
                    {'name': 'compact', 'network_g': dict(COMPACT)}],
    }, **changes)


def write(opt, folder):
    path = folder / 'league.yml'
    folder.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump(opt))
    return path


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(league, 'LATENCY_ROUNDS', 1)
    monkeypatch.setattr(torch.backends.cudnn, 'benchmark', False)  # the pipeline sets it; this puts it back


@pytest.fixture(scope='module')
def finished(data, tmp_path_factory):
    """Folder of a league that nothing interrupted, and the patches that each training saw, by network and seed."""
    folder, seen = tmp_path_factory.mktemp('whole'), defaultdict(list)
    feed_data = DeCoNASModel.feed_data

    def watched(model, batch):
        seen[model.opt['name']].append((batch['lq'].clone(), batch['gt'].clone()))
        feed_data(model, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(league, 'LATENCY_ROUNDS', 1)
        patch.setattr(DeCoNASModel, 'feed_data', watched)
        League(write(options(data), folder), folder / 'out').run()
    return folder / 'out', seen


def members(folder):
    return json.loads((folder / 'league.json').read_text())['members']


def test_every_member_gets_the_same_patches_in_the_same_order(finished):
    _, seen = finished
    assert len(seen) == 3 * (2 + 2)
    by_seed = defaultdict(list)
    for name, batches in seen.items():
        seed, steps = name.split('_seed')[1].split('_')
        assert len(batches) == int(steps)
        by_seed[seed].append(batches)
    for trainings in by_seed.values():
        for batches in trainings:
            for ours, theirs in zip(batches, trainings[0], strict=False):
                assert all(torch.equal(*pair) for pair in zip(ours, theirs, strict=True))
    assert not torch.equal(by_seed['0'][0][0][1], by_seed['1'][0][0][1])


@pytest.mark.parametrize('ends, chosen', [
    ({0.004: 31, 0.001: 30}, 0.004),   # the trials decide
    ({0.004: 9, 0.001: 30}, 0.001),    # diverged
    ({0.004: 27, 0.001: 26}, 0.004),   # no rate holds: the best there is
])
def test_a_rate_that_is_too_high_for_the_whole_training_gives_way(data, tmp_path, monkeypatch, ends, chosen):
    trials = {0.001: 28.5, 0.004: 29}

    def planted(member, options):
        rate = options['train']['optim_g']['lr']
        return {'psnr': {3: trials, 6: ends}[options['train']['total_iter']][rate]}

    small = League(write(options(data), tmp_path), tmp_path / 'out')
    member = small.members[0]
    assert small._kept_rate(member) is None
    found = small._try_rates(member, planted)
    assert list(found.items()) == [(0.004, 29), (0.001, 28.5)]
    assert small._choose_rate(member, found, planted) == chosen
    assert small._kept_rate(member) == chosen


def test_the_table_says_what_was_measured(finished):
    folder, _ = finished
    found = members(folder)
    assert [row['psnr'] for row in found] == sorted((row['psnr'] for row in found), reverse=True)
    assert all(len(row['scores']) == 2 and row['scores'][0] != row['scores'][1] for row in found)
    assert all(row['latency'] > 0 and row['rate'] in (0.001, 0.004) and row['rate_at_end'] for row in found)
    costs = {row['name']: row['mult_adds'] for row in found}
    convolutions = 9 * (3 * 8 + 8 * 8 + 8 * 12)
    assert costs['ECBSR'] == costs['compact'] == 640 * 360 * convolutions
    text = (folder / 'league.md').read_text()
    assert text.count('± ') == 3 and 'PSNR on photos_val (dB)' in text and 'Set5 PSNR / SSIM' in text
    assert 'At most 1 G: ' in text and 'At most 3 G: ' in text
    rows = list(csv.DictReader((folder / 'league.csv').open()))
    assert [float(row['PSNR [dB]']) for row in rows] == pytest.approx([row['psnr'] for row in found], abs=1e-4)
    assert (folder / 'league.png').read_bytes().startswith(b'\x89PNG')


def test_in_pieces_it_ends_the_same(data, finished, tmp_path, monkeypatch, quick):
    whole, _ = finished
    path = write(options(data, members=options(data)['members'][:2], seeds=[0]), tmp_path)
    steps, late = [0], [5]

    def counted(model, current_iter, original=DeCoNASModel.optimize_parameters):
        steps[0] += 1
        original(model, current_iter)

    monkeypatch.setattr(DeCoNASModel, 'optimize_parameters', counted)
    monkeypatch.setattr(StopRequest, 'late', property(lambda stop: steps[0] >= late[0]))
    for _ in range(20):
        try:
            League(path, tmp_path / 'out', max_minutes=60).run()
            break
        except Interrupted as interrupted:
            assert interrupted.signum == 0 and 'max_minutes is up' in str(interrupted)
            late[0] = steps[0] + 5
            text = (tmp_path / 'out/league.md').read_text()
            assert 'not trained yet' in text or text.count('\n| ') < 4
    assert late[0] > 15 and steps[0] == 2 * (2 * 3 + 6)
    ours, theirs = ({row['name']: (row['rate'], row['scores'][0]) for row in members(folder)}
                    for folder in (tmp_path / 'out', whole))
    assert ours == {name: theirs[name] for name in ours} and len(ours) == 2


def test_a_seed_and_a_member_can_be_added_to_a_league_that_is_done(data, finished, tmp_path, monkeypatch, quick):
    whole, _ = finished
    shutil.copytree(whole, tmp_path / 'out')
    opt = options(data, seeds=[0, 1, 2], test_sets=['Set5', 'Set14'])
    opt['members'][0]['network_g']['genotype'] = '100 111111'
    trained = []
    monkeypatch.setattr(league, 'run_training', lambda task, path, run=league.run_training, **keywords: (
        trained.append(Path(path).stem), run(task, path, **keywords)))
    League(write(opt, tmp_path), tmp_path / 'out').run()
    assert len(trained) == (2 + 3) + 1 + 1 and sum('ours' in name for name in trained) == 5
    found = members(tmp_path / 'out')
    assert [len(row['scores']) for row in found] == [3, 3, 3]
    assert {tuple(score) for row in found for score in row['scores']} == {('val', 'Set5', 'Set14')}
    assert 'Set14 PSNR / SSIM' in (tmp_path / 'out/league.md').read_text()


def test_who_is_done_stays_in_the_table_while_others_train(data, finished, tmp_path, quick):
    whole, _ = finished
    shutil.copytree(whole, tmp_path / 'out')
    opt = options(data)
    opt['members'].append({'name': 'new', 'network_g': {**COMPACT, 'num_conv': 2}})
    with pytest.raises(Interrupted):
        League(write(opt, tmp_path), tmp_path / 'out', max_minutes=0).run()
    done = {row['name']: row['scores'] for row in members(tmp_path / 'out')}
    assert done == {row['name']: row['scores'] for row in members(whole)} and len(done) == 3


def test_no_time_is_left(data, finished, tmp_path, quick):
    with pytest.raises(Interrupted, match='The time of --max-minutes is up. The same command continues') as caught:
        League(write(options(data), tmp_path), tmp_path / 'out', max_minutes=0).run()
    assert caught.value.signum == 0


@pytest.mark.parametrize('changes, message', [
    ({'max_mult_adds': 0.5e9}, r'members: .*expected at most 0.5 G Mult-Adds @720p \(max_mult_adds\), it has 1.3 G'),
    ({'members': [{'name': 'x3', 'network_g': {**COMPACT, 'upscale': 3}}]},
     'members: x3: network_g.upscale: expected the scale 2, got 3'),
    ({'members': [{'name': 'x4', 'network_g': {**ECB, 'scale': 4}}]},
     'members: x4: network_g: ECBSR cannot upscale an image: .* and the scale is 2'),
    ({'members': [{'name': 'gray', 'network_g': {**ECB, 'num_in_ch': 1}}]},
     'members: gray: network_g.num_in_ch: expected 3, as many channels as the images'),
    ({'members': [{'name': 'a', 'network_g': COMPACT}] * 2}, 'members: two are called a'),
    ({'members': []}, 'members: expected a list of different networks'),
    ({'members': [{'name': 'b', 'network_g': {'type': 'RRDBNett'}}]}, "members: b: .*'RRDBNett'; did you mean RRDBNet"),
    ({'members': [{'name': 'z', 'network_g': {'type': 'DeCoNASNet', 'pretrained': 'DeCoNASNet_x2_24G'}}]},
     'members: z: expected no network_g.pretrained'),
    ({'members': [{'name': 'g', 'network_g': {'type': 'DeCoNASNet', 'genotype': 'none.yml'}}]}, 'cannot read none.yml'),
    ({'seeds': [-1]}, 'seeds: expected whole numbers of at least 0, got -1'),
    ({'learning_rates': [0.1, 0.0]}, 'learning_rates: expected numbers above 0, got 0.0'),
    ({'budgets': [-1.0e9]}, 'budgets: expected numbers above 0, got -1'),
    ({'seeds': [0, 0]}, 'seeds: expected a list of different whole numbers'),
    ({'learning_rates': ['1e-3']}, 'learning_rates: expected a list of different numbers'),
    ({'train.optim_g': {'type': 'Adam', 'lr': 0.1}}, 'train.optim_g.lr: expected none in a league'),
    ({'train.scheduler': {'type': 'MultiStepLR', 'milestones': [3]}}, 'train.scheduler.type: expected WarmupCosineLR'),
    ({'rate_iter': 7}, r'rate_iter: expected at most train.total_iter \(6\), got 7'),
    ({'max_mult_adds': -1.0}, 'max_mult_adds: expected more than 0'),
    ({'budget': 3}, 'budget: unknown option; did you mean budgets'),
])
def test_mistakes_are_named_before_anything_is_trained(data, tmp_path, changes, message, monkeypatch):
    monkeypatch.setattr(league, 'run_training', None)
    path = write(options(data, **changes), tmp_path)
    with pytest.raises(DeCoNASError, match=message) as caught:
        League(path, tmp_path / 'out')
    assert '\n' not in str(caught.value) and str(caught.value).count(str(path)) == 1
    assert not (tmp_path / 'out').exists()


def test_images_that_serve_two_purposes_are_refused(data, tmp_path):
    opt = options(data)
    opt['datasets']['choose'] = {**opt['datasets']['val'], 'name': 'again'}
    with pytest.raises(DeCoNASError, match='datasets.val: expected other images than datasets.choose'):
        load_league(write(opt, tmp_path))


def test_weights_of_another_scale_and_a_folder_of_another_league_are_refused(data, finished, tmp_path):
    from deconas_plugin.archs.deconas_arch import DeCoNASNet
    keywords = {key: value for key, value in OWN.items() if key not in ('type', 'upscale')}
    weights = tmp_path / 'x3.pth'
    torch.save({'params': DeCoNASNet(**keywords, upscale=3).state_dict()}, weights)
    opt = options(data)
    opt['members'][0]['weights'] = str(weights)
    with pytest.raises(DeCoNASError, match='members: ours: .*expected weights for scale 2, found those for 3'):
        load_league(write(opt, tmp_path))
    with pytest.raises(DeCoNASError, match='it holds results with train.total_iter 6, not 5; give another --output'):
        League(write(options(data, **{'train.total_iter': 5}), tmp_path), finished[0])


def test_a_genotype_file_tells_its_sizes(data, tmp_path):
    from deconas_plugin.space.genotype import Genotype
    found = Genotype.parse('100 010010', 1, 2)
    (tmp_path / 'genotype.yml').write_text(yaml.safe_dump({'genotype': found.to_dict()}))
    network = {'type': 'DeCoNASNet', 'genotype': str(tmp_path / 'genotype.yml'), 'num_feat': 8, 'upscale': 2}
    opt = options(data, members=[{'name': 'file', 'network_g': network}, {'name': 'text', 'network_g': dict(OWN)}])
    (first, second), costs = (load_league(write(opt, tmp_path))[1] for _ in range(2))
    assert first.cost == second.cost and first.network_g['num_layer'] == 2
    assert first.network_g['genotype'] == '100 010010' and len({member.key for member in costs}) == 2


def test_a_genotype_file_tells_the_sizes_that_were_chosen(data, tmp_path):
    found = deconas_plugin.search_space('light').candidate('v2 16ch 2b 3l both silu 1010 10010110 000100100001')
    found.save(tmp_path / 'genotype.yml')
    network = {'type': 'DeCoNASNet', 'genotype': str(tmp_path / 'genotype.yml'), 'upscale': 2, 'tail': 'light',
               'residual': 'bicubic'}
    (member, ) = load_league(write(options(data, members=[{'name': 'file', 'network_g': network}],
                                           max_mult_adds=10e9), tmp_path))[1]
    assert (member.cost.params, member.cost.mult_adds) == (found.cost.params, found.cost.mult_adds)


def test_ecbsr_is_counted_with_its_branches_merged():
    torch.manual_seed(0)
    net = ECBSR(3, 3, 2, 8, True, 'prelu', 2)
    image = torch.rand(1, 3, 12, 10)
    merged = merge_branches(net)
    with torch.no_grad():
        torch.testing.assert_close(merged(image), net.train()(image), atol=1e-5, rtol=1e-5)
        with FlopCounterMode(display=False) as counter:
            merged(image)
    assert counter.get_total_flops() // 2 == 120 * 9 * (3 * 8 + 2 * 8 * 8 + 8 * 12)
    cost = count_network(merged, 2, 'ECBSR')
    assert cost.params == sum(9 * a * b + b for a, b in ((3, 8), (8, 8), (8, 8), (8, 12))) + 3 * 8
    assert net.training and sum(p.numel() for p in net.parameters()) > 3 * cost.params


def standing(name, giga, *psnrs):
    scores = [{'val': {'psnr': psnr, 'ssim': 0.9}} for psnr in psnrs]
    return Standing(name, False, 1000, int(giga * 1e9), 5.0, 0.001, False, scores)


def test_winners_at_each_budget_and_what_seeds_explain(tmp_path):
    ranked = [standing('large', 24, 31.0, 31.2), standing('small', 9, 30.8, 31.0), standing('new', 20)]
    opt = {'name': 'n', 'scale': 2, 'budgets': [5e9, 10e9], 'max_mult_adds': 25e9, 'seeds': [0, 1],
           'datasets': {'val': {'name': 'photos'}}}
    # Of scipy.stats.ttest_ind(..., equal_var=False).confidence_interval(): half its length.
    assert seed_limit(standing('a', 1, 33.0, 33.1, 33.3), standing('b', 1, 32.0, 32.5)) == pytest.approx(
        2.1142, abs=1e-4)
    assert seed_limit(*[standing('same', 1, 33.0, 33.0)] * 2) == 0 and math.isnan(seed_limit(ranked[0], ranked[2]))
    assert winners(ranked, opt) == [
        'At most 5 G: no member so far.', 'At most 10 G: small, 30.900 dB.',
        'At most 25 G: large, 31.100 dB, 0.200 dB before small (not more than seeds explain: 0.608 dB).']
    write_report(opt, ranked, ['a note'], tmp_path)
    lines = (tmp_path / 'league.md').read_text().splitlines()
    assert [line.split(' | ')[1] for line in lines if line.startswith('| 1') or line.startswith('| 2')] == [
        'large', 'small']
    assert any('| 5 ms |' in line for line in lines)
    assert any('new' in line and 'not trained yet' in line for line in lines) and '- a note' in lines


@pytest.mark.parametrize('path', sorted((ROOT / 'options').glob('league_*.yml')), ids=lambda path: path.stem)
def test_shipped_leagues_fill_their_budgets(path, monkeypatch):
    monkeypatch.setattr(checker, 'check_data', lambda opt, task: None)
    monkeypatch.setattr(league_members, 'paired_images', lambda *_: (set(), 0))
    opt, found = load_league(path)
    assert len(found) >= 6 and len(opt['seeds']) >= 2
    assert all(0.85 <= member.cost.mult_adds / opt['max_mult_adds'] <= 1 for member in found)
    assert sum(member.is_own for member in found) >= 3
    if path.stem != 'league_x2_choices':  # which is of our own networks alone
        assert not all(member.is_own for member in found)


def test_changes_know_the_keys_of_leagues(data, tmp_path):
    opt = options(data)
    del opt['budgets'], opt['test_sets']
    path = write(opt, tmp_path)
    changed = load_league(path, ['budgets=[5.0e+8]', 'test_sets=[Set5]'])[0]
    assert (changed['budgets'], changed['test_sets']) == ([5e8], ['Set5'])
    with pytest.raises(DeCoNASError, match='--force_yml: search: unknown option'):
        load_league(path, ['search.num_samples=3'])
