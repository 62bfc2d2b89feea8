"""Proofs that a device computes what it should: each is a few seconds of work, and one line of the doctor's table."""
import contextlib
import time
from dataclasses import dataclass
from math import inf

import torch
from basicsr.models import build_model

from deconas_plugin.archs.load import load_network
from deconas_plugin.doctor.workloads import random_pair, repeated_step, step_options
from deconas_plugin.errors import BackendError, OptionError
from deconas_plugin.inference.backends import PACKAGES, load_backend, require_installed
from deconas_plugin.inference.runtimes import require_precision
from deconas_plugin.machine.device import PRECISIONS, autocast, resolve_precision
from deconas_plugin.machine.timing import timed

# Largest deviation from the CPU in float32: of an upscaled image in [0, 1], and of a loss, relative.
TOLERANCES = {'float32': (1e-4, 1e-3), 'tf32': (1e-2, 2e-2), 'fp16': (1e-2, 2e-2), 'bf16': (5e-2, 5e-2)}
NETWORK = {'type': 'DeCoNASNet', 'genotype': '100 010010 010010010', 'num_feat': 16, 'num_block': 1, 'num_layer': 3}
ZOO_NETWORK = 'DeCoNASNet_x2_24G'
STEPS = 4


@dataclass(frozen=True)
class Check:
    """One line of the table.

    Attributes:
        name (str): What was checked.
        holds (bool | None): Whether it holds; None where it is not possible here, which is no failure.
        found (str): What was seen.
    """
    name: str
    holds: bool | None
    found: str


def prove_forward(device):
    """The zoo's network on one image in each precision, and fused."""
    net = load_network(ZOO_NETWORK)
    image = smooth_image(48, 64)
    with torch.no_grad():
        expected = net(image)
    net.to(device, memory_format=torch.channels_last)
    for precision in precisions_of(device):
        with torch.no_grad(), autocast(precision, device):
            found = net(image.to(device, memory_format=torch.channels_last)).float().cpu()
        yield _compared(f'forward pass, {precision}', found, expected, TOLERANCES[precision][0])
    with torch.no_grad(), autocast('float32', device):
        found = net.fuse()(image.to(device)).cpu()
    yield _compared('forward pass, fused', found, expected, TOLERANCES['float32'][0])


def prove_training_steps(device):
    """The losses of the first steps in each precision."""
    expected = _losses(torch.device('cpu'), precision='float32')
    for precision in precisions_of(device):
        yield _compared(f'training steps, {precision}', _losses(device, precision=precision), expected,
                        TOLERANCES[precision][1], relative=True)


def prove_compiled_steps(device):
    started = time.monotonic()
    try:
        found = _losses(device, precision='float32', compile=True)
    except Exception as error:  # noqa: BLE001, a missing compiler shows in any way
        yield Check('compiled steps', None, f'not possible here: {str(error).strip().splitlines()[0][:120]}')
        return
    seconds = time.monotonic() - started
    check = _compared('compiled steps', found, _losses(device, precision='float32'), TOLERANCES['float32'][1], True)
    yield Check(check.name, check.holds, f'{check.found}; {seconds:.0f} s to compile')


def prove_backends(device):
    """What is installed beside PyTorch upscales as it does, an image of a size that is odd in both."""
    image = smooth_image(37, 51)
    with torch.no_grad():
        expected = load_network(ZOO_NETWORK)(image)
    for name in PACKAGES:
        try:
            require_installed(name)
        except BackendError as error:
            yield Check(f'backend {name}', None, str(error).partition(': ')[2])
            continue
        for precision in ('float32', 'bf16'):
            # Those for CPUs, on whatever device PyTorch shall run.
            if _computes(name, precision):
                found = load_backend(ZOO_NETWORK, name, precision, 'cpu', say=lambda line: None)(image)
                yield _compared(f'backend {name}, {precision}', found, expected, TOLERANCES[precision][0])


def _computes(backend, precision):
    try:
        require_precision(backend, precision, torch.device('cpu'))
    except BackendError:
        return False
    return True


def measure_speed(device):
    """Steps of the zoo's network as ``deconas train`` takes them, and the memory they need: nothing to fail."""
    network = {**NETWORK, 'num_feat': 32, 'num_block': 2}
    model = build_model({**step_options({**network, 'upscale': 2}, device, ema_decay=0.999),
                         'model_type': 'DeCoNASModel'})
    step = repeated_step(model, 16, 48)
    step()
    times = [timed(step, device) for _ in range(4)]
    found = f'{16 / min(times):.0f} patches of 96 HR pixels a second in {model.precision}'
    if device.type == 'cuda':
        found += f', {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB at most so far'
    yield Check('speed', None, found)


def smooth_image(height, width):
    """Tensor: (1, 3, height, width), in [0, 1]; noise as smooth as a photograph."""
    coarse = torch.rand(1, 3, height // 6 + 1, width // 6 + 1, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse, (height, width), mode='bicubic').clamp(0, 1)


def _losses(device, **train):
    """Tensor: The losses of the first training steps, the same network and patches everywhere."""
    torch.manual_seed(0)
    model = build_model({**step_options({**NETWORK, 'upscale': 2}, device, **train), 'model_type': 'DeCoNASModel'})
    torch.manual_seed(1)
    losses = []
    for current_iter in range(1, STEPS + 1):
        model.feed_data(random_pair(2, 24, 2))
        model.optimize_parameters(current_iter)
        losses.append(model.log_dict['l_pix'])
    return torch.tensor(losses)


def _compared(name, found, expected, limit, relative=False):
    difference = (found - expected).abs()
    if relative:
        difference = difference / expected.abs()
    largest = difference.max().item() if found.isfinite().all() else inf
    return Check(name, largest <= limit, f'differs from float32 on the CPU by {largest:.1e} (at most {limit:.0e})')


def precisions_of(device):
    """Iterator[str]: Those that the device computes."""
    for precision in PRECISIONS:
        with contextlib.suppress(OptionError):
            yield resolve_precision(precision, device, NETWORK['num_feat'])


