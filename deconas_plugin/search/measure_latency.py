"""Measures how long the parts of a space's networks take on this machine."""
import platform
import random
import statistics
import time
from types import SimpleNamespace

import torch
from torch import nn
from torch.nn import functional as F

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.deconas_util import ChannelAttention, DeCoNASSkeleton, Features
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.search.latency_table import LatencyTable, key, network_sizes
from deconas_plugin.utils.precision import autocast

WARMUP = 3


def measure_latency(counter, lr_size, device, precision='float32', runs=20, num_networks=20, seed=0):
    """Measure every part, then check the sums against whole networks.

    Args:
        counter (ComplexityCounter): Space and sizes.
        lr_size (tuple[int]): Width and height of the LR image.
        device (torch.device): Where.
        precision (str): Of the forward pass.
        runs (int): Timed runs, after a warm-up; the median counts. Default: 20.
        num_networks (int): Random networks of the check. Default: 20.
        seed (int): Of these networks.

    Returns:
        LatencyTable: What was measured.
    """
    clock = Stopwatch(device, precision, runs)
    shape = (1, counter.num_feat, lr_size[1], lr_size[0])
    milliseconds = {key(part): clock.milliseconds(*_workload(part, counter, shape)) for part in counter.every_part()}
    table = LatencyTable(_device_name(device), torch.get_num_threads(), precision, network_sizes(counter),
                         list(lr_size), {name: round(value, 5) for name, value in milliseconds.items()}, [])
    rng = random.Random(seed)
    for _ in range(num_networks):
        genotype = counter.space.sample(rng)
        net = DeCoNASNet(genotype, **network_sizes(counter), num_in_ch=counter.num_in_ch, num_out_ch=counter.num_out_ch)
        measured = clock.milliseconds(net, torch.rand(1, counter.num_in_ch, *shape[2:]))
        table.errors.append(round(abs(table.predict(counter.parts(genotype)) - measured) / measured, 4))
    return table


class Stopwatch:
    """Times modules and functions of one tensor.

    Args:
        device (torch.device): Where they run.
        precision (str): Of the forward pass.
        runs (int): The median of this many runs counts.
    """

    def __init__(self, device, precision, runs):
        self.device = device
        self.precision = precision
        self.runs = runs

    @torch.no_grad()
    def milliseconds(self, function, x):
        """float: Median time of ``function(x)``."""
        if isinstance(function, nn.Module):
            function = function.to(self.device, memory_format=torch.channels_last).eval()
        x = x.to(self.device, memory_format=torch.channels_last)
        times = []
        with autocast(self.precision, self.device):
            for _ in range(WARMUP + self.runs):
                self._wait()
                started = time.perf_counter()
                function(x)
                self._wait()
                times.append(time.perf_counter() - started)
        return statistics.median(times[WARMUP:]) * 1e3

    def _wait(self):
        if self.device.type == 'cuda':
            torch.cuda.synchronize(self.device)


def _workload(part, counter, shape):
    """tuple: A module or function that does what the part does, and its input."""
    kind, *arguments = part
    channels = counter.num_feat
    if kind == 'skeleton':
        return _skeleton(counter), torch.rand(1, counter.num_in_ch, *shape[2:])
    if kind == 'operation':
        name, num_inputs = arguments
        return _Operation(name, channels, num_inputs), torch.rand(1, channels * num_inputs, *shape[2:])
    if kind == 'join':
        return (lambda x: Features([x] * arguments[0]).joined(tuple(range(arguments[0])))), torch.rand(shape)
    if kind == 'layer':
        return _Layer(channels, arguments[0]), torch.rand(shape)
    return _Fusion(channels, arguments[0]), torch.rand(shape)


class _Operation(nn.Module):

    def __init__(self, name, num_feat, num_inputs):
        super().__init__()
        self.inputs = tuple(range(num_inputs))
        self.weights = JoinedWeights(name, num_feat, self.inputs)

    def forward(self, x):
        return self.weights(x, self.inputs)


class _Layer(nn.Module):

    def __init__(self, num_feat, num_operations):
        super().__init__()
        self.num_operations = num_operations
        self.attention = ChannelAttention(num_feat)

    def forward(self, x):
        if self.num_operations > 1:
            x = F.relu(torch.stack([x] * self.num_operations).mean(0))
        return self.attention(x)


class _Fusion(nn.Module):

    def __init__(self, num_feat, num_inputs):
        super().__init__()
        self.inputs = tuple(range(num_inputs))
        self.weights = JoinedWeights('conv1x1', num_feat, self.inputs)

    def forward(self, x):
        features = Features([F.relu(x)] + [x] * (len(self.inputs) - 1))
        return x + self.weights(features.joined(self.inputs), self.inputs)


class _PassOn(nn.Module):

    def forward(self, x, _):
        return x


class _Skeleton(DeCoNASSkeleton):

    def forward(self, x):
        num_block = self.space.num_block
        return self.run(x, SimpleNamespace(blocks=(None, ) * num_block, global_fusion=(num_block, )))


def _skeleton(counter):
    return _Skeleton(counter.space, [_PassOn() for _ in range(counter.space.num_block)], _PassOn(), counter.num_feat,
                     counter.num_in_ch, counter.num_out_ch, counter.upscale, (0.5, ) * counter.num_in_ch)


def _device_name(device):
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else platform.processor() or platform.machine()
