"""The search: weight steps of the supernet, and rounds of the controller between them."""
import random
import time

import torch
from basicsr.utils import get_root_logger
from basicsr.utils.registry import MODEL_REGISTRY

from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import save_options
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.history import SearchHistory
from deconas_plugin.search.reinforce import ControllerWatch
from deconas_plugin.search.reward import SignalProbe
from deconas_plugin.search.sampling import GenotypeSampler
from deconas_plugin.training.processes import from_first, gathered, share_module
from deconas_plugin.training.setup import PartTimes
from deconas_plugin.visual.samples import add_bit_probabilities


@MODEL_REGISTRY.register()
class DeCoNASSearchModel(DeCoNASModel):
    """Trains a supernet (network_g) and a controller (network_c) in turns.

    Every iteration is a weight step with ``search.genotypes_per_step`` genotypes, drawn as ``search.weight_sampling``
    says. After ``search.warmup_iter`` iterations, every ``search.controller_freq`` iterations a controller round
    follows: ``search.controller_steps`` times genotypes are sampled, scored on held-out patches with the shared
    weights, and the strategy is told their rewards.

    Besides BasicSR's files it writes ``search_history.jsonl`` (every scored genotype), ``bit_probabilities.jsonl``,
    ``signal.jsonl`` (whether the rewards of a round rank anything) and ``options.yml`` into the experiment folder, and
    ``net_c_*.pth`` beside ``net_g_*.pth``.

    Args:
        opt (dict): BasicSR's options with a ``search`` section; see options/README.md.
    """

    def init_training_settings(self):
        super().init_training_settings()
        search_opt = self.opt['search']
        self.search_opt = search_opt
        parts = SearchParts(self.opt, self.supernet, self.device)
        self.net_c = parts.controller
        self.load_controller()
        share_module(self.net_c)
        self.counter, self.strategy = parts.counter, parts.strategy
        self.reward, self.reward_set = parts.reward, parts.reward_set
        self.probe = SignalProbe(self.reward, self.reward_set, search_opt['reward']['batch_size'],
                                 self.opt['manual_seed'])
        self.rng = random.Random(self.opt['manual_seed'])
        self.genotype_sampler = GenotypeSampler(self.strategy, self.supernet.space, self.rng,
                                            search_opt['weight_sampling'], search_opt['warmup_iter'])
        # All processes draw the same genotypes without a word, as they start from one state and stay in step.
        torch.set_rng_state(from_first(torch.get_rng_state()))
        first = self.opt['rank'] == 0
        self.history = SearchHistory(self.opt['path']['experiments_root'], self.counter, writes=first)
        if first:
            save_options(self.opt, ExperimentFolder.of(self.opt).options)
        self.watch = ControllerWatch(search_opt['min_entropy'] * self.supernet.space.num_bits)
        self.round_log = {}
        # Those of the training pipeline, which replaces them; BasicSR's own has none.
        self.times = PartTimes(self.opt['path']['experiments_root'])
        self.tb_logger = None

    @property
    def supernet(self):
        """DeCoNASSuperNet: network_g without wrappers."""
        return self.get_bare_model(self.net_g)

    def load_controller(self):
        """Load ``path.pretrain_network_c`` where it is given."""
        path = self.opt['path'].get('pretrain_network_c')
        if path is not None:
            self.load_network(self.net_c, path, True, 'params')

    def train_forward(self):
        # Joined along the batch.
        return torch.cat([self.net_g(self.lq, genotype) for genotype in self.weight_step_genotypes()])

    def losses(self, output, current_iter):
        gt, self.gt = self.gt, self.gt.repeat(len(output) // len(self.gt), 1, 1, 1)
        losses = super().losses(output, current_iter)
        self.gt = gt
        return losses

    def weight_step_genotypes(self):
        """list[Genotype]: What this process trains in this iteration."""
        processes = 1 if self.search_opt['shared_genotype'] else self.opt['world_size']
        count = self.search_opt['genotypes_per_step']
        drawn = [self.genotype_sampler.draw(self.current_iter) for _ in range(count * processes)]
        return drawn[self.opt['rank'] % processes::processes]

    def val_forward(self, net):
        """Validation shows the network that the strategy holds for best, or the largest where it has none yet. Nothing
        is drawn: how many images are validated, and by which process, must not change what the search does next."""
        return net(self.lq, (self.strategy.best_guesses() or [self.counter.everything])[0])

    def optimize_parameters(self, current_iter):
        super().optimize_parameters(current_iter)
        self.log_dict.update(self.round_log)
        if current_iter > self.search_opt['warmup_iter'] and current_iter % self.search_opt['controller_freq'] == 0:
            with self.times.measure('controller'):
                self.controller_round(current_iter)

    def controller_round(self, current_iter):
        """Train the controller for ``search.controller_steps`` steps; the weights rest."""
        started, steps = time.time(), self.search_opt['controller_steps']
        logs = []
        batches = self.reward_set.draws(self.search_opt['reward']['batch_size'], steps, self.rng,
                                        self.strategy.same_patches)
        for step, batch in enumerate(batches):
            scores = self.score(self.strategy.ask(self.search_opt['num_samples']), batch)
            usable = self.watch.usable(scores, current_iter)
            if usable:
                log = self.strategy.tell([score.genotype for score in usable], [score.reward for score in usable])
                self.history.add_scores(current_iter, step, usable, log, 0 if self.strategy.same_patches else step)
                logs.append({**_means(usable), **log})
        if not logs:
            return
        self.history.add_probabilities(current_iter, self.strategy.bit_probabilities())
        if self.tb_logger:
            add_bit_probabilities(self.tb_logger, self.history.probabilities, current_iter)
        mean = {name: sum(log[name] for log in logs) / len(logs) for name in logs[0]}
        self.watch.round_ended(mean, current_iter)
        mean.update(self.measure_signal(current_iter))
        self.round_log = {f'search/{name}': value for name, value in mean.items()}
        values = ', '.join(f'{name} {value:.4f}' for name, value in mean.items())
        get_root_logger().info(f'Controller round at iter {current_iter}, {steps} steps in '
                               f'{time.time() - started:.1f} s: {values}. Best: {self.best}')

    def measure_signal(self, current_iter):
        """dict[str, float]: The figures of the RewardSignal after a round, for the log; the history gets them too."""
        # Every process measures the same: it takes a few percent of the round, and nothing need be sent.
        signal = self.probe.measure()
        self.watch.signal_measured(signal, current_iter)
        if signal is None:
            return {}
        self.history.add_signal(current_iter, signal)
        return signal.figures()

    @property
    def best(self):
        """str: The best genotype of the last round; where rewards are noise there is none."""
        return 'none, as the rewards are noise' if self.watch.blind else self.history.best

    def score(self, genotypes, batch):
        """list[Score]: What genotypes earn on a batch; each process scores its share, all get the result."""
        own = self.reward.score(genotypes[self.opt['rank']::self.opt['world_size']], [batch])
        shares = [iter(share) for share in gathered(own)]
        return [next(shares[index % len(shares)]) for index in range(len(genotypes))]

    def progress_values(self):
        """dict: What a display shows besides the loss: of the last controller round, and its best genotype."""
        shown = ('psnr', 'reward', 'baseline', 'entropy')
        values = {name: self.round_log[f'search/{name}'] for name in shown if f'search/{name}' in self.round_log}
        return {**values, 'best': self.best} if values else {}

    def save_networks(self, name):
        super().save_networks(name)
        self.save_network(self.net_c, 'net_c', name)

    def training_state(self, epoch, current_iter):
        state = super().training_state(epoch, current_iter)
        state['search'] = {
            'strategy': self.strategy.state_dict(),
            'weight_sampler': self.genotype_sampler.state_dict(),
            'rng': self.rng.getstate(),
            'history': self.history.state_dict(),
            'watch': self.watch.state_dict(),
            'round_log': self.round_log,
        }
        return state

    def resume_training(self, resume_state):
        super().resume_training(resume_state)
        state = resume_state['search']
        self.strategy.load_state_dict(state['strategy'])
        self.genotype_sampler.load_state_dict(state['weight_sampler'])
        self.rng.setstate(state['rng'])
        self.history.load_state_dict(state['history'])
        self.watch.load_state_dict(state['watch'])
        self.round_log = state['round_log']


def _means(scores):
    """dict[str, float]: Mean PSNR and mean of each part of the penalty, in dB."""
    parts = {f'penalty_{name}': [score.penalties[name] for score in scores] for name in scores[0].penalties}
    parts = {'psnr': [score.psnr for score in scores], **parts}
    return {name: sum(values) / len(values) for name, values in parts.items()}
