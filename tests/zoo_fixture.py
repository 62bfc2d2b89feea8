"""A model zoo of one network that fits into a test."""
import hashlib

import torch
import yaml

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.files import zoo as catalogue

OPTIONS = dict(genotype='110 110101', num_block=2, num_layer=2, num_feat=8, upscale=3)


def make_net(**options):
    torch.manual_seed(0)
    return DeCoNASNet(**{**OPTIONS, **options}).eval().requires_grad_(False)


def entry_of(path):
    """dict: The entry of ``zoo.yml`` for a weight file."""
    net = make_net()
    cost = ComplexityCounter.of(net).count(net.genotype)
    return dict(
        name='Small_x3', file=path.name, sha256=hashlib.sha256(path.read_bytes()).hexdigest(), scale=3,
        genotype='110 110101', num_feat=8, params=cost.params, mult_adds=cost.mult_adds, data='DIV2K', iterations=1000,
        command='python tools/train.py -opt small.yml', date='2026-01-31', licence='Apache-2.0',
        metrics={'Set5': [30.5, 0.91], 'Set14': [29.25, 0.9]}, note='Trained for a test.')


def write_zoo(folder, entries, monkeypatch):
    """Make a folder the model zoo."""
    bicubic = {3: {'Set5': [30.25, 0.9], 'Set14': [27, 0.8]}}
    lines = yaml.safe_dump({'bicubic': bicubic, 'weights': entries}, sort_keys=False)
    # Dates without quotes, as people write them.
    (folder / 'zoo.yml').write_text(lines.replace("'2026-01-31'", '2026-01-31'))
    monkeypatch.setattr(catalogue, 'FOLDER', folder)


def make_zoo(folder, monkeypatch, **changes):
    """DeCoNASNet: The one network of the zoo that the folder becomes."""
    net = make_net()
    torch.save({'params': net.state_dict()}, folder / 'Small_x3.pth')
    write_zoo(folder, [{**entry_of(folder / 'Small_x3.pth'), **changes}], monkeypatch)
    return net
