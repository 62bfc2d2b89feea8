"""ncnn: the same output from the files that realesrgan-ncnn and Upscayl load."""
import sys

import pytest
import torch
from zoo_fixture import make_net

from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.formats.convert import convert
from deconas_plugin.formats.ncnn import export_ncnn, load_ncnn

pytest.importorskip('ncnn')
pytest.importorskip('pnnx')

SIZES = ((8, 8), (33, 21), (9, 64), (50, 51))


def largest_difference(net, path):
    run, largest = load_ncnn(path), 0
    for height, width in SIZES:
        image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(width))
        result = run(image)
        assert result.shape == (1, 3, net.upscale * height, net.upscale * width)
        largest = max(largest, (result - net(image)).abs().max().item())
    return largest


@pytest.mark.parametrize(('upscale', 'fused'), [(2, True), (3, False), pytest.param(4, True, marks=pytest.mark.slow)])
def test_equals_pytorch_at_any_size(tmp_path, upscale, fused):
    net = make_net(upscale=upscale)
    export_ncnn(net.fuse() if fused else net, tmp_path / 'net.param', 'float32')
    assert largest_difference(net, tmp_path / 'net.param') < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('name', load_zoo().entries)
def test_every_network_of_the_zoo(tmp_path, name, fused):
    net = load_network(name).requires_grad_(False)
    export_ncnn(net.fuse() if fused else net, tmp_path / 'net.param', 'float32')
    assert largest_difference(net, tmp_path / 'net.param') < 1e-3


def test_converted_as_upscayl_expects(tmp_path):
    message = convert('DeCoNASNet_x2_24G', tmp_path / 'DeCoNASNet_x2_24G.param', precision='fp16')
    assert 'DeCoNASNet_x2_24G.bin' in message and 'data -> output' in message
    lines = (tmp_path / 'DeCoNASNet_x2_24G.param').read_text().splitlines()
    assert lines[0] == '7767517' and len(lines) == 2 + int(lines[1].split()[0])
    assert lines[2].split() == ['Input', 'data', '0', '1', 'data'] and lines[-1].split()[-2] != 'out0'
    assert [line.split()[0] for line in lines if 'output' in line.split()] == [lines[-1].split()[0]]
    assert largest_difference(load_network('DeCoNASNet_x2_24G').requires_grad_(False),
                              tmp_path / 'DeCoNASNet_x2_24G.param') < 1e-2
    # In float32 they take more than a megabyte.
    assert (tmp_path / 'DeCoNASNet_x2_24G.bin').stat().st_size < 6e5


def test_bfloat16_is_refused(tmp_path):
    with pytest.raises(WeightsError, match='ncnn stores no bf16; use float32 or fp16'):
        export_ncnn(make_net().fuse(), tmp_path / 'net.param', 'bf16')


def test_without_the_package_the_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pnnx', None)
    with pytest.raises(WeightsError, match='pip install ncnn pnnx'):
        export_ncnn(make_net().fuse(), tmp_path / 'net.param', 'float32')
