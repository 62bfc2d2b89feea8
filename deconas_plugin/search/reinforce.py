"""REINFORCE: moves the controller towards genotypes that earn more than the baseline (Williams, 1992)."""
import math

import torch
from basicsr.utils import get_root_logger

from deconas_plugin.errors import OptionError
from deconas_plugin.search.strategy import STRATEGIES, SearchStrategy

BASELINES = ('moving_average', 'leave_one_out')
SQUARE_DECAY = 0.9  # of the running mean of squared advantages


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


@STRATEGIES.register_module(name='reinforce')
class Reinforce(SearchStrategy):
    """The search strategy of the paper: ask for genotypes, score them, tell their rewards.

    Args:
        controller (DeCoNASController): What is trained, by Adam.
        lr (float): Its learning rate. Default: 3e-4.
        baseline (str): 'moving_average' of the rewards, or 'leave_one_out': the mean reward of the other genotypes of
            the same step (needs at least two). Default: 'moving_average'.
        baseline_decay (float): Decay of the moving average. Default: 0.99.
        entropy_weight (float): Bonus per nat of entropy, in the unit of the advantage. Default: 1e-4.
        normalize (bool): Divide advantages by a moving root mean square of theirs. Learning then does not depend on
            how many dB lie between good and bad genotypes, and ``entropy_weight`` needs no tuning: 0.2 works from 18 to
            38 bits. Default: False, as in the paper.

    Raises:
        OptionError: There is no such baseline.
    """

    def __init__(self,
                 controller,
                 lr=3e-4,
                 baseline='moving_average',
                 baseline_decay=0.99,
                 entropy_weight=1e-4,
                 normalize=False):
        if baseline not in BASELINES:
            raise OptionError(f'search.strategy.baseline: expected one of {", ".join(BASELINES)}, got {baseline!r}')
        for name, value, holds, expected in (('lr', lr, lr > 0, 'more than 0'),
                                             ('baseline_decay', baseline_decay, 0 <= baseline_decay < 1,
                                              'at least 0 and less than 1'),
                                             ('entropy_weight', entropy_weight, entropy_weight >= 0, 'at least 0')):
            if not holds:
                raise OptionError(f'search.strategy.{name}: expected {expected}, got {value!r}')
        self.controller = controller
        self.optimizer = torch.optim.Adam(controller.parameters(), lr)
        self.baseline = baseline
        self.baseline_decay = baseline_decay
        self.entropy_weight = entropy_weight
        self.normalize = normalize
        self.mean_reward = None
        self.mean_square = 0.0
        self.square_weight = 0.0

    def ask(self, num_samples):
        return self._genotypes(self.controller.sample(num_samples))

    def best_guesses(self):
        """list[Genotype]: The greedy genotype."""
        return self._genotypes(self.controller.greedy())

    def tell(self, genotypes, rewards):
        """Update the controller with what the genotypes earned.

        Args:
            genotypes (list[Genotype]): As asked for.
            rewards (list[float]): Their rewards, in the same order.

        Returns:
            dict[str, float]: reward, baseline, advantage, log_prob and entropy, each the mean over the genotypes.
        """
        rewards = torch.tensor(rewards, dtype=torch.float64)
        baselines = self._baselines(rewards)
        advantages = (rewards - baselines).float()
        bits = torch.tensor([genotype.bits for genotype in genotypes])
        log_prob, entropy = self.controller.evaluate(bits)
        loss = -(log_prob * advantages / self._scale(advantages) + self.entropy_weight * entropy).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {
            'reward': rewards.mean().item(),
            'baseline': baselines.mean().item(),
            'advantage': advantages.mean().item(),
            'log_prob': log_prob.mean().item(),
            'entropy': entropy.mean().item(),
        }

    def _genotypes(self, bits):
        return [self.controller.space.genotype(row) for row in bits.tolist()]

    def _baselines(self, rewards):
        """Tensor: The baseline of every reward; the moving average moves on."""
        mean = rewards.mean().item()
        # The first reward is its own baseline: a start at zero would praise whatever was drawn first.
        previous = mean if self.mean_reward is None else self.mean_reward
        self.mean_reward = self.baseline_decay * previous + (1 - self.baseline_decay) * mean
        if self.baseline == 'leave_one_out':
            if len(rewards) < 2:
                raise OptionError('search.num_samples: expected at least 2 for the baseline leave_one_out, got 1')
            return (rewards.sum() - rewards) / (len(rewards) - 1)
        return torch.full_like(rewards, previous)

    def _scale(self, advantages):
        """float: Root mean square of the advantages so far, newer ones weighing more; 1 where nothing is scaled."""
        if not self.normalize:
            return 1.0
        self.mean_square = SQUARE_DECAY * self.mean_square + (1 - SQUARE_DECAY) * advantages.square().mean().item()
        self.square_weight = SQUARE_DECAY * self.square_weight + 1 - SQUARE_DECAY
        return math.sqrt(self.mean_square / self.square_weight) or 1.0

    def bit_probabilities(self):
        return self.controller.bit_probabilities().tolist()

    def state_dict(self):
        return {
            'mean_reward': self.mean_reward,
            'mean_square': self.mean_square,
            'square_weight': self.square_weight,
            'optimizer': self.optimizer.state_dict()
        }

    def load_state_dict(self, state):
        self.mean_reward = state['mean_reward']
        self.mean_square = state['mean_square']
        self.square_weight = state['square_weight']
        self.optimizer.load_state_dict(state['optimizer'])
