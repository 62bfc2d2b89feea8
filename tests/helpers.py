"""What tests of several rooms use: counting what was built, small networks and images, runs in this process."""
import copy
import logging
import random
import re

import torch
from basicsr.utils import logger
from torch.utils.flop_counter import FlopCounterMode

from deconas_plugin.archs.attention import ChannelAttention
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.commands import main
from deconas_plugin.cost.latency import LatencyTable, key, network_sizes
from deconas_plugin.space import Genotype


def num_params(net):
    return sum(parameter.numel() for parameter in net.parameters())


def built_mult_adds(net):
    width, height = 1280 // net.upscale, 720 // net.upscale
    with FlopCounterMode(display=False) as counter:
        net.to('meta')(torch.empty(1, net.num_in_ch, height, width, device='meta'))
    return counter.get_total_flops() // 2


def genotypes(space, count, seed=0):
    """All zeros, all ones, every single bit, then random ones."""
    rng = random.Random(seed)
    singles = [tuple(int(i == bit) for i in range(space.num_bits)) for bit in range(space.num_bits)]
    fixed = [(0, ) * space.num_bits, (1, ) * space.num_bits, *singles]
    return [Genotype(space, bits) for bits in fixed] + [space.sample(rng) for _ in range(count)]


def constant_table(counter, milliseconds=1.0):
    table = {key(part): milliseconds for part in counter.every_part()}
    return LatencyTable('test', 1, 'float32', network_sizes(counter), [8, 8], table, [])


def make_net(attention_gain=8, seed=0, **options):
    """A small network whose attentions matter more than those of trained ones do."""
    torch.manual_seed(seed)
    net = DeCoNASNet(**{**dict(genotype='110 110101', num_block=2, num_layer=2, num_feat=8), **options}).eval()
    for module in net.modules():
        if isinstance(module, ChannelAttention):
            module.squeeze.weight.data *= attention_gain
            module.excite.weight.data *= attention_gain
    return net.requires_grad_(False)


def make_image(height=90, width=130, seed=0):
    """Smooth on top, noise below: no part of it looks like the whole."""
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    image[..., :height // 2, :] = torch.linspace(0, 1, width)
    return image


def mult_adds(net, x):
    with FlopCounterMode(display=False) as counter:
        net(x)
    return counter.get_total_flops() / 2


def texts_of(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def run(tool, *arguments):
    """Run a tool in this process with a fresh BasicSR log; returns its exit code."""
    logger.initialized_logger.clear()
    logging.getLogger('basicsr').handlers.clear()
    return main([tool, *map(str, arguments)])


def psnrs(folder):
    """PSNR lines of the newest log below a folder."""
    log = max(folder.glob('*.log'))
    return re.findall(r'Validation.*\n\t # psnr: ([\d.]+)', log.read_text())


def changed(options, place, value=...):
    """A copy with one key set, and the sections to it made; ``...`` leaves it out."""
    options = copy.deepcopy(options)
    *sections, last = place.split('.')
    section = options
    for name in sections:
        name = int(name) if name.isdecimal() else name
        if isinstance(section, dict) and section.get(name) is None:
            section[name] = {}
        section = section[name]
    if value is ...:
        section.pop(last, None)
    else:
        section[last] = value
    return options
