"""Does training work on this machine's device: what it computes against the CPU, and what a run promises."""
import contextlib
import io
import json
import platform
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from math import inf
from pathlib import Path

import cv2
import numpy as np
import torch
from basicsr.models import build_model
from torch.utils.data import DataLoader

from deconas_plugin import __version__
from deconas_plugin.data.bicubic import bicubic
from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.gpu_patch_loader import GpuPatchLoader
from deconas_plugin.data.image_io import encode_png
from deconas_plugin.data.lmdb_writer import LmdbWriter
from deconas_plugin.data.resumable_sampler import ResumableSampler
from deconas_plugin.errors import Interrupted, OptionError
from deconas_plugin.pipeline import run_training
from deconas_plugin.speed.jobs import random_pair, repeated_step, step_options
from deconas_plugin.utils.atomic import save_text
from deconas_plugin.utils.console import quiet_console
from deconas_plugin.utils.device import choose_device, device_name
from deconas_plugin.utils.options import save_options
from deconas_plugin.utils.precision import PRECISIONS, autocast, resolve_precision
from deconas_plugin.utils.weights import load_network

PACKAGES = ('torch', 'torchvision', 'basicsr', 'numpy', 'opencv-python', 'lmdb')
# Largest deviation from the CPU in float32: of an upscaled image in [0, 1], and of a loss, relative.
TOLERANCES = {'float32': (1e-4, 1e-3), 'tf32': (1e-2, 2e-2), 'fp16': (1e-2, 2e-2), 'bf16': (5e-2, 5e-2)}
NETWORK = {'type': 'DeCoNASNet', 'genotype': '100 010010 010010010', 'num_feat': 16, 'num_block': 1, 'num_layer': 3}
STEPS = 4
LIMIT_MINUTES, LATE_SECONDS = 0.05, 15


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


def examine(device, out=None):
    """Check a device.

    Args:
        device (torch.device): Which.
        out (str | Path | None): JSON file to write.

    Returns:
        dict: ``machine``, ``checks`` (list[Check]) and ``healthy`` (bool).
    """
    quiet_console()
    machine = {'device': device_name(device), 'python': platform.python_version(), 'plugin': __version__,
               **{name: _version(name) for name in PACKAGES}}
    if device.type == 'cuda':
        machine['cuda'] = torch.version.cuda
        machine['memory'] = f'{torch.cuda.get_device_properties(device).total_memory / 2**30:.0f} GiB'
    checks = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        data = _write_images(Path(folder))
        for check in (_forward, _training_step, _compiled, lambda device: _patches(device, data),
                      lambda device: _resume(device, data, Path(folder)),
                      lambda device: _time_limit(device, data, Path(folder)), _speed):
            checks += check(device)
    report = {'machine': machine, 'seconds': round(time.monotonic() - started, 1), 'checks': checks,
              'healthy': all(check.holds is not False for check in checks)}
    if out is not None:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        save_text(json.dumps({**report, 'checks': [asdict(check) for check in checks]}, indent=1), out)
    return report


def to_text(report):
    """str: The report as a table for people."""
    marks = {True: 'ok', False: 'FAILS', None: '-'}
    machine = ', '.join(f'{key} {value}' for key, value in report['machine'].items())
    width = max(len(check.name) for check in report['checks'])
    lines = [f'{marks[check.holds]:5}  {check.name:{width}}  {check.found}' for check in report['checks']]
    verdict = 'All checks hold.' if report['healthy'] else 'Something fails: see above.'
    return '\n'.join([machine, *lines, f'{verdict} {report["seconds"]:.0f} s'])


def _forward(device):
    """The zoo's network on one image in each precision, and fused."""
    net = load_network('DeCoNASNet_x2_24G')
    image = torch.from_numpy(_image(96, 0)[:48, :64].transpose(2, 0, 1).copy()).unsqueeze(0).float() / 255
    with torch.no_grad():
        expected = net(image)
    net.to(device, memory_format=torch.channels_last)
    for precision in _precisions(device):
        with torch.no_grad(), autocast(precision, device):
            found = net(image.to(device, memory_format=torch.channels_last)).float().cpu()
        yield _compared(f'forward pass, {precision}', found, expected, TOLERANCES[precision][0])
    with torch.no_grad(), autocast('float32', device):
        found = net.fuse()(image.to(device)).cpu()
    yield _compared('forward pass, fused', found, expected, TOLERANCES['float32'][0])


def _training_step(device):
    """The losses of the first steps in each precision."""
    expected = _losses(torch.device('cpu'), precision='float32')
    for precision in _precisions(device):
        yield _compared(f'training steps, {precision}', _losses(device, precision=precision), expected,
                        TOLERANCES[precision][1], relative=True)


def _compiled(device):
    started = time.monotonic()
    try:
        found = _losses(device, precision='float32', compile=True)
    except Exception as error:  # noqa: BLE001, a missing compiler shows in any way
        yield Check('compiled steps', None, f'not possible here: {str(error).strip().splitlines()[0][:120]}')
        return
    seconds = time.monotonic() - started
    check = _compared('compiled steps', found, _losses(device, precision='float32'), TOLERANCES['float32'][1], True)
    yield Check(check.name, check.holds, f'{check.found}; {seconds:.0f} s to compile')


def _patches(device, data):
    """Batches from the device's memory against those of a DataLoader."""
    options = {**data, 'phase': 'train', 'scale': 2, 'use_channel_shuffle': True}
    batches = []
    for cache in ('memory', 'cuda'):
        dataset = DeCoNASPatchDataset({**options, 'cache': cache})
        sampler = ResumableSampler(dataset, 1, 0, ratio=8, seed=3)
        loader = GpuPatchLoader(dataset, 4, sampler, device) if cache == 'cuda' else \
            DataLoader(dataset, 4, sampler=sampler, drop_last=True)
        batches.append(list(loader))
    same = len(batches[0]) == len(batches[1]) and all(
        torch.equal(first[key], second[key].cpu()) for first, second in zip(*batches, strict=True)
        for key in ('lq', 'gt'))
    yield Check('patches cut on the device', same, 'bit for bit those of the CPU' if same else "differ from the CPU's")


def _resume(device, data, folder):
    """A run that goes on from the middle, on this device and, from there and to there, on the CPU."""
    whole = _run(folder / 'whole', data, device)
    resumed = _run(folder / 'resumed', data, device, begins_like=folder / 'whole')
    difference = _difference(resumed, whole)
    limit = 0 if device.type == 'cpu' else 1e-5
    yield Check('a run that was interrupted', difference <= limit, 'bit for bit the same' if difference == 0 else
                f'weights differ by {difference:.1e} (at most {limit:.0e})')
    if device.type == 'cpu':
        yield Check('states exchanged with the CPU', None, 'this is the CPU')
        return
    cpu = torch.device('cpu')
    _run(folder / 'cpu', data, cpu)
    differences = {'from here to the CPU': _run(folder / 'to_cpu', data, cpu, begins_like=folder / 'whole'),
                   'from the CPU to here': _run(folder / 'to_here', data, device, begins_like=folder / 'cpu')}
    for name, weights in differences.items():
        difference = _difference(weights, whole)
        yield Check(f'a state {name}', difference <= 1e-3, f'weights differ by {difference:.1e} (at most 1e-03)')


def _time_limit(device, data, folder):
    started = time.monotonic()
    try:
        _run(folder / 'limit', data, device, total_iter=10**7, max_minutes=LIMIT_MINUTES)
    except Interrupted:
        seconds = time.monotonic() - started
        states = list((folder / 'limit').rglob('*.state'))
        yield Check('time limit', bool(states) and seconds < 60 * LIMIT_MINUTES + LATE_SECONDS,
                    f'ended after {seconds:.1f} s of {60 * LIMIT_MINUTES:.0f} with {len(states)} states')
        return
    yield Check('time limit', False, 'did not end the run')


def _speed(device):
    """Steps of the zoo's network as tools/train.py takes them, and the memory they need: nothing to fail."""
    network = {**NETWORK, 'num_feat': 32, 'num_block': 2}
    model = build_model({**step_options({**network, 'upscale': 2}, device, ema_decay=0.999),
                         'model_type': 'DeCoNASModel'})
    step = repeated_step(model, 16, 48)
    step()
    times = []
    for _ in range(4):
        times.append(_seconds(step, device))
    found = f'{16 / min(times):.0f} patches of 96 HR pixels a second in {model.precision}'
    if device.type == 'cuda':
        found += f', {torch.cuda.max_memory_allocated(device) / 2**20:.0f} MiB at most so far'
    yield Check('speed', None, found)


def _seconds(step, device):
    started = time.perf_counter()
    step()
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


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


def _precisions(device):
    """Iterator[str]: Those that the device computes."""
    for precision in PRECISIONS:
        with contextlib.suppress(OptionError):
            yield resolve_precision(precision, device, NETWORK['num_feat'])


def _run(folder, data, device, begins_like=None, total_iter=8, **train):
    """dict[str, Tensor]: The weights after a training of tools/train.py.

    Args:
        folder (Path): Of its experiment.
        data (dict): Training data.
        device (torch.device): Where.
        begins_like (Path | None): A folder whose first checkpoint, after half of the iterations, is gone on from.
        total_iter (int): Weight steps.
        **train: More options of ``train``.
    """
    opt = {
        'name': 'run', 'model_type': 'DeCoNASModel', 'scale': 2, 'num_gpu': int(device.type == 'cuda'),
        'manual_seed': 1,
        'datasets': {'train': {**data, 'name': 'train', 'batch_size_per_gpu': 4, 'num_worker_per_gpu': 0,
                               'dataset_enlarge_ratio': 4, 'cache': 'device', 'final_gt_size': 48}},
        'network_g': {**NETWORK, 'upscale': 2}, 'path': {},
        'train': {'total_iter': total_iter, 'warmup_iter': 2, 'ema_decay': 0.9, 'precision': 'float32',
                  'optim_g': {'type': 'Adam', 'lr': 1e-3}, 'scheduler': {'type': 'WarmupCosineLR'},
                  'pixel_opt': {'type': 'L1Loss'}, **train},
        'logger': {'print_freq': 10**6, 'save_checkpoint_freq': total_iter // 2},
    }
    folder.mkdir()
    save_options(opt, folder / 'train.yml')
    models = folder / 'experiments/run/models'
    if begins_like is not None:
        half = total_iter // 2
        for name in (f'models/net_g_{half}.pth', f'training_states/{half}.state'):
            target = folder / 'experiments/run' / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((begins_like / 'experiments/run' / name).read_bytes())
    with contextlib.redirect_stderr(io.StringIO()):
        run_training('train', folder / 'train.yml', root=folder, auto_resume=True)
    return torch.load(models / 'net_g_latest.pth', weights_only=True)['params_ema']


def _difference(first, second):
    return max((first[name].double() - second[name].double()).abs().max().item() for name in first)


def _write_images(folder):
    """dict: A dataset section of LMDBs with some smooth noise, like photographs."""
    roots = {}
    images = {f'{number:04d}_s001': _image(64, number) for number in range(1, 5)}
    for key, scale in (('dataroot_gt', 1), ('dataroot_lq', 2)):
        shown = {name: image if scale == 1 else bicubic(image, 1 / scale) for name, image in images.items()}
        writer = LmdbWriter(folder / f'{key}.lmdb', {})
        writer.add([(name, encode_png(image)) for name, image in shown.items()])
        writer.finish([(name, *image.shape[:2]) for name, image in shown.items()], {})
        roots[key] = str(writer.path)
    return {'type': 'DeCoNASPatchDataset', 'io_backend': {'type': 'lmdb'}, 'gt_size': 32, **roots}


def _image(side, seed):
    """ndarray: (side, side, 3), uint8."""
    coarse = np.random.default_rng(seed).integers(0, 256, (side // 6, side // 6, 3), dtype=np.uint8)
    return cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC)


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return 'unknown'


def run_doctor(device=None, out=None):
    """Examine a device and print what was found.

    Args:
        device (str | None): See :func:`choose_device`.
        out (str | Path | None): JSON file to write.

    Returns:
        int: 0 if all holds, else 1.
    """
    report = examine(choose_device(device), out)
    print(to_text(report))
    return 0 if report['healthy'] else 1
