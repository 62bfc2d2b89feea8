"""Proofs that a run keeps what it promises on a device: its patches, going on from the middle, and ending in time."""
import contextlib
import io
import time

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader

from deconas_plugin.data.bicubic import bicubic
from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.data.gpu_patch_loader import GpuPatchLoader
from deconas_plugin.data.image_io import encode_png
from deconas_plugin.data.lmdb import LmdbWriter
from deconas_plugin.data.patch_draw import ResumableSampler
from deconas_plugin.doctor.process_proof import largest_difference
from deconas_plugin.doctor.proofs import NETWORK, Check
from deconas_plugin.errors import Interrupted
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import save_options
from deconas_plugin.runs.pipeline import run_training

LIMIT_MINUTES, LATE_SECONDS = 0.05, 15


def prove_patches(device, data):
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


def prove_resume(device, data, folder):
    """A run that goes on from the middle, on this device and, from there and to there, on the CPU."""
    whole = _run(folder / 'whole', data, device)
    resumed = _run(folder / 'resumed', data, device, begins_like=folder / 'whole')
    difference = largest_difference(resumed, whole)
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
        difference = largest_difference(weights, whole)
        yield Check(f'a state {name}', difference <= 1e-3, f'weights differ by {difference:.1e} (at most 1e-03)')


def prove_time_limit(device, data, folder):
    started = time.monotonic()
    try:
        _run(folder / 'limit', data, device, total_iter=10**7, max_minutes=LIMIT_MINUTES)
    except Interrupted:
        seconds = time.monotonic() - started
        states = ExperimentFolder.named(folder / 'limit', 'run').all_states()
        yield Check('time limit', bool(states) and seconds < 60 * LIMIT_MINUTES + LATE_SECONDS,
                    f'ended after {seconds:.1f} s of {60 * LIMIT_MINUTES:.0f} with {len(states)} states')
        return
    yield Check('time limit', False, 'did not end the run')


def _run(folder, data, device, begins_like=None, total_iter=8, **train):
    """dict[str, Tensor]: The weights after a training as ``deconas train`` runs it.

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
    experiment = ExperimentFolder.named(folder, 'run')
    if begins_like is not None:
        before, half = ExperimentFolder.named(begins_like, 'run'), total_iter // 2
        for source, target in ((before.weights('net_g', half), experiment.weights('net_g', half)),
                               (before.state(half), experiment.state(half))):
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    with contextlib.redirect_stderr(io.StringIO()):
        run_training('train', folder / 'train.yml', root=folder, auto_resume=True)
    return torch.load(experiment.weights(), weights_only=True)['params_ema']


def write_images(folder):
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


