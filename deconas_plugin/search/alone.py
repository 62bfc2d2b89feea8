"""Short trainings of derived networks, alone but under the same circumstances, so that networks can be compared."""
import copy
import hashlib
import math
import random
import time

import torch
from basicsr.data import build_dataset
from basicsr.losses import build_loss
from basicsr.utils.registry import DATASET_REGISTRY

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.archs.initial_weights import initialise
from deconas_plugin.archs.operation_weights import JoinedWeights
from deconas_plugin.data.patch_draw import PatchDraw
from deconas_plugin.errors import OptionError
from deconas_plugin.machine.device import autocast, resolve_precision
from deconas_plugin.search.reward import patch_psnrs
from deconas_plugin.training.schedules import ema_decay_at, learning_rate_factor

# What of the section train the networks depend on.
TRAIN_KEYS = ('optim_g', 'pixel_opt', 'precision', 'warmup_iter', 'grad_clip')
TIMED_STEPS = 3
WARMUP_SHARE = 10  # at most one step in so many
EMA_DECAY = 0.99


def check_trains_alone(opt):
    """Check that networks can be trained alone with the options of a search.

    Raises:
        OptionError: The dataset or the loss is of no use.
    """
    dataset = opt['datasets']['train']['type']
    if not hasattr(DATASET_REGISTRY.get(dataset), 'accepts_draws'):
        raise OptionError('datasets.train.type: expected DeCoNASPatchDataset, which can give every network the same '
                          f'patches, got {dataset}; search with it to rank networks')
    if not opt['train'].get('pixel_opt'):
        raise OptionError('train.pixel_opt: missing; networks are trained alone with the pixel loss, search with one '
                          'to rank networks')


def trains_with(opt):
    """dict: What of the options of a search networks that train alone, and their scores, depend on."""
    return {
        'scale': opt['scale'],
        'manual_seed': opt['manual_seed'],
        'network_g': opt['network_g'],
        'datasets': {'train': opt['datasets']['train']},
        'train': {key: opt['train'].get(key) for key in TRAIN_KEYS},
        'search': {'reward': opt['search']['reward']},
    }


class AloneTraining:
    """Trains networks of a search alone, with common random numbers: all see the same patches in the same order, and
    what two of them have in common starts from the same weights.

    Args:
        experiment (SearchExperiment): Its training data, optimizer, loss, precision and reward set are used.
        seed (int): Of patches and initial weights.
    """

    def __init__(self, experiment, seed=0):
        self.experiment = experiment
        self.seed = seed
        opt = experiment.opt
        self.train_opt = opt['train']
        self.precision = resolve_precision(self.train_opt.get('precision'), experiment.device,
                                           experiment.counter.widths)
        self.loss = build_loss(self.train_opt['pixel_opt']).to(experiment.device)
        self.batch_size = opt['datasets']['train']['batch_size_per_gpu']
        self._dataset = None

    @property
    def dataset(self):
        """Dataset: The training images of the search."""
        if self._dataset is None:
            opt = {**self.experiment.opt['datasets']['train'], 'phase': 'train', 'scale': self.experiment.opt['scale']}
            if opt.get('cache') == 'cuda':
                opt['cache'] = 'disk'  # the other is for the loader of a whole training
            self._dataset = build_dataset(opt)
        return self._dataset

    def fresh(self, genotype):
        """DeCoNASNet: Of a genotype, with initial weights."""
        torch.manual_seed(self.seed)
        net = DeCoNASNet(**self.experiment.supernet.derived_options(genotype))
        reset_in_common(net, self.seed)
        return net.to(self.experiment.device, memory_format=torch.channels_last)

    def inherited(self, genotype):
        """DeCoNASNet: Of a genotype, with its share of the supernet's weights."""
        return self.experiment.supernet.derive(genotype).to(memory_format=torch.channels_last)

    def train(self, net, num_steps):
        """Train a network in place: the learning rate of the options, risen over ``train.warmup_iter`` of the search,
        but no more than a tenth of the steps, falls to zero over them (cosine).

        Args:
            net (DeCoNASNet): On the device.
            num_steps (int): Weight steps.
        """
        warmup = min(max(self.train_opt['warmup_iter'], 0), num_steps // WARMUP_SHARE)
        for _ in self._steps(net, self._optimizer(net), 0, num_steps,
                             lambda step: learning_rate_factor(step, num_steps, warmup)):
            pass

    def train_on(self, net, num_steps, first_step=0, state=None):
        """Train a network in place for a part of a training whose length nobody knows yet.

        The learning rate, once risen over ``train.warmup_iter`` steps, stays, and averaged weights take the place of
        its fall: so a training can be scored at any step and go on as though it had not been. In short ones that beats
        a cosine (docs/recipe.md).

        Args:
            net (DeCoNASNet): On the device, with the weights that were trained last, not their average.
            num_steps (int): Weight steps of this part.
            first_step (int): How many there were before; they tell which patches come first.
            state (dict | None): What the part before returned. Default: there was none.

        Returns:
            dict: ``optimizer``, its state, and ``average``, a state dict of averaged weights, for :meth:`averaged`.
        """
        optimizer, warmup = self._optimizer(net), max(self.train_opt['warmup_iter'], 0)
        average = {name: weight.detach().clone() for name, weight in net.named_parameters()}
        if state is not None:
            optimizer.load_state_dict(state['optimizer'])
            average.update({name: state['average'][name].to(weight.device) for name, weight in average.items()})
        weights = [weight.detach() for _, weight in net.named_parameters()]
        for step in self._steps(net, optimizer, first_step, num_steps,
                                lambda step: min((first_step + step + 1) / (warmup + 1), 1)):
            decay = ema_decay_at(EMA_DECAY, first_step + step + 1)
            torch._foreach_lerp_([*average.values()], weights, 1 - decay)
        return {'optimizer': optimizer.state_dict(), 'average': {**net.state_dict(), **average}}

    @staticmethod
    def averaged(net, state):
        """DeCoNASNet: A copy of a network with the averaged weights of :meth:`train_on`."""
        net = copy.deepcopy(net)
        net.load_state_dict(state['average'])
        return net

    def _optimizer(self, net):
        options = dict(self.train_opt['optim_g'])
        return getattr(torch.optim, options.pop('type'))(net.parameters(), **options)

    def _steps(self, net, optimizer, first_step, num_steps, factor):
        """Iterator over the number of every weight step that is done, from 0; ``factor`` gives what the learning rate
        is multiplied by in it."""
        device, rate = self.experiment.device, self.train_opt['optim_g']['lr']
        net.train()
        for step, images in enumerate(self._batches(first_step, num_steps)):
            for group in optimizer.param_groups:
                group['lr'] = rate * factor(step)
            lq, gt = (image.to(device, memory_format=torch.channels_last) for image in images)
            optimizer.zero_grad(set_to_none=True)
            with autocast(self.precision, device):
                output = net(lq)
            self.loss(output.float(), gt).backward()
            if self.train_opt.get('grad_clip'):
                torch.nn.utils.clip_grad_norm_(net.parameters(), self.train_opt['grad_clip'])
            optimizer.step()
            yield step

    @torch.no_grad()
    def score(self, net):
        """float: PSNR of a network on the whole reward set, in dB."""
        experiment = self.experiment
        batches = experiment.reward_set.batches(experiment.opt['search']['reward']['batch_size'])
        return float(patch_psnrs(net.eval(), batches, experiment.reward).mean())

    def seconds_per_step(self, genotype):
        """float: What a weight step of a network takes, of a few that are thrown away."""
        net = self.fresh(genotype)
        self.train(net, 1)
        started = time.perf_counter()
        self.train(net, TIMED_STEPS)
        if self.experiment.device.type == 'cuda':
            torch.cuda.synchronize()
        return (time.perf_counter() - started) / TIMED_STEPS

    def _batches(self, first_step, num_steps):
        rng, dataset, size = random.Random(self.seed), self.dataset, self.batch_size
        for _ in range(first_step * size):
            rng.randrange(len(dataset))
        for step in range(first_step, first_step + num_steps):
            draws = [PatchDraw(rng.randrange(len(dataset)), 0, step * size + i, self.seed) for i in range(size)]
            samples = [dataset[draw] for draw in draws]
            yield tuple(torch.stack([sample[key] for sample in samples]) for key in ('lq', 'gt'))


@torch.no_grad()
def reset_in_common(net, seed):
    """Draw the weights of a network anew, in the distribution that they have, so that they depend on nothing but the
    seed, their place and, of an operation, the feature that they read: networks then agree where they are alike.

    What a network begins with zeros stays so.

    Args:
        net (DeCoNASNet): Is changed.
        seed (int): Of the weights.
    """
    for name, module in net.named_modules():
        if isinstance(module, JoinedWeights):
            _reset_operation(module, f'{seed} {name}')
        elif hasattr(module, 'reset_parameters') and any(parameter.any() for parameter in module.parameters(False)):
            torch.manual_seed(_number(f'{seed} {name}'))
            module.reset_parameters()
    initialise(net, net.init)


def _reset_operation(module, place):
    bounds = {name: 1 / math.sqrt(math.prod(getattr(module, name).shape[1:]))
              for name in (*module.operation.joined, *module.common)}
    parts = [(f'{feature} {name}', name, part) for feature, parts in module.slices().items()
             for name, part in parts.items()]
    parts += [(name, name, part) for name, part in module.common.items()]
    # The bias belongs to the weight that is named last; without weights it is what it was.
    parts += [('bias', [*bounds][-1], module.bias)] if bounds else []
    for label, name, part in parts:
        torch.manual_seed(_number(f'{place} {label}'))
        part.uniform_(-bounds[name], bounds[name])


def _number(text):
    """int: A seed that belongs to a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], 'big')
