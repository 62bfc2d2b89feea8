"""The skeleton's options: a light tail, and a residual over the interpolated image."""
import math
import random

import pytest
import torch
from helpers import texts_of
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_supernet_arch import DeCoNASSuperNet
from deconas_plugin.archs.load import check_state, network_from_state
from deconas_plugin.archs.network_options import network_options
from deconas_plugin.commands import main
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.cost.latency import LatencyTable, measure_latency, network_sizes
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.formats.convert import convert
from deconas_plugin.inference.tiling import upscale_tiled
from deconas_plugin.space.genotype import SearchSpace
from deconas_plugin.visual.draw import draw_genotype

LIGHT = dict(tail='light', residual='bicubic')
SMALL = dict(genotype='110 110011', num_layer=2, num_block=2, num_feat=8)


def make_net(**options):
    torch.manual_seed(0)
    net = DeCoNASNet(**{**SMALL, **LIGHT, **options}).eval()
    with torch.no_grad():
        last = net.conv_last if net.tail_kind == 'classic' else net.upsample[0]
        last.weight.normal_(0, 0.05)
        last.bias.normal_(0, 0.05)
    return net


@pytest.mark.parametrize('tail', ['classic', 'light'])
@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_training_starts_from_the_interpolated_image(tail, upscale):
    x = torch.rand(2, 3, 7, 5)
    for mode in ('nearest', 'bilinear', 'bicubic'):
        net = DeCoNASNet(**SMALL, tail=tail, residual=mode, upscale=upscale)
        keyword = {} if mode == 'nearest' else {'align_corners': False}
        assert torch.equal(net(x), F.interpolate(x, scale_factor=upscale, mode=mode, **keyword))


@pytest.mark.parametrize('tail', ['classic', 'light'])
def test_the_first_step_moves_it_and_the_second_everything(tail):
    torch.manual_seed(0)
    net = DeCoNASNet(**{**SMALL, 'num_feat': 32}, tail=tail, residual='bicubic')
    before = {name: parameter.clone() for name, parameter in net.named_parameters()}
    optimizer = torch.optim.Adam(net.parameters(), 1e-3)
    for _ in range(2):
        optimizer.zero_grad()
        F.l1_loss(net(torch.rand(1, 3, 8, 8)), torch.rand(1, 3, 16, 16)).backward()
        optimizer.step()
    still = [name for name, parameter in net.named_parameters() if torch.equal(parameter, before[name])]
    assert not still


@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_params_and_mult_adds_of_a_light_tail(upscale):
    net = DeCoNASNet(tail='light', residual='bicubic', upscale=upscale)
    cost = ComplexityCounter.of(net).count(net.genotype)
    assert cost.params == sum(parameter.numel() for parameter in net.parameters())
    x = torch.rand(1, 3, 720 // upscale, 1280 // upscale, device='meta')
    with FlopCounterMode(display=False) as flops:
        net.to('meta')(x)
    assert cost.mult_adds == flops.get_total_flops() / 2
    classic = DeCoNASNet(upscale=upscale)
    classic = ComplexityCounter.of(classic).count(classic.genotype)
    stages = {2: [(64 * 4, 1)], 3: [(64 * 9, 1)], 4: [(64 * 4, 1), (64 * 4, 4)]}[upscale]
    pixels = (1280 // upscale) * (720 // upscale)
    saved = sum(9 * 64 * written * area for written, area in stages) + 9 * 64 * 3 * upscale**2 - 9 * 64 * 3 * upscale**2
    assert classic.mult_adds - cost.mult_adds == saved * pixels


@torch.no_grad()
@pytest.mark.parametrize('tail', ['classic', 'light'])
@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_weights_alone_tell_the_network_and_fused_it_is_the_same(tail, upscale):
    net = make_net(tail=tail, residual='bilinear', upscale=upscale)
    x = torch.rand(2, 3, 9, 6)
    for state in (net.state_dict(), net.fuse().state_dict()):
        options = network_options(state)
        assert (options['tail'], options['residual'], options['upscale'], options['num_out_ch']) == (
            tail, 'bilinear', upscale, 3)
        again = network_from_state(state)
        assert (again(x) - net(x)).abs().max() < 1e-5


def test_grey_images_with_a_light_tail():
    net = make_net(num_in_ch=1, num_out_ch=1, rgb_mean=(0.4, ))
    assert network_options(net.state_dict())['upscale'] == 2
    assert network_from_state(net.state_dict())(torch.rand(1, 1, 5, 4)).shape == (1, 1, 10, 8)


def test_weights_of_another_residual_or_tail_are_refused():
    state = make_net().state_dict()
    with pytest.raises(WeightsError, match='residual bicubic, but this network has none; set network_g.residual'):
        make_net(residual='none').load_state_dict(state)
    with pytest.raises(WeightsError, match='expected weights of residual nearest, found those of bicubic'):
        check_state(make_net(residual='nearest'), state)
    with pytest.raises(WeightsError, match='expected weights of tail classic, found those of light'):
        check_state(make_net(tail='classic'), state)


@pytest.mark.parametrize(('options', 'message'), [
    (dict(tail='heavy'), "tail: expected one of classic, light, got 'heavy'"),
    (dict(residual='lanczos'), "residual: expected one of none, nearest, bilinear, bicubic, got 'lanczos'"),
])
def test_unknown_choices(options, message):
    for network in (DeCoNASNet, DeCoNASSuperNet):
        with pytest.raises(OptionError, match=message):
            network(**options)


@torch.no_grad()
@pytest.mark.parametrize('num_feat', [8, [4, 8]])
def test_supernet_and_derived_network_are_the_same(num_feat):
    torch.manual_seed(0)
    supernet = DeCoNASSuperNet(num_feat=num_feat, num_block=2, num_layer=2, upscale=3, **LIGHT)
    supernet.upsample[0].weight.normal_(0, 0.05)
    x, rng = torch.rand(1, 3, 6, 5), random.Random(0)
    for _ in range(8):
        genotype = supernet.space.sample(rng)
        derived = supernet.derive(genotype)
        assert (derived.tail_kind, derived.residual) == ('light', 'bicubic')
        assert (supernet(x, genotype) - derived(x)).abs().max() < 1e-5


@torch.no_grad()
def test_tiles_leave_no_seams():
    net = make_net()
    image = torch.rand(1, 3, 60, 50)
    assert (upscale_tiled(net, image, tile=16, tolerance=0) - net(image)).abs().max() < 1e-5


def test_onnxruntime_interpolates_alike(tmp_path):
    runtime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    net = make_net(upscale=3, num_block=1)
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    convert(tmp_path / 'net.pth', tmp_path / 'net.onnx')  # compares by itself, too
    session = runtime.InferenceSession(tmp_path / 'net.onnx', providers=['CPUExecutionProvider'])
    for size in ((1, 3, 13, 17), (2, 3, 1, 2)):
        x = torch.rand(size)
        upscaled, = session.run(None, {'image': x.numpy()})
        assert (torch.from_numpy(upscaled) - net(x)).abs().max() < 1e-4


def test_a_latency_table_belongs_to_its_tail(tmp_path):
    counter = ComplexityCounter(SearchSpace(1, 1, ('conv3x3', )), num_feat=4, **LIGHT)
    table = measure_latency(counter, (8, 8), torch.device('cpu'), runs=1, num_networks=1)
    table.save(tmp_path / 'table.yml')
    assert math.isfinite(LatencyTable.load(tmp_path / 'table.yml', counter).errors[0])
    classic = ComplexityCounter(counter.space, num_feat=4)
    assert 'tail' not in network_sizes(classic) and 'residual' not in network_sizes(classic)
    with pytest.raises(OptionError, match='latency_table: .* was measured for .*light'):
        LatencyTable.load(tmp_path / 'table.yml', classic)


@torch.no_grad()
def test_the_interpolated_image_keeps_its_precision_in_bf16():
    net = make_net()
    with torch.autocast('cpu', torch.bfloat16):
        x = torch.rand(1, 3, 16, 16)
        interpolated = F.interpolate(x, scale_factor=2, mode='bicubic', align_corners=False)
        net.upsample[0].weight.zero_()
        net.upsample[0].bias.zero_()
        assert torch.equal(net(x), interpolated) and interpolated.dtype == torch.float32


def test_drawings_show_tail_and_residual(tmp_path):
    net = make_net()
    texts = texts_of(draw_genotype(net.genotype, net.tail_kind, net.residual))
    assert 'shuffle' in texts and '(b) Network, added to the bicubic image' in texts and 'upsample' not in texts
    assert 'upsample' in texts_of(draw_genotype(net.genotype))
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    for what in ([tmp_path / 'net.pth'], ['v2', '8ch', '3b', '2l', 'spatial', 'gelu', '110', '110011']):
        assert main(['draw', *map(str, what), '-o', str(tmp_path / 'net.svg')]) == 0
    text = (tmp_path / 'net.svg').read_text()
    assert 'spatial attention' in text and 'block 2' in text
