"""ONNX: the same output in onnxruntime, at any size."""
import json

import pytest
import torch
from zoo_fixture import make_net

from deconas_plugin.errors import WeightsError
from deconas_plugin.formats.convert import convert

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

SIZES = [(1, 16, 24), (3, 33, 21), (2, 7, 64), (1, 1, 1)]
SMALLEST = dict(genotype='111', num_block=1, num_layer=1)
PUBLISHED = dict(genotype='DeCoNASNet_x2', num_block=4, num_layer=4, num_feat=64, upscale=2)


def export(folder, precision='float32', **options):
    net = make_net(**options)
    # Features of 3, of which the sum over 300 x 400 pixels is beyond the numbers of fp16.
    net.blocks[0].layers['0'].operations['conv3x3'].bias.fill_(3)
    torch.save({'params': net.state_dict()}, folder / 'net.pth')
    message = convert(folder / 'net.pth', folder / 'net.onnx', precision=precision)
    return net, folder / 'net.onnx', message


def largest_difference(net, path, sizes):
    session = onnxruntime.InferenceSession(path, providers=['CPUExecutionProvider'])
    largest = 0
    for number, height, width in sizes:
        x = torch.rand(number, net.num_in_ch, height, width, generator=torch.Generator().manual_seed(1))
        result, = session.run(['upscaled'], {'image': x.numpy()})
        assert result.dtype == 'float32' and result.shape == (number, 3, net.upscale * height, net.upscale * width)
        largest = max(largest, (torch.from_numpy(result) - net(x)).abs().max().item())
    return largest


@pytest.fixture(scope='module')
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp('onnx'), **SMALLEST)


def test_equals_pytorch_at_any_size(exported):
    net, path, message = exported
    assert 'opset 18' in message
    assert largest_difference(net, path, SIZES) < 1e-4


def test_the_file_says_what_it_is(exported):
    model = onnx.load(exported[1])
    onnx.checker.check_model(model)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [('', 18)]
    shapes = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for value in (*model.graph.input, *model.graph.output)]
    assert shapes == [['batch', 3, 'height', 'width'], ['batch', 3, '3*height', '3*width']]
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert (properties['architecture'], properties['genotype'], properties['scale']) == ('FusedDeCoNASNet', '111', '3')
    assert json.loads(properties['hyperparameters'])['num_feat'] == 8


def test_one_size_alone(tmp_path):
    net = make_net(**SMALLEST)
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    assert '20x14 pixels only' in convert(tmp_path / 'net.pth', tmp_path / 'net.onnx', size=(20, 14))
    shapes = [[dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
              for graph in [onnx.load(tmp_path / 'net.onnx').graph] for value in (*graph.input, *graph.output)]
    assert shapes == [[1, 3, 14, 20], [1, 3, 42, 60]]
    assert largest_difference(net, tmp_path / 'net.onnx', [(1, 14, 20)]) < 1e-4
    with pytest.raises(WeightsError, match='--lr-size is for .onnx alone'):
        convert(tmp_path / 'net.pth', tmp_path / 'net.safetensors', size=(20, 14))


@pytest.mark.slow
@pytest.mark.parametrize('options', [PUBLISHED, {**PUBLISHED, 'upscale': 3, 'num_feat': 16},
                                     {**PUBLISHED, 'upscale': 4, 'num_feat': 16}])
def test_the_published_network(tmp_path, options):
    net, path, _ = export(tmp_path, **options)
    assert largest_difference(net, path, SIZES) < 1e-4
    assert path.stat().st_size < 4 * sum(tensor.numel() for tensor in net.fuse().parameters()) + 2e5


@pytest.mark.slow
def test_half_precision_keeps_float32_images(tmp_path):
    net, path, _ = export(tmp_path, 'fp16', **SMALLEST)
    assert largest_difference(net, path, SIZES) < 2e-3
    assert largest_difference(net, path, [(1, 300, 400)]) < 5e-3
    weights = [tensor for tensor in onnx.load(path).graph.initializer if tensor.name.endswith('.weight')]
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.FLOAT16}


def test_bfloat16_is_refused(tmp_path):
    with pytest.raises(WeightsError, match='ONNX runtimes do not compute bf16'):
        export(tmp_path, 'bf16')
