"""Weights of FALSR-A: a frozen TensorFlow graph, read without TensorFlow."""
import math
import re

import numpy as np
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.graph_pb2 import GraphDef  # TensorBoard, which BasicSR needs, has the graph's definition

from deconas_plugin.errors import WeightsError

# What the published graph is made of. Another operation would be another network.
OPERATIONS = {'Add', 'BiasAdd', 'ConcatV2', 'Const', 'Conv2D', 'DepthToSpace', 'Fill', 'Identity', 'Maximum', 'Minimum',
              'Mul', 'Placeholder', 'RealDiv', 'Relu', 'Shape'}
LAYERS = {r'.*/n32s1/c': 'stem', r'.*/cell(\d+)/[^/]*_b(\d+)': 'cells.{}.convs.{}', r'.*/n32s1/2/0': 'fusion',
          r'.*/yout': 'last'}
FLOAT = 1
HWIO_TO_OIHW = (3, 2, 0, 1)


def read_falsr(path, scale):
    """Read FALSR-A.

    Args:
        path (Path): The graph; kernels are constants (height, width, in, out) named ``.../kernel``.
        scale (int): Unused, the network is for x2 alone.

    Returns:
        dict[str, ndarray]: By the names of our arch.

    Raises:
        WeightsError: It is no such graph, or damaged.
    """
    graph = _load(path)
    state = {}
    for node in graph.node:
        if node.op not in OPERATIONS:
            raise WeightsError(f'{path}: {node.name}: expected a graph of FALSR-A, of {", ".join(sorted(OPERATIONS))}; '
                               f'got the operation {node.op}')
        if node.op == 'Conv2D':
            _check_convolution(node, path)
        layer, _, kind = node.name.rpartition('/')
        if node.op == 'Const' and kind in ('kernel', 'bias'):
            numbers = _numbers(node, path)
            name = _rename(layer, path)
            if kind == 'kernel' and numbers.ndim != 4:
                raise WeightsError(f'{path}: {node.name}: expected 4 dimensions, got {numbers.shape}')
            state[f'{name}.weight' if kind == 'kernel' else f'{name}.bias'] = \
                numbers.transpose(HWIO_TO_OIHW) if kind == 'kernel' else numbers
    return state


def _load(path):
    graph = GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except (DecodeError, OSError) as error:
        raise WeightsError(f'{path}: expected a frozen TensorFlow graph; it is of another kind, truncated or damaged'
                           ) from error
    if not graph.node:
        raise WeightsError(f'{path}: expected a frozen TensorFlow graph, found one without any node')
    return graph


def _check_convolution(node, path):
    strides, padding = list(node.attr['strides'].list.i), node.attr['padding'].s
    dilations, layout = list(node.attr['dilations'].list.i) or [1] * 4, node.attr['data_format'].s
    if strides != [1] * 4 or dilations != [1] * 4 or padding != b'SAME' or layout != b'NHWC':
        raise WeightsError(f'{path}: {node.name}: expected a convolution of stride 1 and padding SAME, NHWC; got '
                           f'strides {strides}, dilations {dilations}, {padding.decode()}, {layout.decode()}')


def _numbers(node, path):
    tensor = node.attr['value'].tensor
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype != FLOAT:
        raise WeightsError(f'{path}: {node.name}: expected float32, type 1, got type {tensor.dtype}')
    # Single numbers are not packed.
    content = tensor.tensor_content or np.array(tensor.float_val, '<f4').tobytes()
    if min(shape, default=1) < 0 or len(content) != 4 * math.prod(shape):
        raise WeightsError(f'{path}: {node.name}: expected {shape} numbers of 4 bytes, got {len(content)} bytes; it is '
                           'damaged')
    return np.frombuffer(content, '<f4').reshape(shape)


def _rename(layer, path):
    for pattern, ours in LAYERS.items():
        match = re.fullmatch(pattern, layer)
        if match:
            return ours.format(*match.groups())
    raise WeightsError(f'{path}: expected the layers of FALSR-A such as .../cell0/..._b0, got {layer}')
