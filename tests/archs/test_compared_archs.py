"""The networks of other papers: as large as published, right in colour, and trainable by BasicSR's own model."""
import cv2
import numpy as np
import pytest
import torch
from basicsr.archs import build_network
from basicsr.models import build_model
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.archs.compared import COMPARED
from deconas_plugin.archs.compared.falsr_arch import _depth_to_space
from deconas_plugin.archs.compared.luminance import LuminanceNet, upscale_bicubic
from deconas_plugin.cost.modules import count_network
from deconas_plugin.data.bicubic import bicubic
from deconas_plugin.data.sample_photos import TRAIN_PHOTOS, photo_folder
from deconas_plugin.errors import OptionError

SIZE = 8  # LR pixels of a patch
NETWORKS = [(name, scale) for name, arch in COMPARED.items() for scale in arch.scales]
# Parameters as built; Mult-Adds @720p at x2 as tables of other papers print them, None where they print something else.
PUBLISHED = {'SRCNN': (57281, 52.7), 'VDSR': (665921, 612.6), 'LapSRN': (407441, None), 'MemNet': (687817, 2662.4),
             'CARN': (964163, 222.8), 'FALSR-A': (1021401, 234.7)}


def build(name, scale=2, seed=0):
    torch.manual_seed(seed)
    return build_network({'type': COMPARED[name].__name__, 'upscale': scale})


def num_params(parameters):
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize('name', COMPARED)
def test_parameters_and_mult_adds_as_published(name):
    cost, (params, mult_adds) = count_network(build(name), 2, name), PUBLISHED[name]
    assert cost.params == params
    if mult_adds:
        assert cost.mult_adds / 1e9 == pytest.approx(mult_adds, rel=0.01)


def test_counts_that_are_explained():
    assert count_network(build('LapSRN'), 2, '').mult_adds / 1e9 == pytest.approx(94.1, abs=0.05)
    # What the tables print for LapSRN and CARN: two levels, and the tails of three scales.
    assert num_params(build('LapSRN', 4).parameters()) == 814242
    tails = [num_params(build('CARN', scale).upsample.parameters()) for scale in (2, 3, 4)]
    assert num_params(build('CARN').parameters()) + tails[1] + tails[2] == 1591939
    assert num_params(p for p in build('MemNet').parameters() if p.ndim == 4) == 676992


@pytest.mark.parametrize('name, scale', NETWORKS)
def test_sizes_and_scales(name, scale):
    net = build(name, scale).eval()
    with torch.no_grad():
        assert net(torch.rand(2, 3, 7, 5)).shape == (2, 3, 7 * scale, 5 * scale)


def test_scales_that_were_not_published():
    for name, scale in (('LapSRN', 3), ('FALSR-A', 4), ('SRCNN', 5)):
        with pytest.raises(OptionError, match=rf'network_g.upscale: .* was published for 2.*, got {scale}'):
            build(name, scale)


@pytest.mark.parametrize('scale', [2, 3, 4])
def test_bicubic_is_matlabs(scale):
    x = torch.rand(1, 3, 9, 14, generator=torch.Generator().manual_seed(scale))
    assert (upscale_bicubic(x, scale)[0] - imresize(x[0], scale)).abs().max() < 1e-5


def test_bicubic_is_differentiable():
    x = torch.rand(1, 1, 3, 4, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(0))
    assert torch.autograd.gradcheck(lambda image: upscale_bicubic(image, 2), x)


@pytest.mark.parametrize('foot, span, blue, red', [(16, 219, 112, 112), (0, 255, 127.5, 127.5)])
def test_luminance_is_replaced_and_chroma_interpolated(foot, span, blue, red):
    """By the definition of YCbCr and YPbPr, with matrices, for a network that gives some other luminance."""
    to_luminance = torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64)
    chroma = torch.stack([(torch.tensor([0., 0, 1]) - to_luminance) / (1 - 0.114) * blue,
                          (torch.tensor([1., 0, 0]) - to_luminance) / (1 - 0.299) * red])
    given = {}

    class Invented(LuminanceNet):

        def run(self, y):
            given['lr'] = y
            given['sr'] = upscale_bicubic(y, 2)**2 + 0.1
            return given['sr']

    net = Invented(2)
    net.foot, net.span = foot / 255, span / 255
    x = torch.rand(1, 3, 6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    output = net(x)

    def luminance(image):
        return foot / 255 + span / 255 * torch.einsum('c,nchw->nhw', to_luminance, image)

    assert torch.allclose(given['lr'][:, 0], luminance(x), atol=1e-12)
    assert torch.allclose(luminance(output), given['sr'][:, 0], atol=1e-12)
    interpolated = upscale_bicubic(x, 2)
    assert torch.allclose(torch.einsum('kc,nchw->nkhw', chroma, output),
                          torch.einsum('kc,nchw->nkhw', chroma, interpolated), atol=1e-10)


def test_channels_become_places_as_in_tensorflow():
    x = torch.arange(2 * 8 * 2 * 3).float().view(2, 8, 2, 3)
    shuffled = _depth_to_space(x, 2)
    assert shuffled.shape == (2, 2, 4, 6)
    for row, column, channel in np.ndindex(4, 6, 2):
        source = x[1, (row % 2 * 2 + column % 2) * 2 + channel, row // 2, column // 2]
        assert shuffled[1, channel, row, column] == source


@pytest.mark.parametrize('name', COMPARED)
def test_every_parameter_learns(name):
    net = build(name)
    net(torch.rand(2, 3, 6, 6)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def patches(number, seed):
    """HR and LR patches from the photographs of the quick run, two at a time."""
    rng = np.random.default_rng(seed)
    photos = [cv2.imread(str(photo_folder() / name)) for name in TRAIN_PHOTOS]
    pairs = [(hr, bicubic(hr, 1 / 2)) for hr in (photo[:photo.shape[0] // 2 * 2, :photo.shape[1] // 2 * 2]
                                                 for photo in photos)]
    for _ in range(number):
        batch = []
        for _ in range(2):
            hr, lr = pairs[rng.integers(len(pairs))]
            top, left = (rng.integers(length - SIZE) for length in lr.shape[:2])
            batch.append((hr[2 * top:2 * (top + SIZE), 2 * left:2 * (left + SIZE)],
                          lr[top:top + SIZE, left:left + SIZE]))
        gt, lq = (torch.from_numpy(np.stack(images)[..., ::-1].copy()).permute(0, 3, 1, 2).float() / 255
                  for images in zip(*batch, strict=True))
        yield {'gt': gt, 'lq': lq}


def stock_model(name, **path):
    return build_model({
        'model_type': 'SRModel', 'num_gpu': 0, 'dist': False, 'is_train': not path, 'scale': 2,
        'network_g': {'type': COMPARED[name].__name__, 'upscale': 2}, 'path': path,
        'train': {'pixel_opt': {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'},
                  'optim_g': {'type': 'Adam', 'lr': 2e-4, 'betas': [0.9, 0.99]},
                  'scheduler': {'type': 'MultiStepLR', 'milestones': [1000], 'gamma': 0.5}}})


def mean_loss(model):
    """On patches that are the same every time."""
    losses = []
    for batch in patches(20, seed=1):
        model.feed_data(batch)
        model.test()
        losses.append((model.output - model.gt).abs().mean().item())
    return np.mean(losses)


@pytest.mark.slow
@pytest.mark.parametrize('name', COMPARED)
def test_200_steps_of_stock_basicsr_lower_the_loss(name, tmp_path):
    torch.manual_seed(0)
    model = stock_model(name)
    before = mean_loss(model)
    for step, batch in enumerate(patches(200, seed=0), 1):
        model.feed_data(batch)
        model.optimize_parameters(step)
    after = mean_loss(model)
    assert after < 0.95 * before
    torch.save({'params': model.net_g.state_dict()}, tmp_path / 'net.pth')
    loaded = stock_model(name, pretrain_network_g=str(tmp_path / 'net.pth'), strict_load_g=True)
    assert mean_loss(loaded) == after
