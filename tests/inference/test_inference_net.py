"""What DeCoNASModel runs in tests: the fused network."""
import pytest
import torch
from basicsr.models import build_model

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.fused import FusedDeCoNASNet


def options(network, weights):
    return {'model_type': 'DeCoNASModel', 'num_gpu': 0, 'is_train': False, 'dist': False, 'rank': 0, 'scale': 2,
            'val': {}, 'network_g': network,
            'path': {'pretrain_network_g': str(weights), 'strict_load_g': True}}


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(0)
    net = DeCoNASNet(num_feat=8)
    torch.save({'params': net.state_dict()}, tmp_path / 'net_g.pth')
    return net, tmp_path / 'net_g.pth'


def test_tests_run_the_fused_network(weights):
    net, path = weights
    model = build_model(options({'type': 'DeCoNASNet', 'num_feat': 8}, path))
    images = torch.rand(1, 3, 9, 7)
    model.feed_data({'lq': images})
    model.test()
    with torch.no_grad():
        assert (model.output - net(images)).abs().max() < 1e-5
    assert isinstance(model.inference_net, FusedDeCoNASNet)
    assert isinstance(model.net_g, DeCoNASNet)


def test_networks_that_cannot_be_fused_run_as_they_are():
    model = build_model(options({'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1,
                                 'upscale': 2}, None) | {'path': {}})
    model.feed_data({'lq': torch.rand(1, 3, 9, 7)})
    model.test()
    assert model.output.shape == (1, 3, 18, 14)
