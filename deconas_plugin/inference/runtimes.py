"""The runtimes beside PyTorch; each is imported when it is asked for."""
import copy
import functools
import gc
import io
import os
import tempfile
import warnings
from pathlib import Path

import torch

from deconas_plugin.errors import BackendError

GRAPH, BLOBS = 'graph', 'compiled'
# Dimensions of an input that are free: (batch, channels, height, width).
FREE = (0, 2, 3)


def require_precision(backend, precision, device):
    """Check that a backend computes a precision on a device.

    Raises:
        BackendError: It does not.
    """
    if backend == 'torch':
        return
    if device.type != 'cpu':
        raise BackendError(f'--backend {backend}: it runs on the CPU, got the device {device}')
    if backend == 'openvino':
        import openvino
        known = ('float32', 'bf16')
        if precision == 'bf16' and 'BF16' not in openvino.Core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
            raise BackendError('--backend openvino: it does not compute bf16 on this processor; use float32')
    else:
        known = ('float32', 'fp16') if backend in ('onnxruntime:cuda', 'onnxruntime:tensorrt') else ('float32', )
    if precision not in known:
        raise BackendError(f'--backend {backend}: expected the precision {" or ".join(known)}, got {precision}')


def runtime_function(backend, module, example, precision):
    """Function: A module of one input, of just this size, in 'openvino' or 'onnxruntime': array in, list of arrays out.

    Args:
        backend (str): 'openvino' or 'onnxruntime'.
        module (nn.Module): In evaluation mode.
        example (Tensor): An input.
        precision (str): What :func:`require_precision` lets pass.
    """
    runtime = {'openvino': OpenVINO, 'onnxruntime': OnnxRuntime}[backend](precision)
    with tempfile.TemporaryDirectory() as folder:
        runtime.export(module, (example, ), ['x'], Path(folder), free=())
        return runtime.load(Path(folder))


@functools.cache
def _survive_forks():
    """Keep the garbage collector of forked processes, such as those that load data, from what was there before.

    OpenVINO's objects wait for their threads when they are deleted, and a forked process has none of these.
    """
    if hasattr(os, 'register_at_fork'):
        os.register_at_fork(after_in_child=gc.freeze)


class OpenVINO:
    """How OpenVINO gets a graph and runs it, on the CPU.

    Args:
        precision (str): 'float32' or 'bf16'.
    """

    def __init__(self, precision):
        import openvino
        _survive_forks()
        self.version = openvino.__version__
        self.precision = precision
        self._core = openvino.Core()

    def export(self, module, example, names, folder, free=FREE):
        """Write a module as this runtime reads it.

        Args:
            module (nn.Module): With tensors in and out.
            example (tuple[Tensor]): Inputs.
            names (list[str]): Of the inputs.
            folder (Path): For the files.
            free (tuple[int]): Dimensions of any length, where it is not 1 in the example.
        """
        import openvino
        shapes = [openvino.PartialShape([-1 if dim in free and size > 1 else size
                                         for dim, size in enumerate(tensor.shape)]) for tensor in example]
        with warnings.catch_warnings(action='ignore'), torch.no_grad():
            graph = torch.jit.trace(module, example, check_trace=False)
        model = openvino.convert_model(graph, input=shapes)
        openvino.save_model(model, folder / f'{GRAPH}.xml', compress_to_fp16=False)

    def load(self, folder):
        """Function: Runs what :meth:`export` wrote: arrays in, a list of arrays out."""
        compiled = self._core.compile_model(self._core.read_model(folder / f'{GRAPH}.xml'), 'CPU', {
            'INFERENCE_PRECISION_HINT': {'float32': 'f32', 'bf16': 'bf16'}[self.precision],
            'PERFORMANCE_HINT': 'LATENCY',
            'INFERENCE_NUM_THREADS': torch.get_num_threads(),
            'CACHE_DIR': str(folder / BLOBS),
        })
        request = compiled.create_infer_request()

        def run(*arrays):
            request.infer(arrays, share_inputs=True)
            return [tensor.data.copy() for tensor in request.output_tensors]

        return run


class OnnxRuntime:
    """How onnxruntime gets a graph and runs it.

    Args:
        precision (str): 'float32', or 'fp16' on a GPU.
        provider (str): 'cpu', or 'cuda' or 'tensorrt', which are untried.

    Raises:
        BackendError: This onnxruntime has no such provider.
    """
    PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider',
                 'tensorrt': 'TensorrtExecutionProvider'}

    def __init__(self, precision, provider='cpu'):
        import onnxruntime
        self.version = f'{onnxruntime.__version__} {provider}'
        self.precision = precision
        self._provider = self.PROVIDERS[provider]
        if self._provider not in onnxruntime.get_available_providers():
            known = [name for name, full in self.PROVIDERS.items() if full in onnxruntime.get_available_providers()]
            raise BackendError(f'--backend onnxruntime:{provider}: this onnxruntime has {", ".join(known)}; '
                               'pip install onnxruntime-gpu for cuda and tensorrt')

    def export(self, module, example, names, folder, free=FREE):
        """As :meth:`OpenVINO.export`."""
        if self.precision == 'fp16':
            module = HalfInside(module)
        axes = {name: {dim: f'{name}{dim}' for dim in free if tensor.shape[dim] > 1}
                for name, tensor in zip(names, example, strict=True)}
        buffer = io.BytesIO()
        with warnings.catch_warnings(action='ignore'), torch.no_grad():
            # Not the exporter by torch.export, which takes a minute where this takes a second.
            torch.onnx.export(module, example, buffer, dynamo=False, input_names=names, dynamic_axes=axes)
        (folder / f'{GRAPH}.onnx').write_bytes(buffer.getvalue())

    def load(self, folder):
        """As :meth:`OpenVINO.load`."""
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(folder / f'{GRAPH}.onnx', options, providers=[self._provider])
        names = [entry.name for entry in session.get_inputs()]
        return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))


class HalfInside(torch.nn.Module):
    """A module that computes in fp16, with float32 in and out."""

    def __init__(self, module):
        super().__init__()
        self.module = copy.deepcopy(module).half()

    def forward(self, *tensors):
        outputs = self.module(*(tensor.half() for tensor in tensors))
        return tuple(output.float() for output in outputs) if isinstance(outputs, tuple) else outputs.float()
