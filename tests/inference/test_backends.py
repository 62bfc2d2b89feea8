"""Backends: the same images from every runtime, the fastest one chosen once, and caches that may be broken."""
import gc
import json
import os
import signal

import openvino
import pytest
import torch
from fresh_fixture import run_fresh
from helpers import make_image, make_net

from deconas_plugin.archs.operations import OPERATIONS, DenseConv
from deconas_plugin.errors import BackendError, OptionError
from deconas_plugin.inference import auto
from deconas_plugin.inference import backends as load
from deconas_plugin.inference.backends import load_backend
from deconas_plugin.inference.cache import CONTENTS, cache_key, cached_files
from deconas_plugin.inference.tiling import receptive_radius, upscale_tiled, usual_tile
from deconas_plugin.space.genotype import Genotype, SearchSpace

RUNTIMES = ('openvino', 'onnxruntime')
# Height and width: around the sizes of kernels, borders and tiles, none of them even in both.
ODD_SIZES = ((1, 1), (1, 2), (2, 1), (1, 7), (9, 1), (3, 3), (2, 5), (5, 3), (7, 6), (4, 9), (11, 13), (1, 64), (33, 2),
             (15, 17), (31, 8), (23, 29), (65, 3), (37, 41), (61, 64), (63, 65))
DAMAGES = ('cut', 'changed', 'no list')


def tiny_net(**options):
    return make_net(**{**dict(genotype='111', num_block=1, num_layer=1), **options})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('DECONAS_CACHE', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


@pytest.fixture(scope='module')
def cache_of_module(tmp_path_factory):
    return tmp_path_factory.mktemp('cache')


@pytest.fixture
def warm(cache_of_module, monkeypatch):
    """Graphs that other tests have made already."""
    monkeypatch.setenv('DECONAS_CACHE', str(cache_of_module))


def graphs(cache):
    return sorted(path.parent for path in cache.glob(f'graphs/*/*/{CONTENTS}'))


@pytest.mark.parametrize('name', RUNTIMES)
def test_all_backends_agree_at_odd_sizes(name, warm):
    net = make_net()
    backend = load_backend(net, name)
    for number in (1, 3):
        for size in ODD_SIZES:
            image = torch.rand(number, 3, *size, generator=torch.Generator().manual_seed(number))
            result = backend(image)
            assert result.shape == (number, 3, 2 * size[0], 2 * size[1]) and result.dtype == torch.float32
            assert (result - net(image)).abs().max() < 1e-5, (number, size)


@pytest.mark.parametrize('name', ('torch', *RUNTIMES))
@pytest.mark.parametrize('size', [(90, 130), (67, 300), (200, 75)])
def test_tiles_have_no_seams_in_any_backend(name, size, warm):
    net, image = make_net(), make_image(*size)
    assert (upscale_tiled(load_backend(net, name), image, 24) - net(image)).abs().max() < 0.5 / 255


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='forks')
@pytest.mark.parametrize('name', RUNTIMES)
def test_a_forked_process_collects_garbage(name, warm):
    backend = load_backend(tiny_net(), name)
    backend(make_image(9, 9))
    circle = [backend]
    circle.append(circle)
    del backend, circle
    child = os.fork()
    if child == 0:
        signal.alarm(10)
        gc.collect()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize('name', RUNTIMES)
def test_self_ensemble_in_tiles(name, warm):
    net, image = make_net(), make_image()
    result = upscale_tiled(load_backend(net, name), image, 32, self_ensemble=True)
    assert (result - upscale_tiled(net, image, 999, self_ensemble=True)).abs().max() < 0.5 / 255


@pytest.mark.parametrize('name', RUNTIMES)
@pytest.mark.parametrize('attention', ['none', 'spatial', 'both'])
def test_tiles_of_networks_with_other_attentions(name, attention, warm):
    space = SearchSpace(1, 1, attention=[attention])
    net, image = make_net(genotype=Genotype(space, (1, 1, 1)), num_block=1, num_layer=1), make_image()
    assert (upscale_tiled(load_backend(net, name), image, 32) - net(image)).abs().max() < 0.5 / 255


def test_images_of_whole_numbers(warm):
    net, image = make_net(), (make_image() * 255).round().byte()
    tiled = upscale_tiled(load_backend(net, 'onnxruntime'), image, 24, dtype=torch.uint8)
    assert (tiled.int() - net(image.float() / 255).mul(255).clamp(0, 255)).abs().max() < 1.1


@pytest.mark.parametrize('name', ('torch', 'openvino'))
def test_bf16_is_compared_with_float32_once_and_told(name, cache):
    if name == 'openvino' and 'BF16' not in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
        pytest.skip('OpenVINO computes no bf16 on this processor')
    lines = []
    backend = load_backend('DeCoNASNet_x2_24G', name, 'bf16', say=lines.append)
    assert backend.difference.is_small and 0 < backend.difference.largest
    assert len(lines) == 1 and f'{name}, bf16: at most' in lines[0]
    again = load_backend('DeCoNASNet_x2_24G', name, 'bf16', say=lines.append)
    assert again.difference == backend.difference and len(lines) == 1


def test_a_precision_that_costs_too_much_is_told(monkeypatch):
    lines = []
    monkeypatch.setattr(load, 'difference_from', lambda net, backend: load.Difference(3, 0.002))
    load_backend(tiny_net(num_feat=16), 'torch', 'bf16', say=lines.append)
    assert lines == ['torch, bf16: at most 3 grey levels from PyTorch in float32, more than one at 0.200% of the '
                     'values; consider float32']


@pytest.fixture
def slow_torch(monkeypatch):
    """Makes PyTorch the slowest; returns a list that grows with its runs."""
    runs, call = [], load.TorchBackend.__call__

    def slowly(self, image):
        runs.append(image.shape)
        for _ in range(20):
            call(self, image)
        return call(self, image)

    monkeypatch.setattr(load.TorchBackend, '__call__', slowly)
    return runs


def test_auto_measures_in_three_processes_per_size_and_remembers(slow_torch, monkeypatch):
    monkeypatch.setattr(auto, 'SMALL', 2**10)
    monkeypatch.setattr(auto, 'MEASUREMENTS', 2)
    lines = []
    net = tiny_net()
    backend = load_backend(net, say=lines.append)
    assert backend.for_size(64, 60).name in RUNTIMES
    assert (backend(make_image(60, 64)) - net(make_image(60, 64))).abs().max() < 1e-5
    runs = len(slow_torch)
    assert backend.for_size(60, 64).name in RUNTIMES and len(slow_torch) == runs
    assert load_backend(net, say=lines.append).for_size(64, 60).name in RUNTIMES and len(slow_torch) > runs
    assert [line.split('; ')[-1] for line in lines if 'the fastest' in line] == ['measurement 1 of 2)',
                                                                                 'measurement 2 of 2)']
    runs = len(slow_torch)
    again = load_backend(net, say=lines.append)
    assert again.for_size(60, 64).name in RUNTIMES and len(slow_torch) == runs
    assert again.for_size(200, 200).name in RUNTIMES and len(slow_torch) > runs


def test_a_busy_moment_does_not_settle_what_auto_takes(monkeypatch):
    seconds = iter([{'torch': 2.0, 'openvino': 5.0}, {'torch': 2.1, 'openvino': 1.0}, {'torch': 1.9}])
    monkeypatch.setattr(auto, 'SMALL', 1)
    monkeypatch.setattr(auto.AutoBackend, '_measure', lambda backend, image: next(seconds))
    net, lines = tiny_net(), []
    assert [load_backend(net, say=lines.append).for_size(20, 20).name for _ in range(4)] == [
        'torch', 'openvino', 'openvino', 'openvino']
    assert 'openvino 1,000 ms, torch 1,900 ms; measurement 3 of 3' in lines[-1]


def test_auto_takes_torch_for_little_and_where_nothing_else_is_installed(monkeypatch):
    assert load_backend(tiny_net()).for_size(10, 10).name == 'torch'
    monkeypatch.setattr(load, 'find_spec', lambda package: None)
    assert load_backend(tiny_net()).for_size(1000, 1000).name == 'torch'


def test_auto_measures_no_more_than_a_tile_and_keeps_what_it_chose(monkeypatch):
    measured = []

    def measure(backend, image):
        measured.append(image.shape)
        for name in backend._names:
            backend._backend(name)
        return {'openvino': 1.0, 'torch': 2.0, 'onnxruntime': 3.0}

    monkeypatch.setattr(auto.AutoBackend, '_measure', measure)
    backend = load_backend(tiny_net(), say=lambda line: None)
    assert backend.for_size(3000, 4000).name == 'openvino' and set(backend._backends) == {'openvino', 'torch'}
    side = usual_tile(backend) + 2 * receptive_radius(backend)
    assert measured[0][2] < measured[0][3] and measured[0][2:].numel() == pytest.approx(side**2, rel=0.01)
    assert backend.for_size(1500, 1000).name == 'openvino' and len(measured) == 1


def test_auto_leaves_out_what_is_not_exact_enough(slow_torch, monkeypatch):
    monkeypatch.setattr(auto, 'SMALL', 1)
    monkeypatch.setattr(load, 'difference_from', lambda net, backend: load.Difference(3, 0))
    assert load_backend(tiny_net(), say=lambda line: None).for_size(20, 20).name == 'torch'


@pytest.mark.parametrize('content', ['', '{"cut', '[1, 2]', '{"KEY": "torch"}', '{"KEY": 5}',
                                     '{"KEY": {"runs": 3, "seconds": {"tensorrt9": 1.0}}}',
                                     '{"KEY": {"runs": "3", "seconds": {"torch": -1}}}'])
def test_a_broken_memory_is_made_again(content, warm, cache_of_module, monkeypatch):
    monkeypatch.setattr(auto, 'SMALL', 1)
    cache = cache_of_module
    (cache / 'fastest.json').unlink(missing_ok=True)
    load_backend(tiny_net(), say=lambda line: None).for_size(16, 16)
    key, = json.loads((cache / 'fastest.json').read_text())
    (cache / 'fastest.json').write_text(content.replace('KEY', key))
    assert load_backend(tiny_net(), say=lambda line: None).for_size(16, 16).name in ('torch', *RUNTIMES)
    assert list(json.loads((cache / 'fastest.json').read_text())) == [key]


@pytest.mark.parametrize(('name', 'damage'), [('openvino', 'cut'), *(('onnxruntime', damage) for damage in DAMAGES)])
def test_a_broken_graph_is_made_again(name, damage, cache):
    net, image = tiny_net(), make_image(20, 20)
    load_backend(net, name)(image)
    folder, = graphs(cache)
    victim = max(folder.glob('graph.*'), key=lambda path: path.stat().st_size)
    content = victim.read_bytes()
    if damage == 'cut':
        victim.write_bytes(content[:len(content) // 2])
    elif damage == 'changed':
        victim.write_bytes(bytes(len(content)))
    else:
        (folder / CONTENTS).write_text('{')
    assert (load_backend(net, name)(image) - net(image)).abs().max() < 1e-5
    assert json.loads((folder / CONTENTS).read_text()).keys() == {path.name for path in folder.glob('graph.*')}
    assert len(victim.read_bytes()) > len(content) // 2 and any(victim.read_bytes())


def test_broken_blobs_of_openvino_are_made_again(cache):
    net, image = tiny_net(), make_image(20, 20)
    load_backend(net, 'openvino')(image)
    blob, = cache.rglob('*.blob')
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:1000])
    assert (load_backend(net, 'openvino')(image) - net(image)).abs().max() < 1e-5


def test_other_versions_machines_and_weights_have_other_keys(monkeypatch):
    key = cache_key(tiny_net(), 'openvino', '1')
    assert key == cache_key(tiny_net(), 'openvino', '1')
    others = {cache_key(tiny_net(seed=1), 'openvino', '1'), cache_key(tiny_net(), 'openvino', '2')}
    monkeypatch.setattr('deconas_plugin.inference.cache.device_name', lambda device: 'another processor')
    others.add(cache_key(tiny_net(), 'openvino', '1'))
    assert len(others) == 3 and key not in others


def test_where_nothing_can_be_written_it_runs_without_a_cache(monkeypatch, tmp_path):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('DECONAS_CACHE', str(tmp_path / 'file' / 'below'))
    net, image = tiny_net(), make_image(20, 20)
    assert (load_backend(net, 'onnxruntime')(image) - net(image)).abs().max() < 1e-5
    assert cached_files(tmp_path / 'file' / 'key', lambda folder: None) is None


@pytest.mark.parametrize(('backend', 'missing', 'message'), [
    ('openvino', 'openvino', '--backend openvino: not installed here; pip install openvino'),
    ('onnxruntime', 'onnx', '--backend onnxruntime: not installed here; pip install onnx onnxruntime'),
])
def test_what_is_not_installed_is_named_with_its_cure(backend, missing, message, monkeypatch):
    monkeypatch.setattr(load, 'find_spec', lambda package: None)
    with pytest.raises(BackendError, match=message):
        load_backend(tiny_net(), backend)


@pytest.mark.parametrize(('options', 'error', 'message'), [
    (dict(backend='tensorflow'), OptionError, "--backend: expected one of auto, torch, .*got 'tensorflow'"),
    (dict(backend='onnxruntime', precision='bf16'), BackendError, 'onnxruntime: expected the precision float32, got'),
    (dict(backend='onnxruntime:cuda'), BackendError, 'this onnxruntime has cpu; pip install onnxruntime-gpu'),
    (dict(backend='openvino', precision='fp16'), OptionError, '--precision: fp16 needs a CUDA device'),
])
def test_what_cannot_be(options, error, message):
    with pytest.raises(error, match=message):
        load_backend(tiny_net(), **options)


@pytest.mark.parametrize('name', RUNTIMES)
def test_a_layer_that_a_backend_cannot_take_is_named(name):

    @OPERATIONS.register_module(name='bessel_conv3x3')
    class BesselConv3x3(DenseConv):

        def forward(self, x, weights, bias):
            return torch.special.bessel_j0(super().forward(x, weights, bias))

        def as_dense(self, weights):
            return None

    try:
        net = tiny_net(genotype='11', operations=('conv3x3', 'bessel_conv3x3'))
        expected = rf'--backend {name}: it cannot take the layer blocks\.0\.layers\.0\.operations\.bessel_conv3x3 '
        with pytest.raises(BackendError, match=expected + r'\(BesselConv3x3\).*; use torch'):
            load_backend(net, name)(make_image(9, 9))
    finally:
        OPERATIONS.module_dict.pop('bessel_conv3x3')


def test_runtimes_are_imported_only_when_they_are_asked_for():
    code = ('import sys; from deconas_plugin.inference.backends import load_backend; load_backend("DeCoNASNet_x2_24G", '
            '"torch"); assert not {"openvino", "onnxruntime", "onnx"} & set(sys.modules)')
    assert run_fresh(code).returncode == 0
