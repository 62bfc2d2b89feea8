"""The runtimes beside PyTorch; each is imported when it is asked for."""
import copy
import io
import warnings

import torch

from deconas_plugin.errors import BackendError
from deconas_plugin.inference.backend import ExportedBackend

GRAPH, BLOBS = 'graph', 'compiled'
# Dimensions of an input that are free: (batch, channels, height, width).
FREE = (0, 2, 3)


class OpenVINOBackend(ExportedBackend):
    """OpenVINO, on the CPU, in float32 or bf16."""
    name = 'openvino'

    def __init__(self, net, device, precision):
        import openvino
        self.version = openvino.__version__
        self._core = openvino.Core()
        if device.type != 'cpu' or precision not in ('float32', 'bf16'):
            raise BackendError(f'--backend openvino: expected float32 or bf16 on a CPU, got {precision} on {device}')
        if precision == 'bf16' and 'BF16' not in self._core.get_property('CPU', 'OPTIMIZATION_CAPABILITIES'):
            raise BackendError('--backend openvino: it does not compute bf16 on this processor; use float32')
        super().__init__(net, device, precision)

    def export(self, module, example, names, folder):
        import openvino
        shapes = [openvino.PartialShape([-1 if dim in FREE and size > 1 else size
                                         for dim, size in enumerate(tensor.shape)]) for tensor in example]
        with warnings.catch_warnings(action='ignore'), torch.no_grad():
            graph = torch.jit.trace(module, example, check_trace=False)
        model = openvino.convert_model(graph, input=shapes)
        openvino.save_model(model, folder / f'{GRAPH}.xml', compress_to_fp16=False)

    def load(self, folder):
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


class OnnxRuntimeBackend(ExportedBackend):
    """onnxruntime, on the CPU in float32, or through another execution provider.

    Args:
        provider (str): 'cpu', or 'cuda' or 'tensorrt', which are untried.
    """
    name = 'onnxruntime'
    PROVIDERS = {'cpu': 'CPUExecutionProvider', 'cuda': 'CUDAExecutionProvider',
                 'tensorrt': 'TensorrtExecutionProvider'}

    def __init__(self, net, device, precision, provider='cpu'):
        import onnxruntime
        self.version = f'{onnxruntime.__version__} {provider}'
        self.provider = self.PROVIDERS.get(provider)
        if self.provider not in onnxruntime.get_available_providers():
            known = [name for name, full in self.PROVIDERS.items() if full in onnxruntime.get_available_providers()]
            raise BackendError(f'--backend onnxruntime:{provider}: this onnxruntime has {", ".join(known)}; '
                               'pip install onnxruntime-gpu for cuda and tensorrt')
        if precision not in (('float32', ) if provider == 'cpu' else ('float32', 'fp16')):
            raise BackendError(f'--backend onnxruntime:{provider}: it does not compute {precision}; use float32')
        super().__init__(net.cpu(), device, precision)

    def export(self, module, example, names, folder):
        if self.precision == 'fp16':
            module = HalfInside(module)
        with warnings.catch_warnings(action='ignore'), torch.no_grad():
            free = {name: {dim: f'{name}{dim}' for dim in FREE if tensor.shape[dim] > 1}
                    for name, tensor in zip(names, example, strict=True)}
            # Not the exporter by torch.export, which takes a minute where this takes a second.
            buffer = io.BytesIO()
            torch.onnx.export(module, example, buffer, dynamo=False, input_names=names, dynamic_axes=free)
        (folder / f'{GRAPH}.onnx').write_bytes(buffer.getvalue())

    def load(self, folder):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(folder / f'{GRAPH}.onnx', options, providers=[self.provider])
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
