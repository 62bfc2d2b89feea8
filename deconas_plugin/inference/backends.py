"""Loading what runs a network, by name, and whether it computes what PyTorch computes in float32."""
import copy
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import cv2
import torch

from deconas_plugin.archs.load import load_network
from deconas_plugin.data.sample_photos import photo_folder
from deconas_plugin.errors import BackendError, OptionError
from deconas_plugin.inference.auto import AutoBackend
from deconas_plugin.inference.backend import ExportedBackend, TorchBackend
from deconas_plugin.inference.cache import cache_folder, cache_key, read_json, write_json
from deconas_plugin.inference.runtimes import OnnxRuntime, OpenVINO, require_precision
from deconas_plugin.machine.device import choose_device, resolve_precision

PACKAGES = {'openvino': ('openvino', ), 'onnxruntime': ('onnx', 'onnxruntime')}
PROVIDERS = tuple(f'onnxruntime:{provider}' for provider in ('cuda', 'tensorrt'))
BACKENDS = ('auto', 'torch', 'openvino', 'onnxruntime', *PROVIDERS)
# What they are compared on, a part of a photograph of scikit-image: a face, hair, and edges.
PHOTO, PART = 'astronaut.png', (slice(20, 148), slice(160, 288))


@dataclass(frozen=True)
class Difference:
    """What a precision costs, in grey levels of 8 bits.

    Attributes:
        largest (int): At one place.
        share (float): Of the values that are off by more than one.
    """
    largest: int
    share: float

    @property
    def is_small(self):
        """bool: At most one grey level in 99.9 % of the pixels, two at most."""
        return self.largest <= 2 and self.share <= 0.001

    def __str__(self):
        return (f'at most {self.largest} grey levels from PyTorch in float32, more than one at {self.share:.3%} of the '
                'values')


def load_backend(weights, backend='auto', precision='float32', device=None, say=print):
    """Load a trained network to be run.

    Args:
        weights (str | Path | DeCoNASNet | FusedDeCoNASNet): Weight file, name in the model zoo, or a network.
        backend (str): 'torch', 'openvino' or 'onnxruntime'; 'auto' takes the fastest that is installed, measured in
            the first three runs on a machine with a network, precision and size; 'onnxruntime:cuda' and
            'onnxruntime:tensorrt' are untried.
        precision (str): 'float32', 'bf16', 'fp16', 'tf32', or 'auto': bf16 where the device computes it, else float32.
            Default: 'float32'.
        device (str | None): Such as 'cpu' or 'cuda:1', for PyTorch. Default: CUDA where there is one.
        say (Callable[[str], None]): Gets a line on what was measured or compared, each once per machine and network.

    Returns:
        Backend: To be called with images (N, 3, H, W), float32 in [0, 1], RGB, of any size.

    Raises:
        WeightsError: The weights are unreadable or not those of a DeCoNASNet.
        BackendError: The backend is not installed, or does not take this network, precision or device.
        OptionError: There is no such backend, device or precision.
    """
    if backend not in BACKENDS:
        raise OptionError(f'--backend: expected one of {", ".join(BACKENDS)}, got {backend!r}')
    require_installed(backend)
    # Other runtimes compute where they were built for; PyTorch then only makes the graph.
    device = choose_device('cpu' if device is None and backend not in ('auto', 'torch') else device)
    if backend.startswith('onnxruntime'):
        precision = 'float32' if precision == 'auto' else precision
    else:
        precision = resolve_precision(None if precision == 'auto' else precision, device, key='--precision')
    net = weights if isinstance(weights, torch.nn.Module) else load_network(weights)
    net = copy.deepcopy(net).cpu().eval().fuse()
    build = partial(_checked, net, device=device, precision=precision, say=say)
    if backend != 'auto':
        return build(backend)
    return AutoBackend(net, device, precision, build, installed_backends(device, precision), say)


def installed_backends(device, precision):
    """list[str]: Those that can be tried for a device and a precision."""
    if device.type != 'cpu':
        return ['torch']
    names = ['torch', 'openvino', *(['onnxruntime'] if precision == 'float32' else [])]
    return [name for name in names if not _missing(name)]


def require_installed(backend):
    """Check that a backend is there.

    Raises:
        BackendError: It is not.
    """
    missing = _missing(backend.partition(':')[0])
    if missing:
        raise BackendError(f'--backend {backend}: not installed here; pip install {" ".join(missing)}')


def difference_from(reference, backend):
    """Difference: Of a backend's result for a photograph.

    Args:
        reference (FusedDeCoNASNet): The same network in PyTorch, float32.
        backend (Backend): What is to be judged.
    """
    image = cv2.imread(str(photo_folder() / PHOTO))[PART]
    image = torch.from_numpy(image).flip(2).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        levels = [(x.clamp(0, 1) * 255).round().int() for x in (reference(image), backend(image))]
    difference = (levels[0] - levels[1]).abs()
    return Difference(int(difference.max()), float((difference > 1).float().mean()))


def _missing(name):
    return [package for package in PACKAGES.get(name, ()) if find_spec(package) is None]


def _backend(net, name, device, precision):
    if name == 'torch':
        return TorchBackend(net, device, precision)
    require_precision(name, precision, device)
    provider = name.partition(':')[2] or 'cpu'
    runtime = OpenVINO(precision) if name == 'openvino' else OnnxRuntime(precision, provider)
    return ExportedBackend(net, device, precision, name, runtime)


def _checked(net, name, device, precision, say):
    backend = _backend(copy.deepcopy(net), name, device, precision)
    if name == 'torch' and precision == 'float32':
        return backend
    path = cache_folder() / 'checked.json'
    key = cache_key(net, name, backend.version, precision, str(device))
    known = read_json(path).get(key)
    try:
        backend.difference = Difference(int(known['largest']), float(known['share']))
    except (TypeError, KeyError, ValueError):
        backend.difference = difference_from(net, backend)
        write_json(path, {**read_json(path), key: vars(backend.difference)})
        warning = '' if backend.difference.is_small else '; consider float32'
        say(f'{name}, {precision}: {backend.difference}{warning}')
    return backend
