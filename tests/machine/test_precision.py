"""Reduced precision trains as well as float32."""
import pytest
import torch
from basicsr.models import build_model
from torch.nn import functional as F

from deconas_plugin.machine.device import autocast, resolve_precision

SMALL = {'type': 'DeCoNASNet', 'num_feat': 16, 'num_block': 2, 'num_layer': 2, 'genotype': '111 110100'}


def built_model(network=SMALL, **train):
    """DeCoNASModel: Of a small network, seeded."""
    torch.manual_seed(0)
    return build_model({
        'model_type': 'DeCoNASModel', 'num_gpu': 0, 'is_train': True, 'dist': False, 'rank': 0, 'scale': 2, 'val': {},
        'network_g': network, 'path': {},
        'train': {'total_iter': 60, 'optim_g': {'type': 'Adam', 'lr': 2e-3},
                  'scheduler': {'type': 'MultiStepLR', 'milestones': [1000]},
                  'pixel_opt': {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'}, **train}
    })


def trained_loss(precision, channels_last, num_iter=60):
    """float: L1 loss of the last steps on a job that is learned within seconds: upscaling smooth images."""
    model = built_model(precision=precision, channels_last=channels_last)
    losses = []
    for current_iter in range(1, num_iter + 1):
        coarse = torch.rand(4, 3, 4, 4)
        gt = F.interpolate(coarse, size=(32, 32), mode='bicubic').clamp(0, 1)
        model.feed_data({'lq': F.avg_pool2d(gt, 2), 'gt': gt})
        model.optimize_parameters(current_iter)
        losses.append(float(model.log_dict['l_pix']))
    return sum(losses[-10:]) / 10


def test_bf16_training_reaches_the_float32_loss():
    reference = trained_loss('float32', channels_last=False)
    assert reference < 0.05
    assert trained_loss('bf16', channels_last=True) == pytest.approx(reference, rel=0.03)
    assert trained_loss('float32', channels_last=True) == pytest.approx(reference, rel=0.02)


def test_default_is_what_the_processor_computes():
    assert resolve_precision(None, torch.device('cpu'), num_feat=64) in ('float32', 'bf16')
    assert resolve_precision(None, torch.device('cpu'), num_feat=20) == 'float32'


@pytest.fixture
def tf32_settings():
    backends = (torch.backends.cudnn, torch.backends.cuda.matmul)
    before = [backend.allow_tf32 for backend in backends]
    yield
    for backend, allowed in zip(backends, before, strict=True):
        backend.allow_tf32 = allowed


@pytest.mark.filterwarnings('ignore')
def test_only_tf32_lets_a_gpu_round_to_tf32(tf32_settings):
    for precision, allowed in (('tf32', True), ('float32', False), ('tf32', True), ('bf16', False)):
        with autocast(precision, torch.device('cuda')):
            pass
        # Still so afterwards, for the backward pass.
        assert torch.backends.cudnn.allow_tf32 == torch.backends.cuda.matmul.allow_tf32 == allowed


def test_precision_is_chosen_for_the_network_that_pretrained_weights_describe(monkeypatch):
    asked = []
    monkeypatch.setattr('deconas_plugin.models.deconas_model.resolve_precision',
                        lambda precision, device, num_feat=64, key='': asked.append(num_feat) or 'float32')
    built_model({'type': 'DeCoNASNet', 'pretrained': 'DeCoNASNet_x2_24G'})
    assert asked[0] == (32, )


@pytest.mark.parametrize('limit, scale', [(0.01, 'clipped'), (1e6, 'whole')])
def test_the_gradient_of_a_step_has_at_most_the_norm_of_grad_clip(limit, scale):
    norms = {}
    for clip in (None, limit):
        model = built_model(precision='float32', grad_clip=clip)
        torch.manual_seed(1)
        model.feed_data({'lq': torch.rand(2, 3, 8, 8), 'gt': torch.rand(2, 3, 16, 16)})
        model.optimize_parameters(1)
        norms[clip] = torch.stack([weight.grad.norm() for weight in model.net_g.parameters()]).norm().item()
    assert norms[limit] == pytest.approx(limit if scale == 'clipped' else norms[None], rel=1e-3)
    assert norms[None] > 0.1
