"""The forward pass as other programs get it: traced, exported, in OpenVINO, fused or not."""
import copy
import warnings

import pytest
import torch

from deconas_plugin.archs.attention import ChannelAttention
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.load import load_network
from deconas_plugin.files.zoo import load_zoo

openvino = pytest.importorskip('openvino')

SIZES = ((24, 32), (17, 41), (40, 9))
TOLERANCE = 1e-4


# The lightest in every test run; the others say the same about larger networks.
QUICK = 'DeCoNASNet_x2_24G'
NETWORKS = [pytest.param((name, fused), id=f'{name}-{"fused" if fused else "plain"}',
                         marks=() if name == QUICK else pytest.mark.slow)
            for name in load_zoo().entries for fused in (False, True)]


@pytest.fixture(scope='module', params=NETWORKS)
def net(request):
    name, fused = request.param
    net = load_network(name)  # with weights that want gradients, as whoever loads them has them
    return net.fuse() if fused else net


def image(height, width, number=1):
    return torch.rand(number, 3, height, width, generator=torch.Generator().manual_seed(height))


def assert_equals(net, run):
    for size in SIZES:
        assert (torch.as_tensor(run(image(*size))) - net(image(*size))).abs().max() < TOLERANCE, size


def in_openvino(model):
    compiled = openvino.Core().compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    return lambda x: compiled([x.numpy()])[0]


@pytest.fixture(scope='module')
def traced(net):
    # With gradients on, as they are when nobody thinks of them.
    with warnings.catch_warnings(action='ignore'):
        return torch.jit.trace(net, image(16, 12))


def export(net):
    size = {0: torch.export.Dim('batch', max=64), 2: torch.export.Dim('height', min=8, max=4096),
            3: torch.export.Dim('width', min=8, max=4096)}
    return torch.export.export(net, (image(16, 12, number=2), ), dynamic_shapes=(size, ))


@pytest.fixture(scope='module')
def exported(net):
    return export(net)


def test_traced(net, traced):
    assert_equals(net, traced)


def test_exported(net, exported):
    assert_equals(net, exported.module())


@pytest.mark.parametrize(('residual', 'upscale'), [('nearest', 3), ('bilinear', 4), ('bicubic', 2)])
def test_exported_with_an_interpolated_image_added(residual, upscale):
    torch.manual_seed(0)
    net = DeCoNASNet('111', num_feat=4, num_block=1, num_layer=1, upscale=upscale, residual=residual).eval()
    assert_equals(net, export(net).module())


def test_openvino_takes_what_was_traced(net, traced):
    assert_equals(net, in_openvino(openvino.convert_model(traced, input=[openvino.PartialShape([-1, 3, -1, -1])])))


def test_openvino_takes_what_was_exported(net, exported):
    assert_equals(net, in_openvino(openvino.convert_model(exported)))


def test_the_graph_has_one_average_pooling_for_each_attention(net, traced):
    pools = [node for node in traced.inlined_graph.nodes() if node.kind() == 'aten::adaptive_avg_pool2d']
    assert len(pools) == sum(isinstance(module, ChannelAttention) for module in net.modules())


def test_gradients_on_or_off_make_no_other_graph(net, traced, exported):
    with torch.no_grad(), warnings.catch_warnings(action='ignore'):
        without = torch.jit.trace(net, image(16, 12))
        exported_without = export(net)
    kinds = [[node.kind() for node in one.inlined_graph.nodes()] for one in (traced, without)]
    assert kinds[0] == kinds[1]
    targets = [[str(node.target) for node in one.graph.nodes] for one in (exported, exported_without)]
    assert targets[0] == targets[1]


def test_gradients_on_or_off_it_compiles_in_one_piece(net):
    for grad in (True, False):
        torch.compiler.reset()
        # The compiler behind it, which takes minutes, sees what this one does.
        compiled = torch.compile(net, backend='eager', fullgraph=True)
        with torch.set_grad_enabled(grad):
            assert torch.equal(compiled(image(17, 41)), net(image(17, 41)))


def test_the_average_of_a_training_step_is_that_of_inference():
    torch.manual_seed(0)
    attention = ChannelAttention(8)
    inference = copy.deepcopy(attention).eval()
    x = torch.rand(2, 8, 5, 7)
    assert torch.allclose(attention(x, 0.5), inference(x, 0.5), atol=1e-6)
    assert torch.allclose(attention(x, 0.5), attention(x * 0.5), atol=1e-6)


def test_the_average_of_a_large_image_in_fp16_is_finite():
    attention = ChannelAttention(8).eval().half().requires_grad_(False)
    x = torch.full((1, 8, 300, 400), 3, dtype=torch.float16)
    assert torch.isfinite(attention(x)).all()
