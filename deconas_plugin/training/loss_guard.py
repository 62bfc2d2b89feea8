"""Keeps weight steps away from the weights when the loss or its gradient has gone astray."""
import math

from basicsr.utils import get_root_logger

from deconas_plugin.errors import DivergenceError

MEAN_DECAY = 0.99


class LossGuard:
    """Decides which weight steps are taken.

    Args:
        skip_loss_over (float | None): Skip a step whose loss exceeds this many times the running mean of the losses;
            None: only steps whose loss or gradient is not finite.
        max_skips (int): Stop when so many steps in a row are skipped.

    Attributes:
        skipped (int): Steps skipped so far.
    """

    def __init__(self, skip_loss_over, max_skips):
        self.skip_loss_over = skip_loss_over
        self.max_skips = max_skips
        self.mean = None
        self.skipped = self.in_a_row = 0

    def allows(self, current_iter, loss, gradient_norm=0.0):
        """Whether to take a step.

        Args:
            current_iter (int): Which, for the log.
            loss (float): Of this step, over all processes.
            gradient_norm (float): Of this step, over all processes.

        Returns:
            bool: False to skip it.

        Raises:
            DivergenceError: Too many steps in a row had to be skipped.
        """
        limit = math.inf if None in (self.skip_loss_over, self.mean) else self.skip_loss_over * self.mean
        if math.isfinite(loss) and math.isfinite(gradient_norm) and loss <= limit:
            self.mean = loss if self.mean is None else MEAN_DECAY * self.mean + (1 - MEAN_DECAY) * loss
            self.in_a_row = 0
            return True
        self.skipped += 1
        self.in_a_row += 1
        found = f'loss {loss:.4g}, gradient norm {gradient_norm:.4g}, running mean of the loss ' \
                f'{math.nan if self.mean is None else self.mean:.4g}'
        get_root_logger().warning(f'Skipped the step of iter {current_iter}: {found}; {self.skipped} skipped so far.')
        if self.in_a_row >= self.max_skips:
            raise DivergenceError(f'train.max_skips: {self.in_a_row} steps in a row were skipped up to iter '
                                  f'{current_iter} ({found}); lower train.optim_g.lr or set train.grad_clip')
        return False

    def state_dict(self):
        """dict: For :meth:`load_state_dict`."""
        return {'mean': self.mean, 'skipped': self.skipped, 'in_a_row': self.in_a_row}

    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`."""
        self.mean, self.skipped, self.in_a_row = state['mean'], state['skipped'], state['in_a_row']
