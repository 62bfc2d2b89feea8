"""Checks what a run asks of this machine, of validation and of the loggers, which would else show after its start."""
import importlib.util
import inspect
import re
from pathlib import Path

import torch
from basicsr.utils.registry import METRIC_REGISTRY

from deconas_plugin.errors import OptionError
from deconas_plugin.machine.device import device_of_run, total_memory

NETWORKS = 'network_g', 'network_c'
# Beyond any use, and small enough to be built.
MOST_OF = {'num_feat': 4096, 'num_block': 256, 'num_layer': 32, 'num_in_ch': 64, 'num_out_ch': 64, 'num_hidden': 4096,
           'num_lstm_layer': 32}


def check_run(opt, task):
    """Check options that this machine or BasicSR's pipelines may not be able to serve.

    Args:
        opt (dict): Options whose sections, keys and types have been checked, with defaults.
        task (str): 'search', 'train' or 'test'.

    Raises:
        OptionError: Something cannot be served.
    """
    _check_gpus(opt['num_gpu'])
    _check_validation(opt)
    if task != 'test':
        _check_resume_state(opt['path'].get('resume_state'))
        _check_ignored(opt['path'].get('ignore_resume_networks'))
        _check_logger(opt['logger'])


def _check_resume_state(path):
    """Raise an OptionError unless the training state that ``path.resume_state`` names is there."""
    if path is not None and not Path(path).expanduser().is_file():
        raise OptionError(f'path.resume_state: {path} does not exist; train it first, or name another file')


def _check_ignored(names):
    """Raise an OptionError unless ``path.ignore_resume_networks`` names networks; BasicSR would pass over others."""
    for name in names or ():
        if name not in NETWORKS:
            raise OptionError('path.ignore_resume_networks: expected a list of '
                              f'{" and ".join(NETWORKS)}, got {names!r}')


def check_model(model, network):
    """Raise an OptionError for models of BasicSR that need more than ``network_g`` and pairs of images."""
    if model.__module__.startswith('basicsr.') and model.__name__ not in ('SRModel', 'SwinIRModel'):
        raise OptionError(f'model_type: expected DeCoNASModel or SRModel, got {model.__name__!r}, which needs other '
                          'networks, losses or data than these tools have options for; use it with BasicSR itself')
    if model.__name__ == 'SwinIRModel' and 'window_size' not in network:
        raise OptionError('network_g.window_size: missing; SwinIRModel needs it; other networks take DeCoNASModel')


def check_sizes(opt):
    """Raise an OptionError for networks so large that building them would not end."""
    for section in ('network_g', 'network_c'):
        for key, value in (opt.get(section) or {}).items():
            most = MOST_OF.get(key)
            for number in value if isinstance(value, list) else [value]:
                if most and isinstance(number, (int, float)) and number > most:
                    raise OptionError(f'{section}.{key}: expected at most {most}, got {number!r}')


def check_memory(opt, network):
    """Check that the weights of a network, and in training their gradients and averages, fit into memory.

    Raises:
        OptionError: They do not.
    """
    device = device_of_run(opt['num_gpu'])
    free = torch.cuda.get_device_properties(device).total_memory if device.type == 'cuda' else total_memory()
    needed = sum(parameter.numel() for parameter in network.parameters()) * 4 * (4 if 'train' in opt else 1)
    if needed > free:
        raise OptionError(f'network_g: expected a network that fits into the {free / 2**30:.0f} GiB of this machine, '
                          f'got one that takes {needed / 2**30:,.0f}; lower num_feat or num_block')


def _check_gpus(num_gpu):
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    counts = isinstance(num_gpu, int) and not isinstance(num_gpu, bool)
    if num_gpu != 'auto' and not (counts and 0 <= num_gpu <= here):
        among = f'0 to {here}' if here else '0, as there is no GPU here'
        raise OptionError(f'num_gpu: expected auto or {among}, got {num_gpu!r}')


def _check_validation(opt):
    val = opt.get('val')
    if not val:
        return
    metrics = val.get('metrics') or {}
    for name, metric in metrics.items():
        if not re.fullmatch(r'\w+', name):
            raise OptionError(f'val.metrics: expected a name of letters, digits and _, got {name!r}')
        if metric.get('better', 'higher') not in ('higher', 'lower'):
            raise OptionError(f'val.metrics.{name}.better: expected higher or lower, got {metric["better"]!r}')
    needs_gt = next((f'val.metrics.{name}: {metric["type"]}' for name, metric in metrics.items()
                     if 'img2' in inspect.signature(METRIC_REGISTRY.get(metric['type'])).parameters), None)
    if val.get('bicubic') and metrics and needs_gt is None:
        needs_gt = 'val.bicubic'
    for phase, dataset in opt['datasets'].items():
        if phase != 'train' and needs_gt and dataset['type'] == 'SingleImageDataset':
            raise OptionError(f'{needs_gt} compares with HR images, and datasets.{phase} is a SingleImageDataset, '
                              'which has none; leave the metric out, or set type: PairedImageDataset')


def _check_logger(logger):
    wandb = (logger.get('wandb') or {}).get('project')
    if wandb is not None and not logger['use_tb_logger']:
        raise OptionError('logger.wandb.project: expected use_tb_logger: true beside it, which it reads, got false')
    for asked, module in ((logger['use_tb_logger'], 'tensorboard'), (wandb is not None, 'wandb')):
        if asked and importlib.util.find_spec(module) is None:
            key = 'logger.wandb.project' if module == 'wandb' else 'logger.use_tb_logger'
            raise OptionError(f'{key}: {module} is not installed: pip install {module}; or leave it out')
