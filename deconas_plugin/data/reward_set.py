"""Held-out patches that rewards are measured on: cut once, kept as bytes in memory."""
import random

import torch
from basicsr.data import build_dataset

from deconas_plugin.data.patch_draw import PatchDraw


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
