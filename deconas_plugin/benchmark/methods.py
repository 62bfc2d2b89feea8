"""What makes an LR image larger, as a row of the table: bicubic, a weight file, a network of BasicSR."""
import hashlib
import json
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from basicsr.archs import ARCH_REGISTRY
from basicsr.models import MODEL_REGISTRY, build_model
from basicsr.utils import img2tensor, tensor2img
from basicsr.utils.matlab_functions import imresize

from deconas_plugin.archs.compared import COMPARED
from deconas_plugin.archs.compared.identify import identify
from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.load import check_state, load_network
from deconas_plugin.benchmark.measure import find_search_time
from deconas_plugin.cost.modules import count_network, weight_bytes
from deconas_plugin.data.bicubic import bicubic
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.states import load_state
from deconas_plugin.files.zoo import load_zoo
from deconas_plugin.inference.backends import BACKENDS, load_backend
from deconas_plugin.inference.tiling import upscale_tiled
from deconas_plugin.machine.device import autocast, resolve_precision
from deconas_plugin.space.genotype import Genotype


class Method(ABC):
    """A row of the table to be measured.

    Attributes:
        name (str): The model's name.
        device (torch.device): Where it computes.
        timed (bool): Whether it computes something, or only reads results.
        params, mult_adds, search_time, network: As in :class:`deconas_plugin.benchmark.rows.Row`.
        weight_bytes (int): Memory of its weights.
        key (str): Of two methods with the same name and key, one's results are the other's.
    """
    device = torch.device('cpu')
    timed = True
    params = None
    mult_adds = None
    search_time = None
    network = None
    weight_bytes = 0
    key = ''

    def __init__(self, name):
        self.name = name

    def covers(self, test_set):
        """bool: Whether it has a result for every image of a TestSet."""
        return True

    @abstractmethod
    def upscale(self, sample):
        """ndarray: (scale * h, scale * w, 3), uint8, BGR, of a :class:`deconas_plugin.benchmark.measure.Sample`."""

    def upscale_unrounded(self, sample):
        """ndarray: As :meth:`upscale`, but float32, neither rounded nor clipped where it can be had so."""
        return self.upscale(sample).astype(np.float32)


class Bicubic(Method):
    """MATLAB-style bicubic upscaling."""

    network = 'Bicubic'

    def __init__(self, scale):
        super().__init__('Bicubic')
        self.scale = scale

    def upscale(self, sample):
        return bicubic(sample.lr, self.scale)

    def upscale_unrounded(self, sample):
        return imresize(sample.lr.astype(np.float32) / 255., self.scale).astype(np.float32) * 255.


class NetworkMethod(Method):
    """A network.

    Args:
        name (str): The row's name.
        net (nn.Module): The network, to be counted.
        path (str | Path): Its weights.
        scale (int): The table's scale.
        device (torch.device): Where it runs.
    """

    def __init__(self, name, net, path, scale, device):
        super().__init__(name)
        self.device = device
        cost = count_network(net, scale, name)
        self.params, self.mult_adds = cost.params, cost.mult_adds
        self.network = table_name(net)
        self.key = file_key(path)
        if isinstance(net, DeCoNASNet):
            self.search_time = find_search_time(net.genotype, path)

    def upscale(self, sample):
        return tensor2img(self._upscale(sample))

    def upscale_unrounded(self, sample):
        return 255. * self._upscale(sample).squeeze(0).flip(0).permute(1, 2, 0).float().cpu().numpy()  # RGB to BGR

    def _upscale(self, sample):
        image = img2tensor(sample.lr.astype(np.float32) / 255., bgr2rgb=True, float32=True).unsqueeze(0)
        return self.upscale_tensor(image)

    @abstractmethod
    def upscale_tensor(self, image):
        """Tensor: (1, 3, h, w) -> (1, 3, scale * h, scale * w), about [0, 1], RGB."""


class WeightsMethod(NetworkMethod):
    """A derived network from its weights alone, run as one would deploy it: fused, channels last.

    Args:
        path (str | Path): ``.pth`` or ``.safetensors``.
        scale (int): The table's scale.
        device (torch.device): Where it runs.
        name (str | None): The row's name. Default: that of the experiment or file.
        precision (str): 'float32', 'bf16' or 'fp16'. Default: 'float32'.
        tile (int): Images with a longer side than this many LR pixels are upscaled in tiles; 0: never. Default: 512.
        backend (str): What runs it, see :func:`load_backend`. Default: 'torch'.

    Raises:
        WeightsError: The file is unreadable or belongs to another network.
        OptionError: The network has another scale, or the device lacks the precision.
        BackendError: The backend is not installed, or does not take this network, precision or device.
    """

    def __init__(self, path, scale, device, name=None, precision='float32', tile=512, backend='torch'):
        net = load_network(path)
        suffix = '' if backend == 'torch' else f' ({backend})'
        super().__init__(name or default_name(path) + suffix, net, path, scale, device)
        self.backend = load_backend(net, backend, precision, str(device))
        self.weight_bytes = weight_bytes(self.backend.net)
        self.tile = tile
        self.key += f' {precision}, tile {tile}{suffix}'

    @torch.no_grad()
    def upscale_tensor(self, image):
        backend = self.backend.for_size(*image.shape[-2:])
        return upscale_tiled(backend, image, self.tile) if self.tile else backend(image)


class ComparedMethod(NetworkMethod):
    """A network of another paper, see :mod:`deconas_plugin.archs.compared`, run on whole images.

    Args:
        network (str): What the paper's table calls it.
        state (dict[str, Tensor]): Its weights.
        path, scale, device, name, precision: As for :class:`WeightsMethod`.

    Raises:
        WeightsError: The weights are not finite.
        OptionError: The device lacks the precision.
    """

    def __init__(self, network, state, path, scale, device, name=None, precision='float32'):
        net = COMPARED[network](scale)
        check_state(net, state, path)
        net.load_state_dict(state)
        super().__init__(name or default_name(path), net, path, scale, device)
        self.net = net.eval().to(device, memory_format=torch.channels_last)
        self.weight_bytes = weight_bytes(net)
        self.precision = resolve_precision(precision, device, key='--precision')
        self.key += f' {precision}'

    @torch.no_grad()
    def upscale_tensor(self, image):
        with autocast(self.precision, self.device):
            return self.net(image.to(self.device, memory_format=torch.channels_last))


class OptionsMethod(NetworkMethod):
    """Any network of BasicSR's registries, run by its own model as BasicSR's test would.

    Args:
        opt (dict): BasicSR's test options.
        source (str | Path): Their file, for messages.
        scale (int): The table's scale.
        device (torch.device): Where it runs.

    Raises:
        OptionError: A type is not registered, or the network has another scale.
        WeightsError: The weights are missing or do not fit.
    """

    def __init__(self, opt, source, scale, device):
        _check_test_options(opt, source, scale)
        on_device = {'num_gpu': 1 if device.type == 'cuda' else 0, 'dist': False, 'is_train': False}
        try:
            self.model = build_model({'val': {}, **opt, **on_device})
        except (RuntimeError, KeyError) as error:
            raise WeightsError(f'{source}: path.pretrain_network_g does not fit network_g: '
                               f'{" ".join(str(error).split())[:200]}') from error
        self.weight_bytes = weight_bytes(self.model.net_g)
        super().__init__(opt['name'], self.model.net_g, opt['path']['pretrain_network_g'], scale, device)
        self.key += json.dumps(opt, sort_keys=True, default=str)

    def upscale_tensor(self, image):
        self.model.feed_data({'lq': image})
        self.model.test()
        return self.model.output


def split_name(text):
    """tuple: Name and path of ``NAME=PATH``; the name is None where there is only a path."""
    name, _, path = text.partition('=')
    return (name, path) if name and path else (None, text)


def weights_method(path, scale, device, name=None, precision='float32', tile=512):
    """Method: For a weight file or a name in the model zoo; the tensors tell the network. ``@openvino`` behind it, or
    another backend, says what runs it.

    Args:
        path, scale, device, name, precision, tile: As for :class:`WeightsMethod`.

    Raises:
        WeightsError: The file is unreadable, or belongs to another network.
        OptionError: The network has another scale, or the device lacks the precision.
    """
    path, _, backend = path.rpartition('@') if str(path).rpartition('@')[2] in BACKENDS else (path, '', 'torch')
    if Path(path).is_file():
        state, _ = load_state(path)
        network = identify(state, scale, path)
        if network is not None:
            if backend != 'torch':
                raise OptionError(f'{path}@{backend}: other backends run networks of DeCoNAS alone')
            return ComparedMethod(network, state, path, scale, device, name, precision)
    return WeightsMethod(path, scale, device, name, precision, tile, backend)


def table_name(net):
    """str | None: What the paper's table calls a network; None where it has none of this kind."""
    if isinstance(net, DeCoNASNet):
        published = net.genotype.bits == Genotype.parse('DeCoNASNet_x2').bits and net.num_feat == 64
        return 'DeCoNASNet' if published else None
    return next((name for name, arch in COMPARED.items() if type(net) is arch), None)


def file_key(path):
    """str: Changes when a weight file, or what a name in the model zoo stands for, is rewritten."""
    zoo = load_zoo()
    path = Path(zoo.weights(str(path)) if str(path) in zoo.entries else path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def default_name(path):
    """str: What to call weights: the experiment for ``experiments/<name>/models/net_g_*.pth``, else the file."""
    experiment = ExperimentFolder.of_weights(path)
    return experiment.path.name if experiment else Path(path).stem


def _check_test_options(opt, source, scale):
    for key, registry in (('network_g', ARCH_REGISTRY), ('model', MODEL_REGISTRY)):
        name = opt.get('model_type') if key == 'model' else opt.get(key, {}).get('type')
        if name not in registry:
            raise OptionError(f'{"model_type" if key == "model" else "network_g.type"}: {name!r} is not registered '
                              f'({source})')
    if opt.get('scale') != scale:
        raise OptionError(f'scale: expected {scale} as --scale says, got {opt.get("scale")!r} ({source})')
    weights = opt.get('path', {}).get('pretrain_network_g')
    if not weights or not Path(weights).expanduser().is_file():
        raise WeightsError(f'path.pretrain_network_g: no file {weights} ({source})')
