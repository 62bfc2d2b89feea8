"""Builds on trial what options describe by a type and its keywords, so that a bad value shows before a run starts."""
import torch
from basicsr.models import lr_scheduler
from basicsr.utils.registry import ARCH_REGISTRY, LOSS_REGISTRY

from deconas_plugin.errors import DeCoNASError, OptionError

# What constructors raise for values that they cannot take.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
SCHEDULERS = {'MultiStepLR': lr_scheduler.MultiStepRestartLR, 'MultiStepRestartLR': lr_scheduler.MultiStepRestartLR,
              'CosineAnnealingRestartLR': lr_scheduler.CosineAnnealingRestartLR}


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
    _built(SCHEDULERS[scheduler['type']], scheduler, f'{name}.scheduler', optimizer)
    periods = scheduler.get('periods')
    if periods is not None and sum(periods) < train['total_iter']:
        raise OptionError(f'{name}.scheduler.periods: expected a sum of at least total_iter = {train["total_iter"]}, '
                          f'got {sum(periods)}')
    if train.get('pixel_opt'):
        _built(LOSS_REGISTRY.get(train['pixel_opt']['type']), train['pixel_opt'], f'{name}.pixel_opt')


def check_network_builds(network, name):
    """Build a network of this project without memory for its weights; others may not stand that.

    Raises:
        OptionError: It does not take its values.
    """
    if network['type'] in ('DeCoNASNet', 'DeCoNASSuperNet'):
        # Pretrained weights are compared with the network, and that takes real ones.
        with torch.device('meta' if network.get('pretrained') is None else 'cpu'):
            _built(ARCH_REGISTRY.get(network['type']), network, name)


def _built(constructor, section, name, *args):
    keywords = {key: value for key, value in section.items() if key != 'type'}
    try:
        return constructor(*args, **keywords)
    except DeCoNASError as error:
        raise OptionError(f'{name}: {error}') from error
    except REFUSALS as error:
        first_line = str(error).strip().split('\n')[0]
        raise OptionError(f'{name}: {section["type"]} cannot be built from {keywords}: '
                          f'{first_line or type(error).__name__}') from error
