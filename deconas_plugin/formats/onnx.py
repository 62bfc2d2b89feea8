"""Fused networks as ONNX, for images of any number and size."""
import contextlib
import io
import warnings

import torch
from torch import nn

from deconas_plugin.errors import WeightsError
from deconas_plugin.files.states import write_weights

OPSET = 18
# Sizes (N, H, W) at which the file is compared with the network, none of them that of the export.
COMPARED_SIZES = ((1, 24, 32), (2, 17, 41), (1, 5, 8))
# Largest difference in [0, 1]; what the numbers of fp16 allow was measured on trained networks.
TOLERANCES = {'float32': 1e-4, 'fp16': 1e-2}


class _FloatInterface(nn.Module):
    """A network of another precision, with float32 images in and out."""

    def __init__(self, net, dtype):
        super().__init__()
        self.net = net.to(dtype)
        self.dtype = dtype

    def forward(self, image):
        return self.net(image.to(self.dtype)).float()


def export_onnx(net, path, precision, metadata, size=None):
    """Write a network as ONNX and compare it with PyTorch.

    The input ``image``, (batch, channels, height, width), and the output ``upscaled`` are float32 in [0, 1], RGB,
    whatever the precision; all sizes but the channels are free, unless one is given.

    Args:
        net (FusedDeCoNASNet): The network; its precision is changed.
        path (Path): The file.
        precision (str): 'float32' or 'fp16'.
        metadata (dict[str, str]): For the file's metadata properties.
        size (tuple[int] | None): Width and height of the only images that it takes, one at a time.

    Returns:
        str: What was written, and by how much it differs.

    Raises:
        WeightsError: onnx is not installed, there is no such precision, or the file computes something else.
    """
    if precision not in TOLERANCES:
        raise WeightsError(f'{path}: ONNX runtimes do not compute {precision}; use float32 or fp16')
    compared = [(1, size[1], size[0])] if size else COMPARED_SIZES
    reference = {size: _compute(net, size) for size in compared}
    content = _to_onnx(_FloatInterface(net, {'float32': torch.float32, 'fp16': torch.float16}[precision]),
                       net, metadata, size)
    difference = _largest_difference(content, reference)
    if difference > TOLERANCES[precision]:
        raise WeightsError(f'{path}: not written, because onnxruntime differs from PyTorch by {difference:.2g}, more '
                           f'than {TOLERANCES[precision]}; please report this with the versions of torch and onnx')
    write_weights(content, path)
    return (f'{path}: fused x{net.upscale}, {precision}, opset {OPSET}, '
            f'{f"{size[0]}x{size[1]} pixels only" if size else "free batch, height and width"}; at most '
            f'{difference:.1e} from PyTorch at {len(compared)} sizes')


def _to_onnx(module, net, metadata, size):
    """bytes: The ONNX file."""
    try:
        import onnx
        import onnxscript  # noqa: F401, the exporter needs it
    except ImportError as error:
        raise WeightsError('ONNX needs further packages: pip install onnx onnxruntime onnxscript') from error
    # Two images: the exporter takes a batch of one for a constant.
    image = torch.rand(1, net.num_in_ch, size[1], size[0]) if size else torch.rand(2, net.num_in_ch, 16, 12)
    free = None if size else {'image': {0: 'batch', 2: 'height', 3: 'width'}}
    with warnings.catch_warnings(action='ignore'), contextlib.redirect_stdout(io.StringIO()):
        program = torch.onnx.export(
            module, (image, ), dynamo=True, opset_version=OPSET, input_names=['image'], output_names=['upscaled'],
            dynamic_shapes=free, verbose=False)
    model = program.model_proto
    # The exporter derives expressions of half a line for the sizes of the output.
    for dim, name in () if size else ((2, 'height'), (3, 'width')):
        model.graph.output[0].type.tensor_type.shape.dim[dim].dim_param = f'{net.upscale}*{name}'
    # Stack traces of the export and sizes that follow from those of the input: a quarter of the file.
    for node in model.graph.node:
        del node.metadata_props[:]
    del model.graph.value_info[:]
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model, full_check=False)
    return model.SerializeToString()


@torch.no_grad()
def _compute(net, size):
    """tuple[ndarray, ndarray]: A random image and what the network makes of it."""
    number, height, width = size
    image = torch.rand(number, net.num_in_ch, height, width, generator=torch.Generator().manual_seed(height))
    return image.numpy(), net(image).numpy()


def _largest_difference(content, reference):
    """float: By how much onnxruntime's results differ from PyTorch's."""
    try:
        from onnxruntime import InferenceSession
    except ImportError as error:
        raise WeightsError('ONNX files are compared with PyTorch: pip install onnxruntime') from error
    session = InferenceSession(content, providers=['CPUExecutionProvider'])
    return max(float(abs(session.run(None, {'image': image})[0] - upscaled).max())
               for image, upscaled in reference.values())
