"""Validation split over processes: each runs its share of the images, all know the result."""
from basicsr.data import build_dataloader
from torch.utils.data import Subset

from deconas_plugin.training.loaders import leave_generators_alone
from deconas_plugin.training.processes import total


class ShardedValidationMixin:
    """For models that validate as SRModel does."""

    images_validated = 1

    def dist_validation(self, dataloader, current_iter, tb_logger, save_img):
        """Validate every ``world_size``-th image in this process; metrics are means over all images."""
        dataset, rank = dataloader.dataset, self.opt['rank']
        indices = range(rank, len(dataset), self.opt['world_size'])
        self.images_validated = len(indices)
        # BasicSR cannot validate no image: a process without a share runs one that does not count.
        shard = Subset(dataset, indices or [0])
        shard.opt = dataset.opt
        loader = leave_generators_alone(build_dataloader(shard, dataset.opt))
        self.nondist_validation(loader, current_iter, tb_logger, save_img)

    def mean_over_images(self, value):
        """float: The mean over all images of a mean over those of this process."""
        weighted, count = total([float(value) * self.images_validated, self.images_validated])
        return weighted / count

    def _update_best_metric_result(self, dataset_name, metric, val, current_iter):
        # BasicSR calls this for every metric before it logs: the place to make the mean that of all images. A plain
        # number besides, as a NumPy one could not be loaded from a training state.
        val = self.metric_results[metric] = self.mean_over_images(val)
        super()._update_best_metric_result(dataset_name, metric, val, current_iter)
