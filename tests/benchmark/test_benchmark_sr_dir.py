"""Super-resolved images of any origin find their originals by name."""
import json
import shutil

import cv2
import pytest
from benchmark_fixture import SIZES, make_test_sets, upscale_by_bicubic

from deconas_plugin.benchmark.sr_images import find_results
from deconas_plugin.errors import DataError
from tools.benchmark import main


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_test_sets(tmp_path_factory.mktemp('sr_dir'))


def write_results(data, out, ending='', sets=SIZES):
    """Bicubic results, one folder per set."""
    for name in sets:
        (out / name).mkdir(parents=True)
        for path in sorted((data / name / 'LRbicx2').iterdir()):
            cv2.imwrite(str(out / name / f'{path.stem}{ending}.png'), upscale_by_bicubic(path, 2))
    return out


def run(tmp_path, data, *arguments):
    out = tmp_path / 'table'
    assert main([*map(str, arguments), '--data', str(data), '--out', str(out), '--workers', '1']) == 0
    return json.loads(out.with_suffix('.json').read_text())


@pytest.mark.parametrize('ending', ['', '_x2', 'x2', '_SR', '-other', '_SRF_2_Other'])
def test_row_of_bicubic_results_equals_bicubic_row(tmp_path, data, ending):
    results = write_results(data, tmp_path / 'results', ending)
    bicubic, other = run(tmp_path, data, 'bicubic', '--sr-dir', f'other={results}')['rows']
    assert other['images'] == bicubic['images'] and len(other['images']['Set5']) == len(SIZES['Set5'])
    assert other['scores'] == bicubic['scores']
    assert (other['seconds'], other['peak_memory'], other['params']) == (None, None, None)


def test_folder_of_one_set_needs_no_subfolder(tmp_path, data):
    results = write_results(data, tmp_path / 'results') / 'Set5'
    row = run(tmp_path, data, '--sr-dir', f'other={results}', '--sets', 'Set5')['rows'][0]
    assert list(row['scores']) == ['Set5']


def test_incomplete_set_is_an_empty_cell_and_a_note(tmp_path, data):
    results = write_results(data, tmp_path / 'results')
    (results / 'Set5/img_002.png').unlink()
    table = run(tmp_path, data, '--sr-dir', f'other={results}')
    assert list(table['rows'][0]['scores']) == ['Set14']
    assert any('img_002' in note and '1 of 3' in note for note in table['notes'])


def test_set_without_a_folder_is_an_empty_cell(tmp_path, data):
    results = write_results(data, tmp_path / 'results', sets=['Set14'])
    assert list(run(tmp_path, data, '--sr-dir', f'other={results}')['rows'][0]['scores']) == ['Set14']


def test_method_chooses_among_several_results(tmp_path, data):
    results = write_results(data, tmp_path / 'results', '_SRF_2_mine')
    for name in SIZES:
        for path in (data / name / 'GTmod2').iterdir():
            shutil.copy(path, results / name / f'{path.stem}_SRF_2_HR.png')
            shutil.copy(path, results / name / f'{path.stem}_SRF_2_better.png')
    mine, better = run(tmp_path, data, '--sr-dir', f'Mine={results}', '--sr-dir', f'better={results}')['rows']
    assert mine['scores']['Set5']['psnr'] < 60
    assert (better['scores']['Set5']['psnr'], better['scores']['Set5']['ssim']) == ('inf', pytest.approx(1))


def test_ambiguous_results_are_an_error(tmp_path, data, capsys):
    results = write_results(data, tmp_path / 'results', '_a')
    shutil.copy(results / 'Set5/img_001_a.png', results / 'Set5/img_001_b.png')
    assert main(['--sr-dir', f'other={results}', '--data', str(data), '--out', str(tmp_path / 'table')]) == 2
    assert 'img_001 has 2 results' in capsys.readouterr().err


def test_result_of_another_size_is_an_error(tmp_path, data, capsys):
    results = write_results(data, tmp_path / 'results')
    path = results / 'Set5/img_001.png'
    cv2.imwrite(str(path), cv2.imread(str(path))[:-1])
    assert main(['--sr-dir', f'other={results}', '--data', str(data), '--out', str(tmp_path / 'table')]) == 2
    assert f'{path}: expected 40x48 pixels' in capsys.readouterr().err


def test_folder_without_any_result_is_an_error(tmp_path, data, capsys):
    (tmp_path / 'empty').mkdir()
    assert main(['--sr-dir', f'other={tmp_path / "empty"}', '--data', str(data), '--out', str(tmp_path / 'table')]) == 2
    assert 'has no result for img_001' in capsys.readouterr().err


def test_names_that_begin_alike_are_told_apart(tmp_path):
    for stem in ('img_1', 'img_10', 'img_1_b_x2', 'other'):
        (tmp_path / f'{stem}.png').write_bytes(b'')
    found = find_results(tmp_path, ['img_1', 'img_10', 'img_1_b'], 'method')
    assert {name: path.stem for name, path in found.items()} == {
        'img_1': 'img_1', 'img_10': 'img_10', 'img_1_b': 'img_1_b_x2'}
    (tmp_path / 'img_1_SR.png').write_bytes(b'')
    (tmp_path / 'img_1.png').unlink()
    (tmp_path / 'img_1_SR2.png').write_bytes(b'')
    with pytest.raises(DataError, match='img_1 has 2 results'):
        find_results(tmp_path, ['img_1', 'img_10', 'img_1_b'], 'method')
