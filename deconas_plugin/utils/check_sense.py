"""Refuses options of a training that would run to its end and leave nothing trained."""
from deconas_plugin.errors import OptionError

LOSSES = ('pixel_opt', 'frequency_opt', 'perceptual_opt')


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
    if train['warmup_iter'] >= total:
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
