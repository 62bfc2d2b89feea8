"""What a genotype earns: its PSNR on held-out patches, what of that is signal, and what is left after the penalties."""
import math
import random
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import fmean

import numpy as np
import torch
from basicsr.data import build_dataset
from basicsr.metrics.psnr_ssim import calculate_psnr_pt

from deconas_plugin.archs.forward import blocks_off
from deconas_plugin.data.patch_draw import PatchDraw
from deconas_plugin.machine.device import autocast

# Of the signal: genotypes that are compared, the patches that tell it, and genotypes that lose their blocks.
NUM_GENOTYPES = 8
MAX_PATCHES = 256  # enough to know what one is worth
NUM_SWITCHED_OFF = 2


@dataclass(frozen=True)
class Score:
    """What a genotype earned.

    Attributes:
        genotype (Genotype): Whose network is scored.
        psnr (float): Mean PSNR over the patches, in dB.
        penalties (dict[str, float]): Parts of the penalty by measure, weighted, in dB.
        patch_psnrs (list[float] | None): PSNR of every patch, in dB, where it was measured.
    """
    genotype: object
    psnr: float
    penalties: dict
    patch_psnrs: list = field(default=None, compare=False, repr=False)

    @property
    def reward(self):
        """float: PSNR less all penalties, in dB."""
        return self.psnr - sum(self.penalties.values())


class Reward:
    """Scores genotypes.

    Args:
        supernet (DeCoNASSuperNet): Shared weights.
        penalty (Penalty): What complexity costs.
        crop_border (int): Pixels left out at every edge of an HR patch.
        test_y_channel (bool): PSNR on luma rather than RGB.
        precision (str): Of the forward pass, see :mod:`deconas_plugin.machine.device`. Default: 'float32'.
    """

    def __init__(self, supernet, penalty, crop_border, test_y_channel=False, precision='float32'):
        self.supernet = supernet
        self.penalty = penalty
        self.crop_border = crop_border
        self.test_y_channel = test_y_channel
        self.precision = precision

    @torch.no_grad()
    def score(self, genotypes, batches):
        """Score genotypes on the same patches.

        Args:
            genotypes (list[Genotype]): Whose networks are scored.
            batches (list[tuple[Tensor, Tensor]]): LR (N, C, h, w) and HR (N, C, s*h, s*w) patches in [0, 1].

        Returns:
            list[Score]: One per genotype, in order.
        """
        training = self.supernet.training
        self.supernet.eval()
        # One transfer for all: a GPU goes on while the next genotype's operations are being launched.
        psnrs = torch.stack([self._psnrs(genotype, batches) for genotype in genotypes])
        means = (psnrs.sum(1) / psnrs.shape[1]).tolist()
        self.supernet.train(training)
        return [Score(genotype, mean, self.penalty(genotype), row)
                for genotype, mean, row in zip(genotypes, means, psnrs.tolist(), strict=True)]

    def _psnrs(self, genotype, batches):
        return patch_psnrs(lambda lq: self.supernet(lq, genotype), batches, self)


def patch_psnrs(net, batches, reward):
    """Tensor: PSNR in dB of a network (a function of LR images) on every patch, (P,), measured as a Reward does; still
    on the device."""
    psnrs = []
    for lq, gt in batches:
        with autocast(reward.precision, lq.device):
            output = net(lq)
        output = output.float().clamp(0, 1)
        psnrs.append(calculate_psnr_pt(output, gt, reward.crop_border, test_y_channel=reward.test_y_channel))
    return torch.cat(psnrs)


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


class RewardSet:
    """A fixed set of held-out patch pairs.

    Args:
        dataset_opt (dict): Options of a DeCoNASPatchDataset in phase train; ``gt_size`` is the size of a patch.
        num_patches (int): How many, spread evenly over the images.
        device (torch.device): Where batches are wanted.
        seed (int): Decides where patches are cut.
    """

    def __init__(self, dataset_opt, num_patches, device, seed=0):
        dataset = build_dataset(dataset_opt)
        order = random.Random(seed).sample(range(len(dataset)), len(dataset))
        draws = [PatchDraw(order[i % len(order)], 0, i, seed) for i in range(num_patches)]
        self.lq, self.gt = self._cut(dataset, draws)
        self.device = device
        self.seed = seed

    def __len__(self):
        return len(self.lq)

    def draws(self, batch_size, count, rng, same=False):
        """Random batches that use all patches equally often: patches differ far more in PSNR than genotypes do.

        Args:
            batch_size (int): Patches of a batch, at most all.
            count (int): Batches.
            rng (random.Random): Source of randomness.
            same (bool): Whether all are one batch, the same in every call, so that steps can be compared.

        Yields:
            tuple[Tensor, Tensor]: LR (N, C, h, w) and HR (N, C, s*h, s*w) patches, float32 in [0, 1], on the device.
        """
        batch_size, waiting = min(batch_size, len(self)), []
        if same:
            batch = self._batch(random.Random(self.seed).sample(range(len(self)), batch_size))
            yield from [batch] * count
            return
        for _ in range(count):
            if len(waiting) < batch_size:
                # Another pass over all; what still waits comes last in it, so that no batch holds a patch twice.
                another = rng.sample(range(len(self)), len(self))
                waiting += sorted(another, key=lambda index: index in waiting)
            yield self._batch(waiting[:batch_size])
            waiting = waiting[batch_size:]

    def batches(self, batch_size):
        """Iterator over the whole set, each item as :meth:`draws` gives it."""
        for start in range(0, len(self), batch_size):
            yield self._batch(list(range(start, min(start + batch_size, len(self)))))

    def _batch(self, indices):
        return tuple(patches[indices].to(self.device).float() / 255 for patches in (self.lq, self.gt))

    @staticmethod
    def _cut(dataset, draws, chunk=64):
        lq, gt = [], []
        for start in range(0, len(draws), chunk):
            for sample in dataset.__getitems__(draws[start:start + chunk]):
                lq.append((sample['lq'] * 255).round().byte())
                gt.append((sample['gt'] * 255).round().byte())
        return torch.stack(lq), torch.stack(gt)
