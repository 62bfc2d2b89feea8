"""Runs on trial, on a handful of numbers, what options describe, for what would else show after the first step."""
import itertools
import random
import warnings
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from basicsr.metrics import calculate_metric
from basicsr.models.base_model import BaseModel
from basicsr.utils.registry import DATASET_REGISTRY, LOSS_REGISTRY

from deconas_plugin.errors import OptionError
from deconas_plugin.training.schedules import WarmupCosineLR
from deconas_plugin.utils.check_sense import LOSSES, check_sense
from deconas_plugin.utils.trial_build import SCHEDULERS, build, refusals

# Sides of images: for losses, and for metrics, of which NIQE looks at blocks of 96.
LOSS_SIDE, METRIC_SIDE = 32, 200


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
