"""Builds and runs on trial what options describe, so that a bad value shows before a run starts."""
import itertools
import random
import warnings
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from basicsr.metrics import calculate_metric
from basicsr.models import lr_scheduler
from basicsr.models.base_model import BaseModel
from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, LOSS_REGISTRY

from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.machine.device import device_of_run, resolve_precision, widths_that_bf16_minds
from deconas_plugin.training.schedules import WarmupCosineLR

LOSSES = ('pixel_opt', 'frequency_opt', 'perceptual_opt')
# What constructors raise for values that they cannot take.
REFUSALS = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, OSError, RuntimeError, TypeError,
            ValueError)
OURS = ('DeCoNASNet', 'DeCoNASSuperNet')
# What train.scheduler.type may name: BasicSR's models build these, and ours WarmupCosineLR too.
SCHEDULERS = {'MultiStepLR': lr_scheduler.MultiStepRestartLR, 'MultiStepRestartLR': lr_scheduler.MultiStepRestartLR,
              'CosineAnnealingRestartLR': lr_scheduler.CosineAnnealingRestartLR, 'WarmupCosineLR': WarmupCosineLR}
# Sides of images: for losses, and for metrics, of which NIQE looks at blocks of 96.
LOSS_SIDE, METRIC_SIDE = 32, 200


def check_sense(train, name):
    """Check that a training can teach something.

    Args:
        train (dict): The section, its keywords checked, with defaults.
        name (str): Its place, for messages.

    Raises:
        OptionError: Its learning rate never gets anywhere, or a loss counts for nothing or the wrong way round.
    """
    optimizer, scheduler, total = train['optim_g'], train['scheduler'], train['total_iter']
    rate = optimizer['lr']
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not rate > 0:
        raise OptionError(f'{name}.optim_g.lr: expected a number above 0, got {rate!r}')
    if optimizer.get('maximize'):
        raise OptionError(f'{name}.optim_g.maximize: expected false, got true, which trains for the largest loss')
    if train['warmup_iter'] >= total > 0:
        raise OptionError(f'{name}.warmup_iter: expected less than total_iter = {total}, got {train["warmup_iter"]}; '
                          'the learning rate would never be reached')
    if not scheduler.get('gamma', 1) > 0:
        raise OptionError(f'{name}.scheduler.gamma: expected more than 0, got {scheduler["gamma"]!r}; nothing would '
                          'be learned after the first milestone')
    if scheduler.get('eta_min', 0) > rate:
        raise OptionError(f'{name}.scheduler.eta_min: expected at most optim_g.lr = {rate}, got '
                          f'{scheduler["eta_min"]}; the learning rate would rise to it')
    for key in ('milestones', 'restarts'):
        for iteration in scheduler.get(key, ()):
            if isinstance(iteration, bool) or not isinstance(iteration, int) or iteration < 0:
                raise OptionError(f'{name}.scheduler.{key}: expected weight steps, whole numbers, got {iteration!r}, '
                                  'which is none of them')
    for key in LOSSES:
        weight = (train.get(key) or {}).get('loss_weight', 1)
        if not weight > 0:
            raise OptionError(f'{name}.{key}.loss_weight: expected more than 0, got {weight!r}; leave {key} out for '
                              'no such loss')


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


def try_training(train, name):
    """Take steps with optimizer and scheduler and compute the losses of a training section.

    Args:
        train (dict): The section, its keywords checked, with defaults.
        name (str): Its place, for messages.

    Raises:
        OptionError: One of them does not work, or the schedule ends before the training.
    """
    weights = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((4, 4, 3, 3), (4, ))]
    optimizer = build(getattr(torch.optim, train['optim_g']['type']), train['optim_g'], f'{name}.optim_g', weights)
    with refusals(f'{name}.optim_g', f'no step can be taken with {train["optim_g"]}'):
        for weight in weights:
            weight.grad = torch.ones_like(weight)
        optimizer.step()
    if train['total_iter']:
        _try_scheduler(train, name, optimizer)
    with torch.random.fork_rng(devices=[]):
        for key in LOSSES:
            if train.get(key):
                _try_loss(train[key], f'{name}.{key}', pair=key == 'perceptual_opt')
    check_sense(train, name)


def _try_scheduler(train, name, optimizer):
    options, total = train['scheduler'], train['total_iter']
    of_training = [total, train['warmup_iter']] if SCHEDULERS[options['type']] is WarmupCosineLR else []
    scheduler = build(SCHEDULERS[options['type']], options, f'{name}.scheduler', optimizer, *of_training)
    periods = options.get('periods')
    if periods is not None and sum(periods) < total:
        raise OptionError(f'{name}.scheduler.periods: expected a sum of at least total_iter = {total}, '
                          f'got {sum(periods)}')
    with refusals(f'{name}.scheduler', f'no learning rate follows from {options}'), \
            warnings.catch_warnings(action='ignore'):  # about an optimizer that takes no steps in between
        # Where it changes its course, and at both ends.
        turns = {1, total, *options.get('milestones', ()), *options.get('restarts', ()),
                 *itertools.accumulate(periods or ())}
        for turn in sorted(turn for turn in turns if 1 <= turn <= total):
            for last_epoch in range(max(turn - 2, 0), min(turn + 1, total - 1)):
                scheduler.last_epoch = last_epoch
                scheduler.step()
                if not all(np.isfinite(rate) and rate >= 0 for rate in scheduler.get_last_lr()):
                    raise ValueError(f'it is {scheduler.get_last_lr()[0]} at iteration {last_epoch + 2}')


def _try_loss(options, name, pair):
    loss = build(LOSS_REGISTRY.get(options['type']), options, name)
    output, gt = torch.rand(2, 1, 3, LOSS_SIDE, LOSS_SIDE)
    with refusals(name, f'{options["type"]} gives no loss of an image with {options}'):
        found = loss(output.requires_grad_(), gt)
        for value in found if pair else [found]:
            if value is not None:
                torch.autograd.grad(value, output, retain_graph=True)


def try_optimizer_of_model(model, train):
    """Check that a model of BasicSR, which in 1.4.2 knows Adam alone, builds the optimizer.

    Raises:
        OptionError: It does not.
    """
    if model.get_optimizer is not BaseModel.get_optimizer:
        return
    options = dict(train['optim_g'])
    name = options.pop('type')
    try:
        model.get_optimizer(None, name, [torch.nn.Parameter(torch.zeros(1))], **options)
    except NotImplementedError as error:
        raise OptionError(f'train.optim_g.type: {model.__name__} knows no {name}; set model_type: DeCoNASModel, or '
                          'type: Adam') from error


def try_metrics(metrics, side):
    """Compute every metric once.

    Args:
        metrics (dict[str, dict]): The section ``val.metrics``, its keywords checked.
        side (int | None): Of the smallest image, HR pixels, where it is known.

    Raises:
        OptionError: One gives no number.
    """
    rng = np.random.default_rng(0)
    side = min(side or METRIC_SIDE, METRIC_SIDE)
    images = rng.integers(0, 256, (2, side, side, 3), dtype=np.uint8)
    for name, options in metrics.items():
        key = f'val.metrics.{name}'
        with refusals(key, f'{options["type"]} gives no number for {side}x{side} pixels with {options}'):
            float(calculate_metric({'img': images[0], 'img2': images[1]}, options))


def try_network(network, options, scale, side, device):
    """Run a network on the smallest image that it will be trained or tested with.

    Args:
        network (Module): On the meta device, or anywhere.
        options (dict): ``network_g``.
        scale (int): What its output has to be larger by.
        side (int): Of the image, LR pixels.
        device (torch.device): Where.

    Raises:
        OptionError: It does not upscale images by this.
    """
    channels = options.get('num_in_ch', 3)
    with refusals('network_g', f'{options["type"]} cannot upscale an image'), torch.no_grad():
        output = network.to(device).eval()(torch.zeros(1, channels, side, side, device=device))
        if tuple(output.shape) != (1, options.get('num_out_ch', 3), side * scale, side * scale):
            raise ValueError(f'a {side}x{side} image becomes {tuple(output.shape)}, and the scale is {scale}')


def try_dataset(dataset, phase, name, scale):
    """Build a dataset and read its first and its last sample.

    Args:
        dataset (dict): Its options.
        phase (str): 'train', 'val' or 'test'.
        name (str): Its place, for messages.
        scale (int): Upscaling factor.

    Returns:
        tuple[Tensor, Tensor | None, int]: LR image, HR image if it has one, and how many samples there are.

    Raises:
        OptionError: It is no dataset of single images, or an image cannot be read.
    """
    options = {**deepcopy(dataset), 'phase': phase, 'scale': scale}
    for key in ('dataroot_gt', 'dataroot_lq'):
        if isinstance(options.get(key), str):
            options[key] = str(Path(options[key]).expanduser())
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with refusals(name, f'no sample can be read from this {dataset["type"]}'), torch.random.fork_rng(devices=[]):
            built = DATASET_REGISTRY.get(dataset['type'])(options)
            for index in (len(built) - 1, 0):
                sample = built[index]
            lq, gt = sample['lq'], sample.get('gt')
            if lq.dim() != 3 or gt is None and phase == 'train' or gt is not None and gt.dim() != 3:
                raise ValueError('expected pairs of an LR and an HR image')
            return lq, gt, len(built)
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
