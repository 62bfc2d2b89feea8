"""The paper's table, measured: networks of other papers beside what is reported of them, in a run that may stop."""
import json
import re
import shutil

import numpy as np
import pytest
import torch
import yaml
from basicsr.metrics import calculate_psnr
from basicsr.utils.matlab_functions import imresize
from basicsr.utils.registry import ARCH_REGISTRY
from benchmark_fixture import make_test_sets, save_network
from torch import nn

from deconas_plugin.archs.compared import COMPARED
from deconas_plugin.benchmark import run as benchmark_run
from deconas_plugin.benchmark.run import default_out, run_benchmark
from deconas_plugin.cost.modules import count_network
from deconas_plugin.data.prepare import read_pair
from deconas_plugin.errors import OptionError
from tools.benchmark import main

SIZES = {'Set5': [(24, 28), (26, 24)], 'Set14': [(30, 24)]}
CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_test_sets(tmp_path_factory.mktemp('paper'), sizes=SIZES)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """A file with weights of every network that interpolates or is small, as tools/convert.py writes it."""
    folder, paths = tmp_path_factory.mktemp('weights'), {}
    for name in ('SRCNN', 'LapSRN', 'CARN', 'FALSR-A'):
        torch.manual_seed(0)
        paths[name] = folder / f'{name}.pth'
        torch.save({'params': COMPARED[name](2).state_dict()}, paths[name])
    return paths


def run(tmp_path, data, *arguments, code=0):
    out = tmp_path / 'table'
    assert main([*map(str, arguments), '--data', str(data), '--out', str(out), '--workers', '1',
                 '--sets', 'Set5', 'Set14']) == code
    return json.loads(out.with_suffix('.json').read_text()) if code == 0 else None


def test_measured_rows_stand_beside_the_reported_ones(tmp_path, data, weights, capsys):
    published = save_network(tmp_path / 'published.pth', num_feat=64)
    table = run(tmp_path, data, 'bicubic', f'mine={weights["CARN"]}', f'SRCNN={weights["SRCNN"]}',
                f'FALSR-A={weights["FALSR-A"]}', published, '--paper')
    rows = [(row['model'], row['source']) for row in table['rows']]
    for reported, measured in (('Bicubic', 'Bicubic'), ('SRCNN', 'SRCNN'), ('CARN', 'mine'), ('FALSR-A', 'FALSR-A'),
                               ('DeCoNASNet', 'published')):
        assert rows.index((measured, 'measured')) == rows.index((reported, 'reported')) + 1
    assert len(rows) == 15
    costs = {row['model']: (row['params'], row['mult_adds']) for row in table['rows'] if row['source'] == 'measured'}
    assert costs['SRCNN'] == (57281, 52700774400) and costs['mine'] == (964163, 222820761600)
    assert costs['FALSR-A'] == (1021401, 235000627200)
    shown = capsys.readouterr().out
    assert re.search(r'^SRCNN: Set5 \d+\.\d\d/-?0\.\d{4}, Set14 \d+\.\d\d/-?0\.\d{4}$', shown, re.M)


def test_rows_are_what_the_network_computes(tmp_path, data, weights):
    """And without rounding to 8 bits where the protocol says so."""
    tables = {protocol: run(tmp_path, data, 'bicubic', weights['LapSRN'], '--protocol', protocol)
              for protocol in ('rgb', 'y')}
    net = COMPARED['LapSRN'](2)
    net.load_state_dict(torch.load(weights['LapSRN'], weights_only=True)['params'])

    def lapsrn(lr):
        image = torch.from_numpy(lr[..., ::-1].copy()).permute(2, 0, 1)[None].float() / 255
        with torch.no_grad():
            return net(image)[0].permute(1, 2, 0).numpy()[..., ::-1] * 255

    def bicubic(lr):
        return imresize(lr.astype(np.float32) / 255, 2) * 255

    folder = data / 'Set5'
    for name, upscale in (('LapSRN', lapsrn), ('Bicubic', bicubic)):
        for protocol, table in tables.items():
            row = next(row for row in table['rows'] if row['model'] == name)
            for path in (folder / 'GTmod2').iterdir():
                hr, lr, _ = read_pair(path, folder / 'LRbicx2' / path.name, 2, 2)
                sr = upscale(lr)
                sr = np.clip(sr, 0, 255).round() if protocol == 'rgb' else sr
                expected = calculate_psnr(sr, hr, crop_border=2, test_y_channel=True)
                assert row['images']['Set5'][path.stem]['psnr'] == pytest.approx(expected, abs=1e-4)
    assert tables['rgb']['rows'][1]['scores'] != tables['y']['rows'][1]['scores']
    assert 'not rounded' in tables['y']['settings']['PSNR/SSIM']


def test_a_stopped_run_goes_on_and_a_finished_one_begins_anew(tmp_path, data, weights, monkeypatch):
    measured, stop_at = [], [('SRCNN', 'Set14')]
    score_set = benchmark_run.measure.__globals__['_score_set']

    def recorded(meter, test_set, *args):
        if (meter.method.name, test_set.name) in stop_at:
            raise KeyboardInterrupt
        measured.append((meter.method.name, test_set.name))
        return score_set(meter, test_set, *args)

    monkeypatch.setitem(benchmark_run.measure.__globals__, '_score_set', recorded)

    def start(*models, sets=('Set5', 'Set14'), **kwargs):
        measured.clear()
        lines = []
        table = run_benchmark(models, scale=2, sets=sets, data=data, device=CPU, out=tmp_path / 'table',
                              show=lines.append, **kwargs)
        return table, lines

    models = ('bicubic', f'SRCNN={weights["SRCNN"]}', f'LapSRN={weights["LapSRN"]}')
    with pytest.raises(KeyboardInterrupt):
        start(*models)
    stopped = json.loads((tmp_path / 'table.json').read_text())
    assert [(row['model'], sorted(row['scores'])) for row in stopped['rows']] == [
        ('Bicubic', ['Set14', 'Set5']), ('SRCNN', ['Set5'])]
    with pytest.raises(KeyboardInterrupt):  # another device, precision or protocol would be another table
        start(*models, protocol='y')
    assert ('Bicubic', 'Set5') in measured
    (tmp_path / 'table.json').write_text(json.dumps(stopped))
    stop_at.clear()
    table, lines = start(*models)
    assert measured == [('SRCNN', 'Set14'), ('LapSRN', 'Set5'), ('LapSRN', 'Set14')]
    assert 'was stopped and holds Bicubic, SRCNN' in lines[0]
    continued = {row.model: row.scores for row in table.rows}
    assert len(table.rows[1].times['Set5']) == 2 and table.rows[1].seconds > 0
    table, lines = start(*models)
    assert len(measured) == 6 and 'stopped' not in lines[0]
    assert {row.model: row.scores for row in table.rows} == continued


def test_rewritten_weights_are_measured_again(tmp_path, data, weights, monkeypatch):
    path = tmp_path / 'net.pth'
    path.write_bytes(weights['SRCNN'].read_bytes())
    before = run(tmp_path, data, path)
    before['finished'] = False
    (tmp_path / 'table.json').write_text(json.dumps(before))
    state = torch.load(path, weights_only=True)['params']
    state['conv3.bias'] += 0.2
    torch.save({'params': state}, path)
    assert run(tmp_path, data, path)['rows'][0]['scores'] != before['rows'][0]['scores']


def test_a_table_of_other_sets_has_another_name():
    assert default_out(2, ['Urban100', 'Set14', 'Set5', 'B100']) == 'results/benchmark_x2'
    assert default_out(3, ['Set5']) == 'results/benchmark_x3_Set5'
    assert default_out(2, ['Set5', 'Set14'], 'y') == 'results/benchmark_x2_Set5_Set14_y'


def test_costs_of_a_folder_of_images(tmp_path, data, capsys):
    folder = tmp_path / 'perfect'
    shutil.copytree(data / 'Set5/GTmod2', folder / 'Set5')
    (folder / 'Set14').mkdir()
    row = run(tmp_path, data, '--sr-dir', f'HR={folder}', '--cost', 'HR=1021e3,234.7e9')['rows'][0]
    assert (row['params'], row['mult_adds']) == (1021000, 234700000000)
    assert row['scores']['Set5']['psnr'] == 'inf'
    capsys.readouterr()
    for cost, message in (('HR=many', 'expected NAME=PARAMS,MULT_ADDS'), ('HR=1', 'expected NAME=PARAMS,MULT_ADDS'),
                          ('SR=1,2', "expected the name of an --sr-dir, got 'SR'"), ('HR=inf,1', 'expected NAME=')):
        run(tmp_path, data, '--sr-dir', f'HR={folder}', '--cost', cost, code=2)
        error = capsys.readouterr().err
        assert message in error and error.count('\n') == 1


def test_chart(tmp_path, data, weights):
    bicubic = run(tmp_path, data, 'bicubic', f'SRCNN={weights["SRCNN"]}', '--paper')['rows'][1]['scores']
    svg = (tmp_path / 'table.svg').read_text()
    for text in ('Set5 x2', 'Set14 x2', 'Mult-Adds @720p (G)', 'SRCNN', 'FALSR-A', 'reported', 'measured'):
        assert text in svg
    for name, psnr in (('Set5', 33.66), ('Set14', 30.24)):
        assert f'Bicubic {psnr} dB (reported)' in svg and f'Bicubic {bicubic[name]["psnr"]:.2f} dB' in svg
    assert (tmp_path / 'table.png').read_bytes().startswith(b'\x89PNG')


def test_no_chart_without_mult_adds(tmp_path, data):
    run(tmp_path, data, 'bicubic')
    assert not (tmp_path / 'table.svg').exists()


def test_weights_for_another_scale(tmp_path, data, capsys):
    torch.save({'params': COMPARED['CARN'](4).state_dict()}, tmp_path / 'carn.pth')
    run(tmp_path, data, tmp_path / 'carn.pth', code=2)
    error = capsys.readouterr().err
    assert 'carn.pth: expected weights for x2, found those of CARN x4; choose another --scale' in error


def test_options_bring_their_plugins(tmp_path, data):
    (tmp_path / 'own.py').write_text(
        'from basicsr.utils.registry import ARCH_REGISTRY\nfrom torch import nn\n\n\n@ARCH_REGISTRY.register()\n'
        'class OwnUpsampler(nn.Module):\n    def __init__(self):\n        super().__init__()\n'
        '        self.conv = nn.ConvTranspose2d(3, 3, 2, stride=2)\n\n    def forward(self, x):\n'
        '        return self.conv(x)\n')
    torch.save({'params': nn.ConvTranspose2d(3, 3, 2, stride=2).state_dict(prefix='conv.')}, tmp_path / 'own.pth')
    options = tmp_path / 'own.yml'
    options.write_text(yaml.safe_dump({
        'name': 'own', 'model_type': 'SRModel', 'scale': 2, 'plugins': [str(tmp_path / 'own.py')],
        'network_g': {'type': 'OwnUpsampler'}, 'path': {'pretrain_network_g': str(tmp_path / 'own.pth')}}))
    try:
        row = run(tmp_path, data, '-opt', options)['rows'][0]
        assert (row['model'], row['params'], row['mult_adds']) == ('own', 39, 36 * 640 * 360)
    finally:
        ARCH_REGISTRY._obj_map.pop('OwnUpsampler', None)


class LooksAtNumbers(nn.Module):
    """It enlarges in NumPy first, which the meta device has no numbers for."""

    def __init__(self, num_in=3):
        super().__init__()
        self.conv = nn.Conv2d(num_in, 3, 1)

    def forward(self, x):
        x = torch.from_numpy(x.numpy().repeat(2, 2).repeat(2, 3))
        return self.conv(x)


def test_networks_that_meta_tensors_do_not_pass_are_counted_on_real_ones():
    net = LooksAtNumbers().train()
    cost = count_network(net, 2, 'own')
    assert (cost.params, cost.mult_adds) == (12, 9 * 1280 * 720)
    assert net.training
    with pytest.raises(OptionError, match='own: cannot upscale an RGB image of 640x360: Given groups=1'):
        count_network(LooksAtNumbers(num_in=1), 2, 'own')
