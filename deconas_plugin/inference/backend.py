"""What runs a network: one interface for PyTorch and other runtimes."""
import shutil
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path

import torch

from deconas_plugin.archs.attention import ChannelAttention
from deconas_plugin.archs.fused import ComposedConv
from deconas_plugin.archs.operation_weights import OperationWeights
from deconas_plugin.errors import BackendError
from deconas_plugin.inference.cache import cache_folder, cache_key, cached_files
from deconas_plugin.inference.means import ExportedMeans, WholeImageMeans
from deconas_plugin.inference.tile_net import CELL, TileNet
from deconas_plugin.machine.device import autocast


class _WithConstants(torch.nn.Module):
    """A module of whose arguments only the first is an input."""

    def __init__(self, module, constants):
        super().__init__()
        self.module = module
        self.constants = constants

    def forward(self, x):
        return self.module(x, *self.constants)


@torch.no_grad()
def refused_layer(net, export):
    """Export the layers of a network one by one.

    Args:
        net (FusedDeCoNASNet): The network.
        export (Callable[[Module, tuple[Tensor]], None]): Raises an error for what it cannot export.

    Returns:
        str: The name and kind of the first that it refuses; 'the network', where it takes each.
    """
    calls, hooks = {}, []
    for name, module in net.named_modules():
        if isinstance(module, (OperationWeights, ChannelAttention, ComposedConv)):
            hooks.append(module.register_forward_hook(
                lambda module, args, _, name=name: calls.update({name: (module, args)})))
    net(torch.rand(1, net.num_in_ch, 16, 12, device=net.mean.device))
    for hook in hooks:
        hook.remove()
    for name, (module, (x, *constants)) in calls.items():
        try:
            export(_WithConstants(module, constants).eval(), (x, ))
        except Exception:  # noqa: BLE001, runtimes have errors of their own
            kind = type(getattr(module, 'operation', module)).__name__
            return f'the layer {name} ({kind})'
    return 'the network'


class Backend(ABC):
    """A network with what runs it: (N, C, H, W) -> (N, C, upscale * H, upscale * W), float32, about [0, 1], RGB.

    Any N, H and W from 1 on. Made by :func:`deconas_plugin.inference.backends.load_backend`.

    Args:
        net (FusedDeCoNASNet): The network; it belongs to the backend from now on.
        device (torch.device): Where it runs.
        precision (str): Of the computation, see :mod:`deconas_plugin.machine.device`.

    Attributes:
        name (str): As ``--backend`` takes it.
        version (str): Of the runtime.
        difference (Difference | None): From PyTorch in float32, where that is something else.
    """
    name = None
    version = torch.__version__
    difference = None

    def __init__(self, net, device, precision):
        self.net = net
        self.device = device
        self.precision = precision
        self.upscale, self.genotype, self.num_in_ch = net.upscale, net.genotype, net.num_in_ch

    @abstractmethod
    def __call__(self, image):
        """Tensor: Whole images, upscaled, on the CPU or where the image is."""

    @abstractmethod
    def whole_image_means(self):
        """WholeImageMeans: What runs tiles of an image; see :func:`deconas_plugin.inference.tiling.upscale_tiled`."""

    def for_size(self, height, width):
        """Backend: The one that runs images of this size; itself, unless it is made of several."""
        return self


class TorchBackend(Backend):
    """PyTorch, on any device."""
    name = 'torch'

    def __init__(self, net, device, precision):
        super().__init__(net.to(device, memory_format=torch.channels_last), device, precision)

    @torch.no_grad()
    def __call__(self, image):
        with autocast(self.precision, self.device):
            upscaled = self.net(image.to(self.device, memory_format=torch.channels_last))
        return upscaled.float().to(image.device)

    def whole_image_means(self):
        return WholeImageMeans(self.net, lambda: autocast(self.precision, self.device))


class ExportedBackend(Backend):
    """A runtime that runs an exported graph. Graphs are made when they are first needed, and kept on disk.

    Args:
        net, device, precision: As for :class:`Backend`; the device is the CPU.
        name (str): Of the backend.
        runtime (OpenVINO | OnnxRuntime): What makes and runs graphs.
    """

    def __init__(self, net, device, precision, name, runtime):
        super().__init__(net, device, precision)
        self.name, self.version = name, runtime.version
        self._runtime = runtime
        self._folder = cache_folder() / 'graphs' / cache_key(net, name, self.version, precision,
                                                             torch.get_num_threads())
        self._graphs = {}

    def __call__(self, image):
        example = torch.rand(2, self.num_in_ch, 16, 12)
        run = self._graph('whole', lambda: self.net, (example, ), ['image'])
        return torch.from_numpy(run(image.float().cpu().numpy())[0]).to(image.device)

    def whole_image_means(self):
        return ExportedMeans(self.net, self.run_tile, self, lambda: autocast(self.precision, torch.device('cpu')))

    def run_tile(self, image, means, weights):
        """tuple[Tensor, Tensor]: As :meth:`TileNet.forward`."""
        number = means.shape[1]
        example = (torch.rand(1, self.num_in_ch, 4 * CELL, 5 * CELL), torch.rand(1, number, 1, 1),
                   torch.rand(1, 1, 4, 5))
        run = self._graph('tile', lambda: TileNet(self.net).eval(), example, ['image', 'means', 'weights'])
        return tuple(torch.from_numpy(array) for array in run(image.numpy(), means.numpy(), weights.numpy()))

    def _graph(self, kind, module, example, names):
        if kind not in self._graphs:
            self._graphs[kind] = self._load(self._folder / kind, lambda folder: self._make(module, example, names,
                                                                                          folder))
        return self._graphs[kind]

    def _load(self, folder, make):
        for _ in range(2):
            if not cached_files(folder, make):
                break
            try:
                return self._runtime.load(folder)
            except Exception:  # noqa: BLE001, what a runtime raises for a file that it does not like is its own
                shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory() as temporary:
            make(Path(temporary))
            return self._runtime.load(Path(temporary))

    def _make(self, module, example, names, folder):
        try:
            self._runtime.export(module(), example, names, folder)
        except Exception as error:
            layer = refused_layer(self.net, self._exports)
            reason = ' '.join(str(error).split())[:200]
            raise BackendError(f'--backend {self.name}: it cannot take {layer} ({reason}); use torch') from error

    def _exports(self, module, example):
        with tempfile.TemporaryDirectory() as folder:
            self._runtime.export(module, example, [f'input{index}' for index in range(len(example))], Path(folder))
            self._runtime.load(Path(folder))
