"""Looks after the search: rewards that are not finite or say nothing, and a controller that has stopped to explore."""
import math

from basicsr.utils import get_root_logger


class ControllerWatch:
    """Keeps broken rewards from the strategy and reports when it collapses.

    Args:
        min_entropy (float): Entropy of a whole genotype, in nats, under which the controller has collapsed: it then
            proposes hardly more than one genotype.
    """

    def __init__(self, min_entropy):
        self.min_entropy = min_entropy
        self.dropped = 0
        self.collapsed = False
        self.blind = False

    def usable(self, scores, current_iter):
        """Leave out what must not reach the strategy.

        Args:
            scores (list[Score]): Of one controller step.
            current_iter (int): Weight steps so far, for the log.

        Returns:
            list[Score]: Those with finite rewards; none where they are too few to compare with each other.
        """
        finite = [score for score in scores if math.isfinite(score.reward)]
        if len(finite) == len(scores):
            return scores
        self.dropped += len(scores) - len(finite)
        bad = next(score for score in scores if not math.isfinite(score.reward))
        get_root_logger().warning(f'Left out {len(scores) - len(finite)} of {len(scores)} rewards at iter '
                                  f'{current_iter} that are not finite, such as {bad.reward} of {bad.genotype}; '
                                  f'{self.dropped} so far.')
        return finite if len(finite) > 1 else []

    def round_ended(self, log, current_iter):
        """Report a collapse once, when it happens.

        Args:
            log (dict[str, float]): Means over the round; strategies without a controller have no ``entropy``.
            current_iter (int): Weight steps so far.
        """
        was_collapsed, self.collapsed = self.collapsed, log.get('entropy', math.inf) < self.min_entropy
        if self.collapsed and not was_collapsed:
            get_root_logger().warning(
                f'The controller has collapsed at iter {current_iter}: its entropy {log["entropy"]:.3f} nats is under '
                f'{self.min_entropy:.3f}, it proposes hardly more than one genotype. Raise '
                'search.strategy.entropy_weight or lower search.strategy.lr if that is too early.')

    def signal_measured(self, signal, current_iter):
        """Report that rewards are noise once, when they become it.

        Args:
            signal (RewardSignal | None): Of the round; None where nothing could be measured.
            current_iter (int): Weight steps so far.
        """
        was_blind, self.blind = self.blind, signal is not None and not signal.ranks
        if self.blind and not was_blind:
            get_root_logger().warning(f'{signal.warning} (iter {current_iter}).')

    def state_dict(self):
        """dict: For :meth:`load_state_dict`."""
        return {'dropped': self.dropped, 'collapsed': self.collapsed, 'blind': self.blind}

    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`."""
        self.dropped, self.collapsed = state['dropped'], state['collapsed']
        self.blind = state.get('blind', False)  # states of earlier versions lack it
