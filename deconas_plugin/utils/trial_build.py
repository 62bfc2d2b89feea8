"""Builds on trial what options describe by a type and its keywords, so that a bad value shows before a run starts."""
from contextlib import contextmanager

import torch
from basicsr.models import lr_scheduler
from basicsr.utils.registry import ARCH_REGISTRY

from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.training.schedules import WarmupCosineLR
from deconas_plugin.utils.device import device_of_run
from deconas_plugin.utils.precision import resolve_precision, widths_that_bf16_minds

# What constructors raise for values that they cannot take.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
            ValueError)
OURS = ('DeCoNASNet', 'DeCoNASSuperNet')
# What train.scheduler.type may name: BasicSR's models build these, and ours WarmupCosineLR too.
SCHEDULERS = {'MultiStepLR': lr_scheduler.MultiStepRestartLR, 'MultiStepRestartLR': lr_scheduler.MultiStepRestartLR,
              'CosineAnnealingRestartLR': lr_scheduler.CosineAnnealingRestartLR, 'WarmupCosineLR': WarmupCosineLR}


def check_network_builds(network, name, real=False):
    """Build a network: of this project without memory for its weights; others may not stand that.

    Args:
        network (dict): Its options.
        name (str): Their place, for messages.
        real (bool): Whether it shall have weights all the same, to be compared with those of a file.

    Returns:
        Module: The network, one of this project on the meta device unless it is to have weights.

    Raises:
        OptionError: It does not take its values.
    """
    # Pretrained weights are compared with the network, and that takes real ones.
    real = real or network['type'] not in OURS or network.get('pretrained') is not None
    with torch.random.fork_rng(devices=[]), torch.device('cpu' if real else 'meta'):
        return build(ARCH_REGISTRY.get(network['type']), network, name)


def check_precisions(opt, network):
    """Check the precisions that are asked for against the device that the run computes on.

    Args:
        opt (dict): Options whose sections, keys and types have been checked.
        network (Module): What :func:`check_network_builds` has returned.

    Raises:
        OptionError: The device does not compute one of them.
    """
    sections = {'train': opt.get('train'), 'val': opt.get('val')}
    if 'search' in opt:
        sections.update({'search.reward': opt['search']['reward'], 'derive.train': opt['derive']['train']})
    device = device_of_run(opt['num_gpu'])
    widths = widths_that_bf16_minds(network) if network else ()
    for name, section in sections.items():
        if section and section.get('precision') is not None:
            sizes = {'num_feat': widths} if name.endswith('train') else {}
            resolve_precision(section['precision'], device, key=f'{name}.precision', **sizes)


def build(constructor, section, name, *args):
    """What a constructor makes of the keywords of a section.

    Args:
        constructor (callable): What the ``type`` of the section names.
        section (dict): The options.
        name (str): Their place, for messages.
        *args: Goes before the keywords.

    Raises:
        OptionError: It does not take them.
    """
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
