"""What this machine can do at most: the rate of the one operation that nearly all Mult-Adds belong to, and how fast
features are read and written."""
import torch
from torch.nn import functional as F

from deconas_plugin.machine.timing import in_turns, timed

NUM_FEAT = 64
IMAGE = (1, NUM_FEAT, 360, 640)
PATCHES = (8, NUM_FEAT, 32, 32)
REPEATS = 4


def machine_rates(device, precisions):
    """Measure a 3x3 convolution, 64 -> 64 channels, and a sum of two features, channels_last.

    Args:
        device (torch.device): Where.
        precisions (list[str]): In which precisions.

    Returns:
        dict: precision -> {'inference': of one 360x640 image, 'training': forward and backward of 8 patches 32x32}, in
        operations per second, two per multiply-add pair; and 'inference_bytes' and 'training_bytes', in bytes per
        second that the sum of two such features reads and writes. The best of several rounds.
    """
    runs = {}
    for precision in precisions:
        dtype = _dtype(precision)
        runs[precision, 'inference'] = _convolution(device, dtype, IMAGE, training=False)
        runs[precision, 'training'] = _convolution(device, dtype, PATCHES, training=True)
        runs[precision, 'inference_bytes'] = _sum(device, dtype, IMAGE)
        runs[precision, 'training_bytes'] = _sum(device, dtype, PATCHES)
    times = in_turns({key: lambda run=run: timed(run[0], device) for key, run in runs.items()}, rounds=5)
    rates = {precision: {} for precision in precisions}
    for (precision, use), run in runs.items():
        rates[precision][use] = run[1] / min(times[precision, use])
    return rates


def _dtype(precision):
    return {'float32': torch.float32, 'bf16': torch.bfloat16, 'fp16': torch.float16}[precision]


def _feature(device, dtype, shape):
    return torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last).to(dtype)


def _sum(device, dtype, shape):
    """tuple: The function to time, and how many bytes it reads and writes."""
    a, b = _feature(device, dtype, shape), _feature(device, dtype, shape)

    def run():
        for _ in range(REPEATS):
            a + b

    return run, 3 * a.numel() * a.element_size() * REPEATS


def _convolution(device, dtype, shape, training):
    """tuple: The function to time, and how many operations it computes."""
    x = _feature(device, dtype, shape).requires_grad_(training)
    weight = (_feature(device, dtype, (NUM_FEAT, NUM_FEAT, 3, 3)) - 0.5).requires_grad_(training)

    def run():
        for _ in range(REPEATS):
            y = F.conv2d(x, weight, padding=1)
            if training:
                torch.autograd.grad(y, (x, weight), y.detach())

    operations = 2 * 9 * NUM_FEAT**2 * shape[0] * shape[2] * shape[3]
    return run, operations * REPEATS * (3 if training else 1)
