"""BasicSR's sampler, with a seed and a start inside an epoch."""
import torch
from basicsr.data.data_sampler import EnlargedSampler

from deconas_plugin.data.patch_draw import PatchDraw

_SEED_STEP = 1_000_003  # PyTorch's CPU generator takes 32 bits of a seed: no room for seed and epoch side by side


class ResumableSampler(EnlargedSampler):
    """EnlargedSampler whose order depends on a seed and that can start in the middle of an epoch.

    Datasets with ``accepts_draws`` get a PatchDraw per sample, others the index. Seed 0 gives EnlargedSampler's order.

    Args:
        dataset (Dataset): Dataset to sample from.
        num_replicas (int): Number of processes.
        rank (int): Number of this process.
        ratio (int): How often an epoch runs through the dataset. Default: 1.
        seed (int): Seed of the order and of the draws, at least 0 and the same in all processes. Default: 0.
    """

    def __init__(self, dataset, num_replicas, rank, ratio=1, seed=0):
        super().__init__(dataset, num_replicas, rank, ratio)
        self.seed = seed
        self._start = (0, 0)  # epoch, samples of it that are done
        self._enlarged = (None, 0)  # GT size, and after how many samples of the epoch it holds

    def set_position(self, epoch, samples_done):
        """Start ``epoch`` after ``samples_done`` samples of this process: batches done times batch size.

        It holds for every pass through that epoch; :meth:`set_epoch` to another epoch starts at its beginning.
        """
        self._start = (epoch, samples_done)
        self.set_epoch(epoch)

    def enlarge_patches(self, gt_size, after):
        """Ask for patches of ``gt_size`` GT pixels, after so many samples of the epoch in this process."""
        self._enlarged = (gt_size, after)

    def __iter__(self):
        # EnlargedSampler's generator is seeded with the epoch alone; seeds lie further apart than epochs go.
        generator = torch.Generator().manual_seed(self.seed * _SEED_STEP + self.epoch)
        order = torch.randperm(self.total_size, generator=generator)
        start_epoch, done = self._start
        positions = range(self.rank, self.total_size, self.num_replicas)[done if self.epoch == start_epoch else 0:]
        indices = (order[positions.start::self.num_replicas] % len(self.dataset)).tolist()
        if not getattr(self.dataset, 'accepts_draws', False):
            return iter(indices)
        gt_size, after = self._enlarged
        numbers = range(len(self) - len(positions), len(self))
        return (PatchDraw(index, self.epoch, position, self.seed, gt_size if number >= after else None)
                for number, index, position in zip(numbers, indices, positions, strict=True))
