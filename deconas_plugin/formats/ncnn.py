"""Fused networks for ncnn: the ``.param`` and ``.bin`` that programs with realesrgan-ncnn inside load."""
import subprocess
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch

from deconas_plugin.errors import WeightsError
from deconas_plugin.files.states import write_weights

# What realesrgan-ncnn-vulkan, and with it Upscayl, call input and output.
BLOBS = {'in0': 'data', 'out0': 'output'}
COMPARED_SIZES = ((24, 32), (17, 41), (40, 9))  # height, width; none is that of the export
EXPORT_SIZE = (20, 28)
# Largest difference in [0, 1]; ncnn stores and computes as much in fewer bits as the processor likes.
TOLERANCES = {'float32': 1e-3, 'fp16': 1e-2}
NEEDED = 'ncnn needs further packages: pip install ncnn pnnx'


def export_ncnn(net, path, precision):
    """Write a network for ncnn and compare it with PyTorch.

    The input ``data`` and the output ``output`` are (3, height, width), RGB in [0, 1]; height and width are free from
    8 pixels on.

    Args:
        net (FusedDeCoNASNet): The network.
        path (Path): The ``.param``; the ``.bin`` goes beside it.
        precision (str): Of the weights in the file, 'float32' or 'fp16'.

    Returns:
        str: What was written, and by how much it differs.

    Raises:
        WeightsError: A package is not installed, there is no such precision, or the files compute something else.
    """
    if precision not in TOLERANCES:
        raise WeightsError(f'{path}: ncnn stores no {precision}; use float32 or fp16')
    param, weights = _convert(net, precision)
    difference = _largest_difference(net, param, weights)
    if difference > TOLERANCES[precision]:
        raise WeightsError(f'{path}: not written, because ncnn differs from PyTorch by {difference:.2g}, more than '
                           f'{TOLERANCES[precision]}; please report this with the versions of torch, pnnx and ncnn')
    write_weights(weights, path.with_suffix('.bin'))
    write_weights(param.encode(), path)
    return (f'{path} and {path.with_suffix(".bin").name}: fused x{net.upscale}, {precision}, {BLOBS["in0"]} -> '
            f'{BLOBS["out0"]}, free height and width; at most {difference:.1e} from PyTorch at {len(COMPARED_SIZES)} '
            'sizes')


def _convert(net, precision):
    """tuple[str, bytes]: Content of ``.param`` and ``.bin``."""
    try:
        import pnnx
    except ImportError as error:
        raise WeightsError(NEEDED) from error
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action='ignore'):
        image = torch.rand(1, net.num_in_ch, *EXPORT_SIZE)
        torch.jit.trace(net, image, check_trace=False).save(f'{folder}/net.pt')
        # One size, not two: told that sizes are free, pnnx takes the slices of ComposedConv for slices of everything.
        # They are free in the files all the same.
        shape = str(list(image.shape)).replace(' ', '')
        run = subprocess.run([pnnx.EXEC_PATH, 'net.pt', f'inputshape={shape}', f'fp16={int(precision == "fp16")}'],
                             cwd=folder, capture_output=True, text=True)
        param, weights = Path(folder, 'net.ncnn.param'), Path(folder, 'net.ncnn.bin')
        if run.returncode or not param.is_file():
            lines = (run.stderr or run.stdout).strip().splitlines() or ['no message']
            raise WeightsError(f'pnnx cannot convert the network: {lines[-1][:200]}')
        return _renamed(param.read_text()), weights.read_bytes()


def _renamed(param):
    """str: The content of a ``.param`` with the names of :data:`BLOBS`."""
    magic, counts, *layers = param.splitlines()
    lines = [magic, counts]
    for layer in layers:
        kind, name, inputs, outputs, *rest = layer.split()
        number = int(inputs) + int(outputs)
        blobs = [BLOBS.get(blob, blob) for blob in rest[:number]]
        lines.append(' '.join([f'{kind:<24} {BLOBS.get(name, name):<24}', inputs, outputs, *blobs, *rest[number:]]))
    return '\n'.join(lines) + '\n'


@torch.no_grad()
def _largest_difference(net, param, weights):
    """float: By how much ncnn's results differ from PyTorch's."""
    largest = 0.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, 'net.param').write_text(param)
        Path(folder, 'net.bin').write_bytes(weights)
        run = load_ncnn(Path(folder, 'net.param'))
        for height, width in COMPARED_SIZES:
            image = torch.rand(1, net.num_in_ch, height, width, generator=torch.Generator().manual_seed(height))
            largest = max(largest, (run(image) - net(image)).abs().max().item())
    return largest


def load_ncnn(path):
    """Function: Runs a ``.param`` with the ``.bin`` beside it: Tensor (1, 3, H, W) -> Tensor (1, 3, sH, sW)."""
    try:
        import ncnn
    except ImportError as error:
        raise WeightsError(NEEDED) from error
    net = ncnn.Net()
    net.opt.num_threads = torch.get_num_threads()
    if net.load_param(str(path)) or net.load_model(str(path.with_suffix('.bin'))):
        raise WeightsError(f'{path}: ncnn cannot read it')

    def run(image):
        with net.create_extractor() as extractor:
            extractor.input('data', ncnn.Mat(image[0].contiguous().numpy()).clone())
            return torch.from_numpy(np.array(extractor.extract('output')[1]))[None]

    return run
