"""The work that is timed: training steps, inference and data loading, each as a function to be run again and again."""
import logging
import multiprocessing

import torch
from basicsr.data import build_dataset
from basicsr.models import build_model
from basicsr.utils import get_root_logger
from torch.utils.data import DataLoader, RandomSampler

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.data.gpu_patch_loader import GpuPatchLoader
from deconas_plugin.inference.backends import load_backend
from deconas_plugin.machine.device import autocast, keep_freed_memory
from deconas_plugin.models.deconas_model import DeCoNASModel


class SupernetStepModel(DeCoNASModel):
    """The weight step of a search.

    Attributes:
        draw (function): Gives the genotype of a step.
    """

    def train_forward(self):
        return self.net_g(self.lq, self.draw())


def step_options(network, device, **train):
    """dict: BasicSR's options, as far as training steps need them."""
    return {
        'num_gpu': int(device.type == 'cuda'), 'is_train': True, 'dist': False, 'rank': 0, 'world_size': 1,
        'manual_seed': 0, 'scale': network.get('upscale', 2), 'network_g': dict(network), 'path': {}, 'val': {},
        'train': {
            'optim_g': {'type': 'Adam', 'lr': 1e-4, 'betas': [0.9, 0.999]},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [200000], 'gamma': 0.5},
            'total_iter': 200000, 'warmup_iter': -1,
            'pixel_opt': {'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'}, **train,
        },
    }


def random_pair(batch, size, scale):
    """dict: A batch as a data loader gives it."""
    return {'lq': torch.rand(batch, 3, size, size), 'gt': torch.rand(batch, 3, scale * size, scale * size)}


def training_step(device, model_type='DeCoNASModel', network=None, batch=8, size=32, **train):
    """Function: One training step of a BasicSR model, from the batch on the CPU to the changed weights."""
    quiet_logger()
    opt = step_options(network or {'type': 'DeCoNASNet'}, device, **train)
    return repeated_step(build_model({**opt, 'model_type': model_type}), batch, size)


def repeated_step(model, batch, size):
    """Function: The step of a model on one batch."""
    data = random_pair(batch, size, model.opt['scale'])

    def step():
        model.feed_data(data)
        model.optimize_parameters(1)

    return step


def inference(device, precision='float32', memory_format=torch.channels_last, fused=False, keep_memory=True,
              size=(360, 640)):
    """Function: The published x2 network on one image; ``size`` is that of the LR image, height and width."""
    if keep_memory:
        keep_freed_memory(device)
    torch.manual_seed(0)
    net = DeCoNASNet().to(device)
    net = (net.fuse() if fused else net.eval()).to(memory_format=memory_format)
    image = torch.rand(1, 3, *size, device=device).contiguous(memory_format=memory_format)

    def infer():
        with torch.no_grad(), autocast(precision, device):
            net(image)

    return infer


def run_backend(device, backend, precision, weights='DeCoNASNet_x2', size=(360, 640)):
    """Function: One LR image of ``size``, height and width, in a backend, whole."""
    keep_freed_memory(device)
    runner = load_backend(weights, backend, precision, str(device))
    image = torch.rand(1, runner.num_in_ch, *size)
    runner(image[..., :8, :8])  # runtimes compile the network now
    return lambda: runner(image)


def load_patches(device, dataset_opt, num_patches, batch=16, num_worker=2):
    """Function: Read so many patches in batches, decoded and on the CPU, or on the GPU where the cache lies there."""
    quiet_logger()
    dataset = build_dataset(dict(dataset_opt))
    sampler = RandomSampler(dataset, replacement=True, num_samples=num_patches)
    if dataset_opt.get('cache') == 'cuda':
        loader = GpuPatchLoader(dataset, batch, sampler, device)
    else:
        # The platform's way to start workers, which the process of a run would else inherit from its own start.
        loader = DataLoader(dataset, batch, sampler=sampler, num_workers=num_worker, persistent_workers=True,
                            multiprocessing_context=multiprocessing.get_all_start_methods()[0])

    def read():
        for _ in loader:
            pass

    return read


def quiet_logger():
    """BasicSR prints every network that it builds."""
    get_root_logger(log_level=logging.WARNING)
