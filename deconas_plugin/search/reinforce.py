"""REINFORCE: moves the controller towards genotypes that earn more than the baseline (Williams, 1992)."""
import torch

from deconas_plugin.errors import OptionError
from deconas_plugin.search.genotype import Genotype
from deconas_plugin.search.strategy import STRATEGIES

BASELINES = ('moving_average', 'leave_one_out')


@STRATEGIES.register_module(name='reinforce')
class Reinforce:
    """The search strategy of the paper: ask for genotypes, score them, tell their rewards.

    Args:
        controller (DeCoNASController): What is trained, by Adam.
        lr (float): Its learning rate. Default: 3e-4.
        baseline (str): 'moving_average' of the rewards, or 'leave_one_out': the mean reward of the other genotypes of
            the same step (needs at least two). Default: 'moving_average'.
        baseline_decay (float): Decay of the moving average. Default: 0.99.
        entropy_weight (float): Bonus per nat of entropy. Default: 1e-4.

    Raises:
        OptionError: There is no such baseline.
    """

    def __init__(self, controller, lr=3e-4, baseline='moving_average', baseline_decay=0.99, entropy_weight=1e-4):
        if baseline not in BASELINES:
            raise OptionError(f'search.strategy.baseline: expected one of {", ".join(BASELINES)}, got {baseline!r}')
        self.controller = controller
        self.optimizer = torch.optim.Adam(controller.parameters(), lr)
        self.baseline = baseline
        self.baseline_decay = baseline_decay
        self.entropy_weight = entropy_weight
        self.mean_reward = None

    def ask(self, num_samples):
        """Sample genotypes to be scored.

        Args:
            num_samples (int): How many.

        Returns:
            list[Genotype]: Drawn from the controller.
        """
        return self._genotypes(self.controller.sample(num_samples))

    def candidates(self, num_samples):
        """list[Genotype]: What the derivation shall choose from: the greedy genotype, then samples."""
        return self._genotypes(self.controller.greedy()) + self.ask(num_samples)

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
        loss = -(log_prob * advantages + self.entropy_weight * entropy).mean()
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
        return [Genotype(self.controller.space, tuple(row)) for row in bits.tolist()]

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

    def state_dict(self):
        """dict: All that a later :meth:`load_state_dict` needs, but the controller's own weights."""
        return {'mean_reward': self.mean_reward, 'optimizer': self.optimizer.state_dict()}

    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`."""
        self.mean_reward = state['mean_reward']
        self.optimizer.load_state_dict(state['optimizer'])
