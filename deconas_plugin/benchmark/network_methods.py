"""Networks as rows of the table: from a weight file, or from BasicSR's test options."""
from abc import abstractmethod
from pathlib import Path

import numpy as np
import torch
from basicsr.archs import ARCH_REGISTRY
from basicsr.models import MODEL_REGISTRY, build_model
from basicsr.utils import img2tensor, tensor2img

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.benchmark.methods import Method
from deconas_plugin.benchmark.network_cost import count_network, weight_bytes
from deconas_plugin.benchmark.search_time import find_search_time
from deconas_plugin.errors import OptionError, WeightsError
from deconas_plugin.utils.precision import autocast, resolve_precision
from deconas_plugin.utils.tiling import upscale_tiled
from deconas_plugin.utils.weights import load_network


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
        if isinstance(net, DeCoNASNet):
            self.search_time = find_search_time(net.genotype, path)

    def upscale(self, sample):
        image = img2tensor(sample.lr.astype(np.float32) / 255., bgr2rgb=True, float32=True).unsqueeze(0)
        return tensor2img(self.upscale_tensor(image))

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

    Raises:
        WeightsError: The file is unreadable or belongs to another network.
        OptionError: The network has another scale, or the device lacks the precision.
    """

    def __init__(self, path, scale, device, name=None, precision='float32', tile=512):
        net = load_network(path)
        super().__init__(name or default_name(path), net, path, scale, device)
        self.net = net.fuse().to(device, memory_format=torch.channels_last)
        self.weight_bytes = weight_bytes(self.net)
        self.precision = resolve_precision(precision, device, key='--precision')
        self.tile = tile

    @torch.no_grad()
    def upscale_tensor(self, image):
        image = image.to(self.device, memory_format=torch.channels_last)
        with autocast(self.precision, self.device):
            return upscale_tiled(self.net, image, self.tile) if self.tile else self.net(image)


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

    def upscale_tensor(self, image):
        self.model.feed_data({'lq': image})
        self.model.test()
        return self.model.output


def default_name(path):
    """str: What to call weights: the experiment for ``experiments/<name>/models/net_g_*.pth``, else the file."""
    path = Path(path)
    return path.absolute().parts[-3] if path.parent.name == 'models' else path.stem


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
