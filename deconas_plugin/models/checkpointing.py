"""Weights and training states: whole files, loaded without running code, with all that an exact resume needs."""
from collections import Counter

from basicsr.data import build_dataloader
from basicsr.utils import get_root_logger
from torch.utils.data import Subset

from deconas_plugin.archs.load import check_state
from deconas_plugin.errors import WeightsError
from deconas_plugin.files.atomic import save_tensors
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.states import load_state
from deconas_plugin.training.checkpoints import capture_random_state, restore_random_state
from deconas_plugin.training.loaders import leave_generators_alone
from deconas_plugin.training.processes import gathered, total

# What a scheduler counts; all else in its state are options, which may have been changed.
SCHEDULER_COUNTS = ('last_epoch', '_step_count', '_last_lr', 'base_lrs')


class CheckpointMixin:
    """Saving, loading and resuming, for models built on SRModel.

    Attributes:
        run_state (dict): What the training pipeline adds to a state: its options and its place in the data.
        current_iter (int): Weight steps so far.
    """

    run_state = {}
    current_iter = 0

    def save(self, epoch, current_iter):
        """Save the networks, then the training state: where the state is, the checkpoint is whole.

        Raises:
            StorageError: Something could not be written; earlier checkpoints are unharmed.
        """
        self.save_networks('latest' if current_iter == -1 else current_iter)
        if current_iter != -1:
            self.save_training_state(epoch, current_iter)

    def save_networks(self, name):
        """Save ``net_g_<name>.pth``, with the averaged weights where there are any."""
        if hasattr(self, 'net_g_ema'):
            self.save_network([self.net_g, self.net_g_ema], 'net_g', name, ['params', 'params_ema'])
        else:
            self.save_network(self.net_g, 'net_g', name)

    def save_network(self, net, net_label, current_iter, param_key='params'):
        """As BasicSR's, but whole or not at all."""
        if self.opt['rank'] != 0:
            return
        nets, keys = (value if isinstance(value, list) else [value] for value in (net, param_key))
        states = {key: {name: tensor.cpu() for name, tensor in self.get_bare_model(net).state_dict().items()}
                  for net, key in zip(nets, keys, strict=True)}
        # Of 'latest' and 'best' nothing else tells it; BasicSR reads past it.
        states['iter'] = self.current_iter
        save_tensors(states, ExperimentFolder.of(self.opt).weights(net_label, current_iter))

    def save_training_state(self, epoch, current_iter):
        """Save ``<current_iter>.state``. All processes have to call it."""
        state = self.training_state(epoch, current_iter)
        if self.opt['rank'] == 0:
            save_tensors(state, ExperimentFolder.of(self.opt).state(current_iter))

    def training_state(self, epoch, current_iter):
        """dict: BasicSR's keys and ours; plain values and tensors, which ``weights_only`` loads."""
        return {
            'epoch': epoch,
            'iter': current_iter,
            'optimizers': [optimizer.state_dict() for optimizer in self.optimizers],
            'schedulers': [_plain_counters(scheduler.state_dict()) for scheduler in self.schedulers],
            'scaler': self.scaler.state_dict(),
            'guard': self.guard.state_dict(),
            'best_metric_results': getattr(self, 'best_metric_results', {}),
            'random': gathered(capture_random_state()),
            **self.run_state,
        }

    def resume_training(self, resume_state):
        """Continue from :meth:`training_state`, or, not exactly, from a state that BasicSR wrote."""
        schedulers = [{**saved, **{key: value for key, value in scheduler.state_dict().items()
                                   if key not in SCHEDULER_COUNTS}}
                      for saved, scheduler in zip(resume_state['schedulers'], self.schedulers, strict=True)]
        super().resume_training({**resume_state, 'schedulers': schedulers})
        self.current_iter = resume_state['iter']
        if 'random' not in resume_state:
            return
        if self.scaler.is_enabled() and resume_state['scaler']:
            self.scaler.load_state_dict(resume_state['scaler'])
        self.guard.load_state_dict(resume_state['guard'])
        if resume_state['best_metric_results']:
            self.best_metric_results = resume_state['best_metric_results']
        states = resume_state['random']
        if len(states) == self.opt['world_size']:
            restore_random_state(states[self.opt['rank']])
        else:
            get_root_logger().warning(f'Resuming is not exact: this run began with {len(states)} processes, it '
                                      f'continues with {self.opt["world_size"]}.')

    def load_network(self, net, load_path, strict=True, param_key='params'):
        """As BasicSR's, for .pth and .safetensors, without running code that a file may hold.

        Raises:
            WeightsError: The file is unreadable or belongs to another network.
        """
        net = self.get_bare_model(net)
        state, found = load_state(load_path, (param_key, 'params'))
        get_root_logger().info(f'Loading {net.__class__.__name__} model from {load_path}, '
                               f'with param key: [{found["key"]}].')
        if strict:
            check_state(net, state, load_path)
        else:
            self._print_different_keys_loading(net, state, strict)
        try:
            net.load_state_dict(state, strict=strict)
        except RuntimeError as error:
            raise WeightsError(f'{load_path}: {" ".join(str(error).split())}') from error


def _plain_counters(state):
    return {key: dict(value) if isinstance(value, Counter) else value for key, value in state.items()}


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
