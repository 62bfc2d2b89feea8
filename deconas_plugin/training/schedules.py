"""Learning rate and averaged weights over the iterations of a run: functions of the iteration alone."""
import math

from torch.optim.lr_scheduler import LRScheduler


class WarmupCosineLR(LRScheduler):
    """A linear rise to the optimizer's learning rate, then one cosine down to ``eta_min``.

    Iteration i of the rise has i / warmup_iter of the rate, as BasicSR's own warm-up has; the last iteration of the
    training has ``eta_min``. ``step`` is called before every iteration but the first, as BasicSR does.

    Args:
        optimizer (torch.optim.Optimizer): Its learning rates are the peak.
        total_iter (int): Iterations of the whole training, from ``train``.
        warmup_iter (int): Those of the rise, from ``train``; less than 1 for none. Default: -1.
        eta_min (float): Learning rate at the end. Default: 0.
    """

    def __init__(self, optimizer, total_iter, warmup_iter=-1, eta_min=0):
        if warmup_iter >= total_iter:
            raise ValueError(f'expected fewer warm-up iterations than the {total_iter} of the training, '
                             f'got {warmup_iter}')
        self.total_iter, self.warmup_iter, self.eta_min = total_iter, max(warmup_iter, 0), eta_min
        super().__init__(optimizer)

    def get_lr(self):
        current_iter = self.last_epoch + 1
        if current_iter <= self.warmup_iter:
            return [peak * current_iter / self.warmup_iter for peak in self.base_lrs]
        done = min((current_iter - self.warmup_iter) / (self.total_iter - self.warmup_iter), 1)
        return [self.eta_min + (peak - self.eta_min) * (1 + math.cos(math.pi * done)) / 2 for peak in self.base_lrs]


def learning_rate_factor(step, num_steps, warmup=0):
    """float: What the learning rate of a short training alone is multiplied by at ``step``, from 0, of ``num_steps``.

    It rises over ``warmup`` steps and falls along a cosine that begins with them. Unlike that of
    :class:`WarmupCosineLR` it reaches zero after the last step, not in it: of a handful of steps none is wasted.
    """
    rise = min((step + 1) / (warmup + 1), 1)
    return rise * 0.5 * (1 + math.cos(math.pi * step / num_steps))


def ema_decay_at(decay, current_iter):
    """float: The decay of averaged weights, smaller in the beginning.

    The average then spans about the last tenth of the iterations so far, until that is as long as ``decay`` says: the
    initial weights leave it at once, and a short run is not dragged by them.
    """
    return min(decay, (1 + current_iter) / (10 + current_iter))
