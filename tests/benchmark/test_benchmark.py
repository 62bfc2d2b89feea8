"""The benchmark measures what BasicSR measures, and writes the same table three times."""
import csv
import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from basicsr.archs.edsr_arch import EDSR
from basicsr.data import build_dataset
from basicsr.metrics import calculate_psnr, calculate_ssim
from basicsr.models import build_model
from benchmark_fixture import SIZES, make_test_sets, save_network, upscale_by_bicubic
from lmdb_fixture import photo_like

from deconas_plugin.benchmark.measure import Sample
from deconas_plugin.benchmark.methods import WeightsMethod, weights_method
from deconas_plugin.machine.timing import PeakMemory
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.space.genotype import NAMED_GENOTYPES, Genotype
from tools.benchmark import main

ROOT = Path(__file__).resolve().parents[2]
PAPER_BICUBIC = {'Set5': [33.66, 0.9299], 'Set14': [30.24, 0.8688], 'B100': [29.56, 0.8431],
                 'Urban100': [26.88, 0.8403]}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_test_sets(tmp_path_factory.mktemp('x2'))


def run(tmp_path, *arguments, code=0):
    """The JSON of one run."""
    out = tmp_path / 'table'
    assert main([*map(str, arguments), '--out', str(out), '--workers', '1']) == code
    return json.loads(out.with_suffix('.json').read_text())


def row_of(table, model, source='measured'):
    return next(row for row in table['rows'] if (row['model'], row['source']) == (model, source))


def write_yaml(path, content):
    path.write_text(yaml.safe_dump(content))
    return path


def direct_scores(data, scale):
    """PSNR and SSIM of bicubic by BasicSR's functions on the files, without the benchmark."""
    settings = {'crop_border': scale, 'test_y_channel': True}
    scores = {}
    for name in SIZES:
        values = []
        for path in sorted((data / name / f'GTmod{scale}').iterdir()):
            hr, sr = cv2.imread(str(path)), upscale_by_bicubic(data / name / f'LRbicx{scale}' / path.name, scale)
            values.append((calculate_psnr(sr, hr, **settings), calculate_ssim(sr, hr, **settings)))
        scores[name] = np.mean(values, axis=0)
    return scores


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_bicubic_row_equals_direct_computation(tmp_path, scale):
    data = make_test_sets(tmp_path, scale, {name: [(2 * h, 2 * w) for h, w in sizes] for name, sizes in SIZES.items()})
    row = row_of(run(tmp_path, 'bicubic', '--scale', scale, '--data', data), 'Bicubic')
    for name, expected in direct_scores(data, scale).items():
        assert [row['scores'][name]['psnr'], row['scores'][name]['ssim']] == pytest.approx(expected, abs=1e-9)
    assert (row['params'], row['mult_adds']) == (None, None)
    assert row['seconds'] > 0


def test_missing_sets_are_empty_cells_and_one_note(tmp_path, data):
    table = run(tmp_path, 'bicubic', '--data', data)
    assert sorted(table['rows'][0]['scores']) == ['Set14', 'Set5']
    notes = [note for note in table['notes'] if 'Not measured' in note]
    assert len(notes) == 1 and 'B100 (' in notes[0] and 'Urban100 (' in notes[0]
    cells = [cell.strip() for cell in (tmp_path / 'table.md').read_text().splitlines()[4].split('|')]
    assert cells[6:8] == ['', '']


def test_set_with_another_number_of_images_is_pointed_out(tmp_path, data):
    notes = run(tmp_path, 'bicubic', '--data', data)['notes']
    assert any('Set5' in note and '3 images' in note and '5' in note for note in notes)


def test_set_that_lacks_an_lr_image_is_not_measured(tmp_path):
    data = make_test_sets(tmp_path)
    (data / 'Set5/LRbicx2/img_002.png').unlink()
    table = run(tmp_path, 'bicubic', '--data', data)
    assert list(table['rows'][0]['scores']) == ['Set14']
    assert 'img_002' in table['notes'][0]


def test_other_sets_and_other_spellings(tmp_path, data):
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/BSDS100').symlink_to(data / 'Set14')
    (tmp_path / 'data/Manga').symlink_to(data / 'Set5')
    table = run(tmp_path, 'bicubic', '--data', tmp_path / 'data', '--sets', 'b100', 'Manga')
    assert list(table['rows'][0]['scores']) == ['B100', 'Manga']


def test_reported_rows_are_the_papers_and_never_mixed_with_measured_ones(tmp_path, data):
    table = run(tmp_path, 'bicubic', '--data', data, '--paper')
    assert [row['source'] for row in table['rows']] == ['reported', 'measured'] + ['reported'] * 9
    reported = row_of(table, 'Bicubic', 'reported')['scores']
    assert {name: [score['psnr'], score['ssim']] for name, score in reported.items()} == PAPER_BICUBIC
    network = row_of(table, 'DeCoNASNet', 'reported')
    assert (network['params'], network['search_time']) == (1713000, '12 GPU hours')
    assert 'Urban100' not in row_of(table, 'SelNet', 'reported')['scores']
    for row in table['rows']:
        if row['source'] == 'reported':
            assert (row['seconds'], row['peak_memory'], row['images']) == (None, None, {})
        else:
            assert not {'B100', 'Urban100'} & set(row['scores'])
    lines = (tmp_path / 'table.md').read_text().splitlines()[4:15]
    assert ['(reported)' in line for line in lines] == [True, False] + [True] * 9


def test_paper_reports_x2_alone(tmp_path):
    table = run(tmp_path, '--paper', '--scale', 3, '--data', tmp_path)
    assert table['rows'] == [] and any('x2 only' in note for note in table['notes'])


def test_markdown_csv_and_json_agree(tmp_path, data):
    weights = save_network(tmp_path / 'net.pth')
    table = run(tmp_path, 'bicubic', weights, '--data', data, '--paper')
    with open(tmp_path / 'table.csv', newline='') as file:
        csv_rows = list(csv.DictReader(file))
    lines = [line for line in (tmp_path / 'table.md').read_text().splitlines() if line.startswith('|')]
    markdown_rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in lines[2:]]
    assert len(table['rows']) == len(csv_rows) == len(markdown_rows) == 12
    for row, csv_row, cells in zip(table['rows'], csv_rows, markdown_rows, strict=True):
        assert (csv_row['Model'], csv_row['Source']) == (row['model'], row['source'])
        assert cells[0] == row['model'] + (' (reported)' if row['source'] == 'reported' else '')
        assert csv_row['Params'] == str(row['params'] or '') and csv_row['Search time'] == (row['search_time'] or '')
        assert cells[1] == (f'{row["params"] / 1000:,.0f}K' if row['params'] else '')
        assert cells[2] == (f'{row["mult_adds"] / 1e9:,.1f}G' if row['mult_adds'] else '')
        for column, name in enumerate(table['test_sets'], 3):
            score = row['scores'].get(name)
            assert cells[column] == (f'{score["psnr"]:.2f}/{score["ssim"]:.4f}' if score else '')
            assert csv_row[f'{name} PSNR [dB]'] == (str(score['psnr']) if score else '')
            assert csv_row[f'{name} SSIM'] == (str(score['ssim']) if score else '')
        assert csv_row['Seconds per image'] == str(row['seconds'] or '')
        assert csv_row['Peak memory [byte]'] == str('' if row['peak_memory'] is None else row['peak_memory'])
        assert cells[-1] == (row['search_time'] or '')


@pytest.mark.parametrize('model_type', ['SRModel', DeCoNASModel.__name__])
def test_network_row_equals_basicsr_test(tmp_path, data, model_type):
    """The row of the weights, the row of the options, and the model's own validation give the same numbers."""
    weights = save_network(tmp_path / 'experiments/tiny/models/net_g_latest.pth')
    datasets = {f'test_{name}': {'name': name, 'type': 'PairedImageDataset', 'io_backend': {'type': 'disk'},
                                 'dataroot_gt': str(data / name / 'GTmod2'),
                                 'dataroot_lq': str(data / name / 'LRbicx2')}
                for name in SIZES}
    metric = {'crop_border': 2, 'test_y_channel': True}
    opt = {
        'name': 'by_options', 'model_type': model_type, 'scale': 2, 'num_gpu': 0,
        'network_g': {'type': 'DeCoNASNet', 'num_feat': 8}, 'datasets': datasets,
        'path': {'pretrain_network_g': str(weights), 'strict_load_g': True},
        'val': {'save_img': False, 'metrics': {'psnr': {'type': 'calculate_psnr', **metric},
                                               'ssim': {'type': 'calculate_ssim', **metric}}}}
    options = write_yaml(tmp_path / 'test.yml', opt)
    table = run(tmp_path, weights, '-opt', options, '--data', tmp_path / 'nowhere', '--device', 'cpu')

    model = build_model({**opt, 'is_train': False, 'dist': False})
    rows = [row_of(table, 'tiny'), row_of(table, 'by_options')]
    for name in SIZES:
        dataset = build_dataset({**datasets[f'test_{name}'], 'phase': 'test', 'scale': 2})
        model.nondist_validation(torch.utils.data.DataLoader(dataset), 0, None, False)
        for row in rows:
            score = row['scores'][name]
            assert score['psnr'] == pytest.approx(model.metric_results['psnr'], abs=1e-3)
            assert score['ssim'] == pytest.approx(model.metric_results['ssim'], abs=1e-5)
    assert rows[0]['params'] == rows[1]['params'] == sum(p.numel() for p in model.net_g.parameters())


def test_cost_of_the_published_network(tmp_path):
    weights = save_network(tmp_path / 'net.pth', num_feat=64)
    row = row_of(run(tmp_path, weights, '--data', tmp_path), 'net')
    assert row['params'] == 1693251
    assert row['mult_adds'] / 1e9 == pytest.approx(382.7, abs=0.05)


def test_any_network_of_basicsr_by_its_options(tmp_path, data):
    torch.manual_seed(0)
    sizes = {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 2}
    net = EDSR(**sizes)
    torch.save({'params': net.state_dict()}, tmp_path / 'edsr.pth')
    options = write_yaml(tmp_path / 'edsr.yml', {
        'name': 'EDSR_tiny', 'model_type': 'SRModel', 'scale': 2, 'network_g': {'type': 'EDSR', **sizes},
        'path': {'pretrain_network_g': str(tmp_path / 'edsr.pth')}})
    row = row_of(run(tmp_path, '-opt', options, '--data', data), 'EDSR_tiny')
    # first, residual block, after body at 640x360; upsampler there, last at 1280x720
    pixels = 640 * 360
    assert row['mult_adds'] == 9 * (3 * 4 + 3 * 4 * 4 + 4 * 16) * pixels + 9 * 4 * 3 * 4 * pixels
    assert row['params'] == sum(p.numel() for p in net.parameters())
    assert set(row['scores']) == set(SIZES)


def test_tiled_result_equals_the_whole_one_within_one_grey_level(tmp_path):
    weights = save_network(tmp_path / 'net.pth')
    lr = photo_like(60, 44, seed=3)
    sample = Sample('', '', None, lr)
    whole, tiled = (WeightsMethod(weights, 2, torch.device('cpu'), tile=tile).upscale(sample) for tile in (0, 16))
    assert whole.shape == (120, 88, 3) and whole.std() > 1
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_a_row_may_name_its_backend(tmp_path, monkeypatch):
    monkeypatch.setenv('DECONAS_CACHE', str(tmp_path / 'cache'))
    weights = save_network(tmp_path / 'net.pth')
    sample = Sample('', '', None, np.random.default_rng(0).integers(0, 255, (30, 22, 3), np.uint8))
    plain, other = (weights_method(f'{weights}{suffix}', 2, torch.device('cpu')) for suffix in ('', '@onnxruntime'))
    assert (plain.name, other.name) == ('net', 'net (onnxruntime)')
    assert np.abs(plain.upscale(sample).astype(int) - other.upscale(sample)).max() <= 1


@pytest.mark.parametrize('num_gpu, shown', [(0, '12 CPU hours'), (1, '12 GPU hours'), (2, '24 GPU hours')])
def test_search_time_of_a_derived_network(tmp_path, num_gpu, shown):
    weights = save_network(tmp_path / 'experiments/search_derived/models/net_g_latest.pth')
    published = NAMED_GENOTYPES['DeCoNASNet_x2']
    interrupted = [100., 36000., 50., 7200.]
    for name, bits, times in (('another', '0' * 30, [3600.]), ('search', published, interrupted)):
        folder = tmp_path / 'experiments' / name
        (folder / 'derived').mkdir(parents=True)
        write_yaml(folder / 'derived/genotype.yml', {'genotype': Genotype.parse(bits).to_dict()})
        write_yaml(folder / 'options.yml', {'num_gpu': num_gpu})
        (folder / 'search_history.jsonl').write_text(''.join(json.dumps({'time': time}) + '\n' for time in times))
    assert run(tmp_path, weights, '--data', tmp_path)['rows'][0]['search_time'] == shown
    (tmp_path / 'experiments/search/derived/genotype.yml').unlink()
    assert run(tmp_path, weights, '--data', tmp_path)['rows'][0]['search_time'] is None


def test_threads_give_the_same_scores(tmp_path, data):
    out = tmp_path / 'parallel'
    assert main(['bicubic', '--data', str(data), '--out', str(out), '--workers', '2']) == 0
    parallel = json.loads(out.with_suffix('.json').read_text())
    assert parallel['rows'][0]['images'] == run(tmp_path, 'bicubic', '--data', data)['rows'][0]['images']


def test_peak_memory_sees_a_large_array_again_and_again():
    memory = PeakMemory(torch.device('cpu'))
    with memory.measured():
        np.ones(2**20)
    small = memory.bytes
    if small is None:
        pytest.skip('no way to measure it on this system')
    for _ in range(2):
        memory.bytes = None
        with memory.measured():
            np.ones(2**23)
        assert memory.bytes == pytest.approx(2**26, rel=0.1)
    assert small < 2**24


@pytest.mark.parametrize('arguments, message', [
    (['missing.pth'], 'missing.pth'),
    (['bicubic', 'bicubic'], 'two models are called Bicubic'),
    (['bicubic', '--sr-dir', 'nowhere'], 'NAME=PATH'),
    (['bicubic', '--sr-dir', 'other=nowhere'], 'no folder nowhere'),
    (['-opt', 'missing.yml'], 'missing.yml'),
    (['bicubic', '--device', 'abacus'], 'abacus'),
    (['{x4}'], '--scale'),
])
def test_errors_in_one_line(tmp_path, data, capsys, arguments, message):
    arguments = [text.format(x4=save_network(tmp_path / 'x4.pth', upscale=4)) for text in arguments]
    assert main([*arguments, '--data', str(data), '--out', str(tmp_path / 'table')]) == 2
    error = capsys.readouterr().err
    assert error.startswith('error: ') and message in error and error.count('\n') == 1
    assert not (tmp_path / 'table.md').exists()


def test_options_that_cannot_be_run(tmp_path, data, capsys):
    weights = str(save_network(tmp_path / 'net.pth'))
    good = {'name': 'x', 'model_type': 'SRModel', 'scale': 2, 'network_g': {'type': 'DeCoNASNet', 'num_feat': 8},
            'path': {'pretrain_network_g': weights}}
    for change, message in [({'network_g': {'type': 'DeCoNASNett'}}, "'DeCoNASNett' is not registered"),
                            ({'model_type': None}, 'model_type: None is not registered'),
                            ({'path': {}}, 'pretrain_network_g: no file None'),
                            ({'network_g': {'type': 'DeCoNASNet', 'num_feat': 4}}, 'does not fit network_g'),
                            ({'scale': 3}, 'scale: expected 2')]:
        options = write_yaml(tmp_path / 'options.yml', {**good, **change})
        assert main(['-opt', str(options), '--scale', '2', '--data', str(data), '--out', str(tmp_path / 'table')]) == 2
        error = capsys.readouterr().err
        assert message in error and 'options.yml' in error and error.count('\n') == 1
    options = write_yaml(tmp_path / 'options.yml', {**good, 'scale': 5})
    assert main(['-opt', str(options), '--data', str(data), '--out', str(tmp_path / 'table')]) == 2
    assert 'scale: expected one of (2, 3, 4), got 5' in capsys.readouterr().err


def test_unwritable_output(tmp_path, data, capsys):
    (tmp_path / 'file').write_text('')
    assert main(['bicubic', '--data', str(data), '--out', str(tmp_path / 'file/table')]) == 2
    assert re.fullmatch(r'error: --output: cannot write .*\n', capsys.readouterr().err)


def test_broken_image_is_named(tmp_path, capsys):
    data = make_test_sets(tmp_path)
    path = data / 'Set5/GTmod2/img_001.png'
    path.write_bytes(path.read_bytes()[:500])
    assert main(['bicubic', '--data', str(data), '--out', str(tmp_path / 'table'), '--workers', '1']) == 2
    assert str(path) in capsys.readouterr().err


def test_grey_images_are_measured_as_three_equal_channels(tmp_path):
    data = make_test_sets(tmp_path, sizes={'Set5': [(40, 40)]})
    for folder in ('GTmod2', 'LRbicx2'):
        path = data / 'Set5' / folder / 'img_001.png'
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    row = run(tmp_path, 'bicubic', '--data', data)['rows'][0]
    hr = cv2.imread(str(data / 'Set5/GTmod2/img_001.png'))
    sr = upscale_by_bicubic(data / 'Set5/LRbicx2/img_001.png', 2)
    assert row['scores']['Set5']['psnr'] == pytest.approx(calculate_psnr(sr, hr, crop_border=2, test_y_channel=True))


def test_hr_images_alone_suffice(tmp_path):
    folder = tmp_path / 'datasets/Set5'
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / 'odd.png'), photo_like(41, 53, seed=1))
    table = run(tmp_path, 'bicubic', '--data', tmp_path / 'datasets')
    assert table['rows'][0]['scores']['Set5']['psnr'] > 10
    assert any('made from HR' in note for note in table['notes'])


@pytest.mark.parametrize('tool', ['benchmark', 'compare'])
def test_help_is_answered_without_torch(tool):
    code = (f'import sys, tools.{tool} as tool\ntry:\n    tool.main(["--help"])\n'
            'except SystemExit as end:\n    print(end.code, "torch" in sys.modules, "cv2" in sys.modules)')
    shown = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert 'examples:' in shown and f'python tools/{tool}.py' in shown and shown.endswith('0 False False\n')
