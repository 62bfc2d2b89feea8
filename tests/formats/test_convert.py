"""Weight formats: round trips change nothing, and every file says what it holds."""
import json
from pathlib import Path

import pytest
import torch
from zoo_fixture import make_net, make_zoo

from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import StorageError, WeightsError
from deconas_plugin.files.states import load_state
from deconas_plugin.formats.convert import convert
from deconas_plugin.formats.openmodeldb import write_stubs
from tools.convert import main

ROOT = Path(__file__).resolve().parents[2]
PAPER = dict(genotype='DeCoNASNet_x2', num_block=4, num_layer=4)


def assert_same_output(one, other, tolerance=0.):
    x = torch.rand(2, 3, 9, 13, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert (one(x) - other(x)).abs().max() <= tolerance


@pytest.fixture
def trained(tmp_path):
    """A network and its file, as BasicSR writes it."""
    net = make_net(**PAPER)
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    return net, tmp_path / 'net.pth'


@pytest.mark.parametrize('fused', [False, True])
def test_round_trips_in_float32_are_exact(tmp_path, trained, fused):
    net, path = trained
    convert(path, tmp_path / 'a.safetensors', fused)
    convert(tmp_path / 'a.safetensors', tmp_path / 'b.pth', fused)
    convert(tmp_path / 'b.pth', tmp_path / 'c.safetensors', fused)
    for name in ('a.safetensors', 'b.pth', 'c.safetensors'):
        assert_same_output(load_network(tmp_path / name), net.fuse() if fused else net)
    first, last = (load_state(tmp_path / name)[0] for name in ('a.safetensors', 'c.safetensors'))
    assert first.keys() == last.keys() and all(torch.equal(first[name], last[name]) for name in first)


def test_stock_basicsr_loads_what_is_written(tmp_path, trained):
    net, path = trained
    convert(path, tmp_path / 'a.safetensors')
    convert(tmp_path / 'a.safetensors', tmp_path / 'b.pth')
    content = torch.load(tmp_path / 'b.pth', weights_only=True)
    assert list(content) == ['params']
    assert content['params'].keys() == net.state_dict().keys()


@pytest.mark.parametrize(('precision', 'dtype', 'tolerance'), [('fp16', torch.float16, 1e-3),
                                                               ('bf16', torch.bfloat16, 1e-2)])
@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
def test_half_precision(tmp_path, trained, precision, dtype, tolerance, ending):
    net, path = trained
    target = tmp_path / f'half.{ending}'
    convert(path, target, precision=precision)
    state, _ = load_state(target)
    assert state['conv_first.weight'].dtype == dtype
    assert state['mean'].dtype == torch.float32 and state['genotype_code'].dtype == torch.uint8
    assert target.stat().st_size < 0.75 * path.stat().st_size
    assert_same_output(load_network(target), net, tolerance)


def test_metadata(tmp_path, trained):
    convert(trained[1], tmp_path / 'a.safetensors')
    _, info = load_state(tmp_path / 'a.safetensors')
    metadata = info['metadata']
    hyperparameters = json.loads(metadata.pop('hyperparameters'))
    assert metadata == {'architecture': 'DeCoNASNet', 'genotype': '111 110100 011000010 010011100001', 'scale': '3'}
    assert hyperparameters.pop('rgb_mean') == pytest.approx([0.448, 0.437, 0.405], abs=1e-3)
    assert hyperparameters == dict(num_in_ch=3, num_out_ch=3, num_feat=8, num_block=4, num_layer=4,
                                   operations=['conv3x3', 'sep_conv3x3', 'dil_conv3x3'], tail='classic',
                                   residual='none')


def test_weights_too_large_for_fp16(tmp_path):
    net = make_net()
    net.conv_last.weight[0, 0, 0, 0] = 1e6
    torch.save(net.state_dict(), tmp_path / 'net.pth')
    with pytest.raises(WeightsError, match='conv_last.weight: a weight of 1e[+]06 does not fit fp16'):
        convert(tmp_path / 'net.pth', tmp_path / 'half.pth', precision='fp16')


def test_targets_that_cannot_be_written(tmp_path, trained):
    with pytest.raises(WeightsError, match='expected a .pth or .safetensors file'):
        convert(trained[1], tmp_path / 'a.txt')
    with pytest.raises(StorageError, match='cannot be written'):
        convert(trained[1], tmp_path / 'missing' / 'a.pth')


def test_averaged_weights_are_taken(tmp_path):
    net, averaged = make_net(), make_net()
    averaged.conv_last.bias.fill_(0.5)
    torch.save({'params': net.state_dict(), 'params_ema': averaged.state_dict()}, tmp_path / 'net.pth')
    convert(tmp_path / 'net.pth', tmp_path / 'a.pth')
    assert_same_output(load_network(tmp_path / 'a.pth'), averaged)


def test_openmodeldb_stubs(tmp_path, monkeypatch):
    make_zoo(tmp_path, monkeypatch)
    path, = write_stubs(tmp_path / 'pages')
    assert path.name == '3x-Small-x3.json'
    page = json.loads(path.read_text())
    assert (page['scale'], page['inputChannels'], page['outputChannels'], page['date']) == (3, 3, 3, '2026-01-31')
    assert (page['license'], page['dataset'], page['trainingIterations']) == ('Apache-2.0', 'DIV2K', 1000)
    resource, = page['resources']
    assert (resource['platform'], resource['type'], resource['urls']) == ('pytorch', 'pth', [])
    assert resource['size'] == (tmp_path / 'Small_x3.pth').stat().st_size
    assert len(resource['sha256']) == 64
    assert 'Set5 30.50 dB / 0.9100' in page['description'] and 'Trained for a test.' in page['description']


def test_command_line(tmp_path, trained, monkeypatch, capsys):
    net, path = trained
    assert main([str(path), str(tmp_path / 'a.safetensors'), '--fused']) == 0
    assert 'FusedDeCoNASNet x3' in capsys.readouterr().out
    assert main([str(tmp_path / 'missing.pth'), str(tmp_path / 'b.pth')]) == 2
    assert capsys.readouterr().err.count('\n') == 1
    make_zoo(tmp_path, monkeypatch)
    assert main(['Small_x3', str(tmp_path / 'c.pth')]) == 0
    assert main(['--openmodeldb', str(tmp_path / 'pages')]) == 0
    for nonsense in (['a.pth'], [], ['a.pth', 'b.pth', '--openmodeldb', 'c'], ['--openmodeldb', 'c', '--fused']):
        with pytest.raises(SystemExit, match='2'):
            main(nonsense)
