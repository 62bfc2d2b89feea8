"""What this machine can do at most: the rate of the one operation that nearly all Mult-Adds belong to."""
import torch
from torch.nn import functional as F

from deconas_plugin.speed.timing import in_turns, timed

NUM_FEAT = 64
IMAGE = (1, NUM_FEAT, 360, 640)
PATCHES = (8, NUM_FEAT, 32, 32)
REPEATS = 4


def conv_rates(device, precisions):
    """Measure a 3x3 convolution, 64 -> 64 channels, channels_last.

    Args:
        device (torch.device): Where.
        precisions (list[str]): In which precisions.

    Returns:
        dict: precision -> {'inference': of one 360x640 image, 'training': forward and backward of 8 patches 32x32}, in
        operations per second, two per multiply-add pair; the best of several rounds.
    """
    runs = {}
    for precision in precisions:
        runs[precision, 'inference'] = _run(device, precision, IMAGE, training=False)
        runs[precision, 'training'] = _run(device, precision, PATCHES, training=True)
    times = in_turns({key: lambda run=run: timed(run[0], device) for key, run in runs.items()}, rounds=5)
    rates = {precision: {} for precision in precisions}
    for (precision, use), run in runs.items():
        rates[precision][use] = run[1] / min(times[precision, use])
    return rates


def _run(device, precision, shape, training):
    """tuple: The function to time, and how many operations it computes."""
    x = torch.rand(shape, device=device).contiguous(memory_format=torch.channels_last)
    weight = torch.rand(NUM_FEAT, NUM_FEAT, 3, 3, device=device).contiguous(memory_format=torch.channels_last) - 0.5
    if precision != 'float32':
        dtype = torch.float16 if precision == 'fp16' else torch.bfloat16
        x, weight = x.to(dtype), weight.to(dtype)
    x.requires_grad_(training)
    weight.requires_grad_(training)

    def run():
        for _ in range(REPEATS):
            y = F.conv2d(x, weight, padding=1)
            if training:
                torch.autograd.grad(y, (x, weight), y.detach())

    operations = 2 * 9 * NUM_FEAT**2 * shape[0] * shape[2] * shape[3]
    return run, operations * REPEATS * (3 if training else 1)
