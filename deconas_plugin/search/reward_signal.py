"""Whether shared weights tell genotypes apart: how far their PSNR spreads, against what the choice of patches makes."""
import math
import random
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean

import numpy as np

from deconas_plugin.archs.deconas_util import blocks_off

NUM_GENOTYPES = 8
MAX_PATCHES = 256  # enough to know what one is worth
NUM_SWITCHED_OFF = 2


@dataclass(frozen=True)
class RewardSignal:
    """What the PSNRs of several genotypes on the same patches say.

    PSNR of genotype g on patch p is taken apart as mean + genotype + patch + rest (analysis of variance, two ways,
    one value per cell). How easy a patch is for all genotypes does not matter to their order; the rest does.

    Attributes:
        spread (float): Standard deviation over genotypes of their mean PSNR, in dB, after what the noise alone would
            make of it is taken out (in squares, not below zero).
        noise (float): Standard error of a genotype's mean PSNR in dB: of the rest over the patches that rank.
        block_gain (float | None): What the network loses, in dB, when each of its blocks returns its input.
    """
    spread: float
    noise: float
    block_gain: float = None

    @classmethod
    def of(cls, scores, num_patches=None):
        """Measure.

        Args:
            scores (list[Score]): On the same patches.
            num_patches (int | None): Of how many such patches the noise of the mean is asked for. Default: of those.

        Returns:
            RewardSignal | None: Of the finite ones; None where they are fewer than two, or patches are.
        """
        rows = [score.patch_psnrs for score in scores if score.patch_psnrs is not None]
        psnrs = np.array([row for row in rows if np.isfinite(row).all()], dtype=np.float64)
        if len(psnrs) < 2 or psnrs.shape[1] < 2:
            return None
        means = psnrs.mean(1, keepdims=True)
        rest = psnrs - means - psnrs.mean(0) + psnrs.mean()
        freedom = (psnrs.shape[0] - 1) * (psnrs.shape[1] - 1)
        square_rest = (rest**2).sum() / freedom
        spread = math.sqrt(max(means.var(ddof=1) - square_rest / psnrs.shape[1], 0))
        return cls(spread, math.sqrt(square_rest / (num_patches or psnrs.shape[1])))

    @property
    def ranks(self):
        """bool: Whether genotypes differ by no less than the noise."""
        return self.spread >= self.noise

    @property
    def warning(self):
        """str: That they do not, and what to do, in one line."""
        gain = '' if self.block_gain is None else f'; without its blocks a network loses {self.block_gain:.2f} dB'
        return (f'Shared weights do not rank: PSNR differs by {self.spread:.4f} dB between genotypes (standard '
                f'deviation), the noise of the patches is {self.noise:.4f} dB{gain}. Train the weights longer before '
                'the first controller round, or score on more patches')

    def figures(self):
        """dict[str, float]: What is known, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}


def block_gain(reward, scores, batches):
    """What networks lose when each of their blocks returns its input.

    Args:
        reward (Reward): Scored them.
        scores (list[Score]): Of some genotypes.
        batches (list): The patches that they were scored on.

    Returns:
        float: The mean over the genotypes, in dB.
    """
    with blocks_off():
        without = reward.score([score.genotype for score in scores], batches)
    return fmean(score.psnr for score in scores) - fmean(score.psnr for score in without)


class SignalProbe:
    """Measures the signal of a search after a round.

    The genotypes are drawn uniformly and are the same in every round, as are the patches, so that rounds can be
    compared, and a strategy that has settled does not look like one that is blind. The noise is that of the mean over
    the whole reward set, by which a derivation ranks; of a large set some patches tell it.

    Args:
        reward (Reward): Scores with the shared weights.
        reward_set (RewardSet): Patches.
        batch_size (int): Patches that are computed at once.
        seed (int): Of the genotypes.
    """

    def __init__(self, reward, reward_set, batch_size, seed):
        self.reward, self.reward_set, self.batch_size = reward, reward_set, batch_size
        rng, space = random.Random(seed), reward.supernet.space
        self.genotypes = list(dict.fromkeys(space.sample(rng) for _ in range(NUM_GENOTYPES)))

    def measure(self):
        """RewardSignal | None: Of the shared weights as they are now; no random number is drawn."""
        num_patches = len(self.reward_set)
        batches = list(islice(self.reward_set.batches(self.batch_size), -(-MAX_PATCHES // self.batch_size)))
        scores = self.reward.score(self.genotypes, batches)
        signal = RewardSignal.of(scores, num_patches)
        return signal and replace(signal, block_gain=block_gain(self.reward, scores[:NUM_SWITCHED_OFF], batches))
