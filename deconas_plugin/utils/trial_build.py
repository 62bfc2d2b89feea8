"""Builds on trial what options describe by a type and its keywords, so that a bad value shows before a run starts."""
from contextlib import contextmanager

import torch
from basicsr.models import lr_scheduler
from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY

from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.training.schedules import WarmupCosineLR
from deconas_plugin.utils.device import device_of_run
from deconas_plugin.utils.precision import resolve_precision

# What constructors raise for values that they cannot take.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
SCHEDULERS = {'MultiStepLR': lr_scheduler.MultiStepRestartLR, 'MultiStepRestartLR': lr_scheduler.MultiStepRestartLR,
              'CosineAnnealingRestartLR': lr_scheduler.CosineAnnealingRestartLR, 'WarmupCosineLR': WarmupCosineLR}


def check_training_builds(train, name):
    """Build optimizer, scheduler and pixel loss of a training section.

    Args:
        train (dict): The section, its keywords checked.
        name (str): Its place, for messages.

    Raises:
        OptionError: One of them does not take its values, or the schedule ends before the training.
    """
    optimizer = _built(getattr(torch.optim, train['optim_g']['type']), train['optim_g'], f'{name}.optim_g',
                       [torch.nn.Parameter(torch.zeros(1))])
    scheduler = train['scheduler']
    if scheduler['type'] not in SCHEDULERS:
        raise OptionError(f'{name}.scheduler.type: expected one of {", ".join(SCHEDULERS)}, '
                          f'got {scheduler["type"]!r}')
    of_training = [train['total_iter'], train.get('warmup_iter', -1)] * (scheduler['type'] == 'WarmupCosineLR')
    _built(SCHEDULERS[scheduler['type']], scheduler, f'{name}.scheduler', optimizer, *of_training)
    periods = scheduler.get('periods')
    if periods is not None and sum(periods) < train['total_iter']:
        raise OptionError(f'{name}.scheduler.periods: expected a sum of at least total_iter = {train["total_iter"]}, '
                          f'got {sum(periods)}')
    for key in ('pixel_opt', 'frequency_opt'):
        if train.get(key):
            _built(LOSS_REGISTRY.get(train[key]['type']), train[key], f'{name}.{key}')


def check_network_builds(network, name, real=False):
    """Build a network of this project without memory for its weights; others may not stand that.

    Args:
        network (dict): Its options.
        name (str): Their place, for messages.
        real (bool): Whether it shall have weights all the same, to be compared with those of a file.

    Returns:
        DeCoNASSkeleton | None: The network, on the meta device unless it has weights; None for others.

    Raises:
        OptionError: It does not take its values.
    """
    if network['type'] not in ('DeCoNASNet', 'DeCoNASSuperNet'):
        return None
    # Pretrained weights are compared with the network, and that takes real ones.
    real = real or network.get('pretrained') is not None
    with torch.random.fork_rng(devices=[]), torch.device('cpu' if real else 'meta'):
        return _built(ARCH_REGISTRY.get(network['type']), network, name)


def check_precisions(opt, network):
    """Check the precisions that are asked for against the device that the run computes on.

    Args:
        opt (dict): Options whose sections, keys and types have been checked.
        network (DeCoNASSkeleton | None): What :func:`check_network_builds` has returned.

    Raises:
        OptionError: The device does not compute one of them.
    """
    sections = {'train': opt.get('train'), 'val': opt.get('val')}
    if 'search' in opt:
        sections.update({'search.reward': opt['search']['reward'], 'derive.train': opt['derive']['train']})
    device = device_of_run(opt['num_gpu'])
    widths = getattr(network, 'widths', opt['network_g'].get('num_feat', 64))
    for name, section in sections.items():
        if section and section.get('precision') is not None:
            sizes = {'num_feat': widths} if name.endswith('train') else {}
            resolve_precision(section['precision'], device, key=f'{name}.precision', **sizes)


def _built(constructor, section, name, *args):
    keywords = {key: value for key, value in section.items() if key != 'type'}
    with refusals(name, f'{section["type"]} cannot be built from {keywords}'):
        return constructor(*args, **keywords)


@contextmanager
def refusals(name, mistake):
    """Context in which what a constructor refuses becomes an OptionError that names the options.

    Args:
        name (str): The place of the options.
        mistake (str): What is wrong, for errors that only say why.
    """
    try:
        yield
    except DeCoNASError as error:
        # Some constructors know in which section their options are.
        named = str(error).startswith(f'{name.split(".")[0]}.')
        raise OptionError(str(error) if named else f'{name}: {error}') from error
    except REFUSALS as error:
        first_line = str(error).strip().split('\n')[0]
        raise OptionError(f'{name}: {mistake}: {first_line or type(error).__name__}') from error
