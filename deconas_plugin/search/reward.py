"""What a genotype earns: PSNR with shared weights on held-out patches, less what it costs."""
from dataclasses import dataclass, field

import torch
from basicsr.metrics.psnr_ssim import calculate_psnr_pt

from deconas_plugin.utils.precision import autocast


@dataclass(frozen=True)
class Score:
    """What a genotype earned.

    Attributes:
        genotype (Genotype): Which.
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
        precision (str): Of the forward pass, see :mod:`deconas_plugin.utils.precision`. Default: 'float32'.
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
            genotypes (list[Genotype]): Which.
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
