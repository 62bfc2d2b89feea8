"""spandrel finds and loads our files, and takes nothing of theirs for ours."""
import inspect
import pkgutil
from importlib import import_module

import pytest
import torch
from zoo_fixture import make_net

from deconas_plugin.archs.network_options import encode_network
from deconas_plugin.formats.convert import convert

spandrel = pytest.importorskip('spandrel')
architectures = pytest.importorskip('spandrel.architectures')
integration = pytest.importorskip('deconas_plugin.formats.spandrel')

# What their constructors need where they have no defaults.
ARGUMENTS = {
    'AuraSR': dict(dim=8, image_size=16, input_image_size=8, style_network=dict(dim_in=8, dim_out=8)),
    'MMRealSR': dict(num_in_ch=3, num_out_ch=3),
    'SAFMN': dict(dim=8),
    'SAFMNBCIE': dict(dim=8),
    'SPAN': dict(num_in_ch=3, num_out_ch=3),
    'Swin2SR': dict(img_size=64, window_size=8),
    'SwinIR': dict(img_size=64, window_size=8),
}


def registry():
    """A copy of spandrel's own registry with ours in it."""
    copy = spandrel.MAIN_REGISTRY.copy()
    integration.install(copy)
    return copy


def states():
    net = make_net(genotype='DeCoNASNet_x2', num_block=4, num_layer=4)
    return {'plain': net.state_dict(), 'fused': net.fuse().state_dict()}


@pytest.mark.parametrize('ending', ['pth', 'safetensors'])
@pytest.mark.parametrize('fused', [False, True])
@pytest.mark.parametrize('upscale', [2, 3, 4])
def test_files_are_found_and_compute_the_same(tmp_path, ending, fused, upscale):
    net = make_net(upscale=upscale)
    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    convert(tmp_path / 'net.pth', tmp_path / f'converted.{ending}', fused)
    model = spandrel.ModelLoader(registry=registry()).load_from_file(tmp_path / f'converted.{ending}')
    assert (model.architecture.id, model.scale, model.purpose) == ('DeCoNAS', upscale, 'SR')
    assert (model.input_channels, model.output_channels) == (3, 3)
    x = torch.rand(1, 3, 9, 14)
    expected = (net.fuse() if fused else net)(x).clamp(0, 1)
    assert torch.equal(model.eval()(x), expected)


def test_a_file_of_basicsr_with_averaged_weights(tmp_path):
    net, averaged = make_net(), make_net()
    averaged.conv_last.bias.fill_(0.25)
    torch.save({'params': net.state_dict(), 'params_ema': averaged.state_dict()}, tmp_path / 'net.pth')
    model = spandrel.ModelLoader(registry=registry()).load_from_file(tmp_path / 'net.pth')
    x = torch.rand(1, 3, 6, 6)
    assert torch.equal(model(x), averaged(x).clamp(0, 1))


def test_half_precision_of_a_large_image():
    net = make_net(genotype='100', num_block=1, num_layer=1)
    # Features of 3, of which the sum over 300 x 400 pixels is beyond the numbers of fp16.
    net.blocks[0].layers['0'].operations['conv3x3'].bias.fill_(3)
    model = registry().load(net.state_dict()).half()
    x = torch.rand(1, 3, 300, 400)
    assert (model(x.half()).float() - net(x).clamp(0, 1)).abs().max() < 5e-3


@pytest.mark.parametrize('kind', ['plain', 'fused'])
def test_no_other_architecture_takes_ours(kind):
    state = states()[kind]
    assert [support.architecture.id for support in registry() if support.detect(state)] == ['DeCoNAS']


def test_ours_is_asked_first():
    assert registry().architectures('detection')[0].architecture.id == 'DeCoNAS'


def test_install_twice():
    copy = registry()
    integration.install(copy)
    assert len(copy) == len(spandrel.MAIN_REGISTRY) + ('DeCoNAS' not in spandrel.MAIN_REGISTRY)


def foreign_networks():
    """Every network that spandrel comes with, by name, as functions that build it."""
    for package in pkgutil.iter_modules(architectures.__path__):
        if not package.name.startswith('_'):
            module = import_module(f'spandrel.architectures.{package.name}')
            for name in module.__all__:
                member = getattr(module, name)
                if inspect.isclass(member) and issubclass(member, torch.nn.Module):
                    yield pytest.param(member, ARGUMENTS.get(package.name, {}), id=f'{package.name}-{name}')


@pytest.mark.parametrize(('network', 'arguments'), list(foreign_networks()))
@pytest.mark.filterwarnings('ignore')
def test_no_network_of_others_is_taken_for_ours(network, arguments):
    try:
        with torch.device('meta'):
            state = network(**arguments).state_dict()
    except RuntimeError:  # some compute while they are built
        state = network(**arguments).state_dict()
    found = next(support for support in registry() if support.architecture.id == 'DeCoNAS')
    assert not found.detect(state)
    assert not found.detect({**state, 'genotype_code': encode_network(make_net().genotype)})
