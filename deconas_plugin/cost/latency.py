"""How long the operations of a space take on a machine: measured once, written as a table, read by searches."""
import platform
import random
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import yaml
from torch import nn
from torch.nn import functional as F

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.forward import DenseLayer, Features
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.cost.count import PassOn, Skeleton
from deconas_plugin.errors import OptionError
from deconas_plugin.files.option_files import save_options
from deconas_plugin.files.paths import tool_command
from deconas_plugin.inference.runtimes import runtime_function
from deconas_plugin.machine.device import autocast
from deconas_plugin.machine.timing import timed
from deconas_plugin.space.choices import PAPER_ACTIVATION, PAPER_ATTENTION

WARMUP = 3  # runs that are not timed


@dataclass(frozen=True)
class LatencyTable:
    """Measured by ``deconas latency``; holds on the machine and for the sizes it was measured with.

    Attributes:
        device (str): Its name.
        threads (int): CPU threads.
        precision (str): 'float32', 'bf16' or 'fp16'.
        network (dict): The supernet's sizes.
        lr_size (list[int]): Width and height of the LR image.
        milliseconds (dict[str, float]): Median latency of every part, see ComplexityCounter.parts, by :func:`key`.
        errors (list[float]): |predicted - measured| / measured of random networks of the space.
        backend (str): What ran them. Default: 'torch'.
    """
    device: str
    threads: int
    precision: str
    network: dict
    lr_size: list
    milliseconds: dict
    errors: list
    backend: str = 'torch'

    def predict(self, parts, width=None):
        """float: Latency in milliseconds of a network of these parts (dict[tuple, int]: how often each occurs), with
        so many channels where their number is searched."""
        return sum(self.milliseconds[key(part, width)] * times for part, times in parts.items())

    @classmethod
    def load(cls, path, counter=None):
        """Read a table.

        Args:
            path (str | Path): What :meth:`save` wrote.
            counter (ComplexityCounter | None): Of the networks whose latency is wanted.

        Raises:
            OptionError: The file cannot be read, or does not fit the networks.
        """
        try:
            table = cls(**yaml.safe_load(Path(path).read_text(encoding='utf-8')))
        except (OSError, UnicodeDecodeError, TypeError, yaml.YAMLError) as error:
            raise OptionError(f'search.latency_table: {path} is no latency table ({" ".join(str(error).split())}); '
                              f'make one with {tool_command("latency")}') from error
        if counter is not None:
            sizes = network_sizes(counter)
            keys = {key(part, width) for width, part in searched_parts(counter)}
            if not keys <= table.milliseconds.keys() or sizes != table.network:
                raise OptionError(f'search.latency_table: {path} was measured for {table.network}, but the search has '
                                  f'{sizes}; measure again with {tool_command("latency")}')
        return table

    def save(self, path):
        """Write the table as YAML."""
        save_options(asdict(self), path, 'Measured by deconas latency; milliseconds per part')


def key(part, width=None):
    """str: A part as it is named in the file, after the width where that is searched."""
    return ' '.join(map(str, part if width is None else (f'{width}ch', *part)))


def searched_parts(counter):
    """list[tuple[int | None, tuple]]: What a table holds: width, where that is searched, and part."""
    return [(width, part) for width in counter.space.widths or (None, ) for part in counter.every_part()]


def network_sizes(counter):
    """dict: What a table depends on."""
    space = counter.space
    sizes = dict(num_feat=list(space.widths) or counter.num_feat, num_block=list(space.block_counts) or space.num_block,
                 num_layer=list(space.layer_counts) or space.num_layer, upscale=counter.upscale,
                 operations=list(space.operations))
    # Only where they are not the paper's, which tables that know nothing of them were measured with.
    others = {'tail': (counter.tail, 'classic'), 'residual': (counter.residual, 'none'),
              'attention': (list(space.attention), [PAPER_ATTENTION]),
              'activation': (list(space.activation), [PAPER_ACTIVATION])}
    return {**sizes, **{name: value for name, (value, default) in others.items() if value != default}}


def measure_latency(counter, lr_size, device, precision='float32', runs=20, num_networks=20, seed=0,
                    backend='torch'):
    """Measure every part, then check the sums against whole networks.

    Args:
        counter (ComplexityCounter): Space and sizes.
        lr_size (tuple[int]): Width and height of the LR image.
        device (torch.device): Where.
        precision (str): Of the forward pass.
        runs (int): Timed runs, after a warm-up; the median counts. Default: 20.
        num_networks (int): Random networks of the check. Default: 20.
        seed (int): Of these networks.
        backend (str): What runs them: 'torch', 'openvino' or 'onnxruntime', these on a CPU. Default: 'torch'.

    Returns:
        LatencyTable: What was measured.
    """
    clock = Stopwatch(device, precision, runs, backend)
    milliseconds = {key(part, width): clock.milliseconds(*_workload(part, counter, width or counter.num_feat, lr_size))
                    for width, part in searched_parts(counter)}
    table = LatencyTable(_device_name(device), torch.get_num_threads(), precision, network_sizes(counter),
                         list(lr_size), {name: round(value, 5) for name, value in milliseconds.items()}, [], backend)
    rng = random.Random(seed)
    for _ in range(num_networks):
        genotype = counter.space.sample(rng)
        net = DeCoNASNet(genotype, counter.num_in_ch, counter.num_out_ch, genotype.width or counter.num_feat,
                         genotype.num_block, genotype.num_layer, counter.upscale, counter.space.operations,
                         (0.5, ) * counter.num_in_ch, tail=counter.tail, residual=counter.residual)
        measured = clock.milliseconds(net, _images(counter.num_in_ch, lr_size))
        predicted = table.predict(counter.parts(genotype), genotype.width)
        table.errors.append(round(abs(predicted - measured) / measured, 4))
    return table


class Stopwatch:
    """Times modules and functions of one tensor.

    Args:
        device (torch.device): Where they run.
        precision (str): Of the forward pass.
        runs (int): The median of this many runs counts.
        backend (str): What runs them. Default: 'torch'.
    """

    def __init__(self, device, precision, runs, backend='torch'):
        self.device = device
        self.precision = precision
        self.runs = runs
        self.backend = backend

    @torch.no_grad()
    def milliseconds(self, function, x):
        """float: Median time of ``function(x)``."""
        if self.backend != 'torch':
            module = function if isinstance(function, nn.Module) else _Function(function)
            function, x = runtime_function(self.backend, module.eval(), x, self.precision), x.numpy()
        else:
            if isinstance(function, nn.Module):
                function = function.to(self.device, memory_format=torch.channels_last).eval()
            x = x.to(self.device, memory_format=torch.channels_last)
        times = []
        with autocast(self.precision, self.device):
            for _ in range(WARMUP + self.runs):
                times.append(timed(lambda: function(x), self.device))
        return statistics.median(times[WARMUP:]) * 1e3


def _workload(part, counter, channels, lr_size):
    """tuple: A module or function that does what the part does, and its input."""
    kind, *arguments = part
    feature = _images(channels, lr_size)
    if kind == 'skeleton':
        return Skeleton(counter, channels), _images(counter.num_in_ch, lr_size)
    if kind == 'operation':
        name, num_inputs = arguments
        return _Operation(name, channels, num_inputs), _images(channels * num_inputs, lr_size)
    if kind == 'join':
        return (lambda x: Features([x] * arguments[0]).joined(tuple(range(arguments[0])))), feature
    if kind == 'transition':
        return nn.Conv2d(channels * arguments[0], channels, 1), _images(channels * arguments[0], lr_size)
    if kind == 'layer':
        return _Layer(channels, *arguments), feature
    return _Fusion(channels, arguments[0]), feature


def _images(channels, lr_size):
    width, height = lr_size
    return torch.rand(1, channels, height, width)


class _Function(nn.Module):

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class _Operation(nn.Module):

    def __init__(self, name, num_feat, num_inputs):
        super().__init__()
        self.inputs = tuple(range(num_inputs))
        self.weights = JoinedWeights(name, num_feat, self.inputs)

    def forward(self, x):
        return self.weights(x, self.inputs)


class _Layer(nn.Module):

    def __init__(self, num_feat, num_operations, attention='channel', activation='relu'):
        super().__init__()
        names = tuple(map(str, range(num_operations)))
        self.style = attention, activation
        self.inputs = ((0, ), ) * num_operations
        self.layer = DenseLayer(dict.fromkeys(names, PassOn()), names, num_feat, attentions=(attention, ))

    def forward(self, x):
        return self.layer(Features([x]), self.inputs, *self.style)


class _Fusion(nn.Module):

    def __init__(self, num_feat, num_inputs):
        super().__init__()
        self.inputs = tuple(range(num_inputs))
        self.weights = JoinedWeights('conv1x1', num_feat, self.inputs)

    def forward(self, x):
        features = Features([F.relu(x)] + [x] * (len(self.inputs) - 1))
        return x + self.weights(features.joined(self.inputs), self.inputs)


def _device_name(device):
    return torch.cuda.get_device_name(device) if device.type == 'cuda' else platform.processor() or platform.machine()
