"""Reduced precision trains as well as float32."""
import pytest
import torch
from basicsr.models import build_model
from torch.nn import functional as F

from deconas_plugin.utils.precision import autocast, resolve_precision


def trained_loss(precision, channels_last, num_iter=60):
    """float: L1 loss of the last steps on a job that is learned within seconds: upscaling smooth images."""
    torch.manual_seed(0)
    model = build_model({
        'model_type': 'DeCoNASModel', 'num_gpu': 0, 'is_train': True, 'dist': False, 'rank': 0, 'scale': 2, 'val': {},
        'network_g': {'type': 'DeCoNASNet', 'num_feat': 16, 'num_block': 2, 'num_layer': 2, 'genotype': '111 110100'},
        'path': {},
        'train': {'precision': precision, 'channels_last': channels_last, 'total_iter': num_iter,
                  'optim_g': {'type': 'Adam', 'lr': 2e-3}, 'scheduler': {'type': 'MultiStepLR', 'milestones': [1000]},
                  'pixel_opt': {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'}}
    })
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
