"""From a trained search to a network: candidates drawn and scored, the best written with its option files."""
import copy
import inspect
import json
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from basicsr.utils import set_random_seed
from basicsr.utils.misc import get_time_str, mkdir_and_rename

from deconas_plugin.archs.deconas_arch import DeCoNASNet
from deconas_plugin.errors import DeCoNASError, OptionError
from deconas_plugin.files.atomic import save_tensors, save_text
from deconas_plugin.files.experiment_folder import DerivedFolder, ExperimentFolder
from deconas_plugin.files.option_files import save_options
from deconas_plugin.files.paths import shown
from deconas_plugin.training.checkpoints import capture_random_state, restore_random_state

MAX_DRAWS = 100
FULL = 0.8  # of a budget
MAX_DENSITY = 0.5


@dataclass(frozen=True)
class Budget:
    """Hard limits of a derived network; None is no limit.

    Attributes:
        max_params (float | None): Parameters.
        max_mult_adds (float | None): Mult-Adds @720p.
        max_latency (float | None): Milliseconds, for which the counter needs a latency table.

    Raises:
        OptionError: A limit is 0 or less.
    """
    max_params: float = None
    max_mult_adds: float = None
    max_latency: float = None

    def __post_init__(self):
        for name, limit in vars(self).items():
            if limit is not None and not limit > 0:
                raise OptionError(f'{name}: expected a number above 0, got {limit}')

    def __str__(self):
        limits = ((self.max_params, 1, '{:,.0f} params'), (self.max_mult_adds, 1e9, '{:.1f} G Mult-Adds @720p'),
                  (self.max_latency, 1, '{:g} ms'))
        texts = [text.format(limit / unit) for limit, unit, text in limits if limit is not None]
        return f'at most {" and ".join(texts)}' if texts else 'any cost'

    def check(self, counter):
        """Refuse a limit that nothing tells.

        Args:
            counter (ComplexityCounter): Counts what is compared with the limits.

        Raises:
            DeCoNASError: The limit of latency, without a latency table.
        """
        if self.max_latency is not None and counter.latency_table is None:
            raise DeCoNASError('derive.max_latency: expected a search with search.latency_table, or --latency-table')

    def allows(self, cost):
        """bool: Whether a Cost keeps within the budget."""
        return self.share(cost) <= 1

    def share(self, cost):
        """float: Of the limits the one that a Cost uses most of; 0 without any."""
        figures = cost.figures()
        limits = {'params': self.max_params, 'mult_adds': self.max_mult_adds, 'latency': self.max_latency}
        return max((figures[name] / limit for name, limit in limits.items() if limit is not None), default=0)

    def is_used_by(self, cost):
        """bool: Whether a Cost takes at least :data:`FULL` of the tightest limit, and no more than it; without limits
        any does."""
        share = self.share(cost)
        return FULL <= share <= 1 or not share


def derive(strategy, reward, reward_set, counter, num_samples, budget, batch_size, seed=0):
    """Score candidates on the whole reward set with shared weights.

    Args:
        strategy: The search strategy; proposes what it holds for best, then samples.
        reward (Reward): Scores.
        reward_set (RewardSet): All of its patches are used.
        counter (ComplexityCounter): Counts cost.
        num_samples (int): Genotypes within the budget, besides the best guess.
        budget (Budget): Hard limits.
        batch_size (int): Patches per forward pass.
        seed (int): Of what the strategy draws: the same candidates every time, wherever it runs.

    Returns:
        list[Score]: Of different genotypes within the budget, best reward first.

    Raises:
        DeCoNASError: No candidate keeps within the budget, or it cannot be told.
    """
    budget.check(counter)
    with seeded_draws(seed):
        candidates = _candidates(strategy, counter, num_samples, budget)
    batches = list(reward_set.batches(batch_size))
    return sorted(_scores(reward, candidates, batches), key=lambda score: score.reward, reverse=True)


def _scores(reward, candidates, batches):
    """list[Score]: On a CPU candidates share the threads, one each: what one earns then does not depend on how many
    threads there are, as it would where several add up the sums of one convolution. Each has a supernet of its own,
    as one that searches the width is another module while it computes."""
    if any(lq.device.type != 'cpu' for lq, _ in batches):
        return reward.score(candidates, batches)
    own = threading.local()

    def begin():
        torch.set_num_threads(1)
        own.reward = copy.deepcopy(reward)

    with ThreadPoolExecutor(torch.get_num_threads(), initializer=begin) as pool:
        return list(pool.map(lambda genotype: own.reward.score([genotype], batches)[0], candidates))


@contextmanager
def seeded_draws(seed):
    """Context in which draws depend on nothing but a seed: generators begin anew, and one thread computes, so that
    sums are added in one order. Afterwards all is as it was before."""
    before, threads = capture_random_state(), torch.get_num_threads()
    set_random_seed(seed)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        restore_random_state(before)


def _candidates(strategy, counter, num_samples, budget):
    allowed, seen = {}, []
    for genotype in _proposals(strategy, num_samples):
        cost = counter.count(genotype)
        seen.append(cost)
        if budget.allows(cost):
            allowed[genotype] = cost
        if len(allowed) > num_samples:
            break
    if not allowed:
        raise _nothing_allowed(seen, counter, budget)
    return list(allowed)


def _proposals(strategy, num_samples):
    """Iterator over genotypes: all that the search has reason to believe in, best first, then samples."""
    yield from strategy.best_guesses()
    # Sampling costs next to nothing beside scoring.
    for _ in range(MAX_DRAWS):
        yield from strategy.ask(num_samples or 1)


def random_candidates(space, counter, count, budget, seed=0):
    """Draw candidates that nothing has scored and that use most of a budget: half of them chains, which a hand would
    draw and a search shall not fall behind, as far as there are such; the others random, sparse and dense ones alike.

    Args:
        space (SearchSpace): Where from.
        counter (ComplexityCounter): Counts cost.
        count (int): How many.
        budget (Budget): Hard limits.
        seed (int): Of the draws.

    Returns:
        list[Genotype]: Different ones within the budget, of which each costs at least :data:`FULL` of its tightest
        limit where there are so many; fewer than ``count`` where fewer are found.

    Raises:
        DeCoNASError: None keeps within the budget.
    """
    rng, cheap, seen = random.Random(seed), {}, []
    chains = [genotype for genotype in dict.fromkeys(space.chains()) if budget.is_used_by(counter.count(genotype))]
    full = dict.fromkeys(rng.sample(chains, min(count // 2, len(chains))))
    for _ in range(count * MAX_DRAWS):
        genotype = space.sample(rng, rng.uniform(0, MAX_DENSITY))
        cost = counter.count(genotype)
        seen.append(cost)
        if budget.allows(cost):
            (full if budget.is_used_by(cost) else cheap)[genotype] = None
        if len(full) == count:
            break
    if not full and not cheap:
        raise _nothing_allowed(seen, counter, budget)
    return [*full, *cheap][:count]


def _nothing_allowed(seen, counter, budget):
    floor = counter.count(counter.nothing)
    smallest = min(seen, key=lambda cost: (cost.mult_adds, cost.params))
    return DeCoNASError(
        f'derive: none of {len(seen)} sampled genotypes has {budget}; the smallest has '
        f'{smallest.params:,} params and {smallest.mult_adds / 1e9:.1f} G Mult-Adds @720p, the smallest of the '
        f'space {floor.params:,} and {floor.mult_adds / 1e9:.1f} G: raise the budget, or search smaller networks '
        '(num_feat, num_block, num_layer, search.penalty)')


class DerivationFiles(DerivedFolder):
    """Writes the files of one derivation; an older folder of the same name is kept beside, renamed as BasicSR does.

    Args:
        experiment (SearchExperiment): The search.
        name (str): Name of the folder inside the experiment's.

    Attributes:
        train_options, test_options (Path): Option files of the derived network.
    """

    def __init__(self, experiment, name='derived'):
        super().__init__(experiment.folder.derived(name).path)
        self.experiment = experiment
        self.name = f'{experiment.opt["name"]}_{name}'
        self.train_options, self.test_options = self.options('train', self.name), self.options('test', self.name)

    def write(self, best, front, provenance, state=None, rungs=()):
        """Write all files.

        Args:
            best (Score): What is derived.
            front (list[Score]): The Pareto front, cheapest first.
            provenance (dict): How they came about, for ``genotype.yml``.
            state (dict[str, Tensor] | None): Weights of the best. Default: its share of the supernet's.
            rungs (list[Rung]): Of the halving that chose it, where there was one.
        """
        experiment = self.experiment
        _archive(self.path)
        self.front.mkdir()
        self._write_genotype(best, provenance, self.genotype)
        for number, score in enumerate(front, 1):
            self._write_genotype(score, provenance, self.front_file(number))
        state = experiment.supernet.derive(best.genotype).cpu().state_dict() if state is None else state
        save_tensors({'params': state}, self.weights)
        if rungs:
            save_text(''.join(json.dumps(line) + '\n' for line in self._halving_lines(rungs)), self.halving)
        save_options(self._train(best.genotype), self.train_options, 'Trains the derived network')
        save_options(self._test(best.genotype), self.test_options,
                     'Tests the derived network; model_type: SRModel, of BasicSR itself, works too')

    def _halving_lines(self, rungs):
        """Yield a dict for every candidate of every rung, as the history of the search has them."""
        for rung in rungs:
            for place, score in enumerate(rung.scores):
                yield {'generation': rung.generation, 'rung': rung.number, 'steps': rung.steps,
                       'genotype': str(score.genotype), 'psnr': score.psnr, 'penalties': score.penalties,
                       'reward': score.reward, 'kept': place < rung.kept,
                       **self.experiment.counter.count(score.genotype).figures()}

    def _write_genotype(self, score, provenance, path):
        save_options(
            {
                'genotype': score.genotype.to_dict(),
                'connections': score.genotype.describe(),
                'result': {'psnr': score.psnr, 'reward': score.reward, 'penalties': score.penalties,
                           **self.experiment.counter.count(score.genotype).figures()},
                'provenance': provenance,
            }, path, 'Found by DeCoNAS. psnr and reward: dB on the reward set; mult_adds: for 1280x720 output; '
            'latency: ms')

    def _train(self, genotype):
        opt = self.experiment.opt
        inherit = opt['derive']['inherit_weights']
        return {
            **self._common('DeCoNASModel', genotype),
            'datasets': {phase: _without_filled_in(dataset) for phase, dataset in opt['datasets'].items()},
            'path': {'pretrain_network_g': shown(self.weights) if inherit else None, 'strict_load_g': True,
                     'resume_state': None},
            'train': opt['derive']['train'],
            'val': opt.get('val'),
            'logger': opt['logger'],
        }

    def _test(self, genotype):
        opt = self.experiment.opt
        datasets = opt['derive'].get('test_datasets') or {
            phase: dataset for phase, dataset in opt['datasets'].items() if phase.startswith('val')}
        datasets = {f'test_{i}': _without_filled_in(dataset) for i, dataset in enumerate(datasets.values(), 1)}
        trained = ExperimentFolder(self.search.path.with_name(self.name)).weights()
        ema = opt['derive']['train']['ema_decay'] > 0
        val = {key: value for key, value in (opt.get('val') or {}).items() if key not in ('val_freq', 'pbar')}
        return {
            **self._common('DeCoNASModel', genotype),
            'datasets': datasets,
            'path': {'pretrain_network_g': shown(trained), 'param_key_g': 'params_ema' if ema else 'params',
                     'strict_load_g': True},
            'val': {**val, 'save_img': True, 'suffix': None},
        }

    def _common(self, model_type, genotype):
        opt = self.experiment.opt
        plugins = {'plugins': opt['plugins']} if opt.get('plugins') else {}
        return dict(**plugins, name=self.name, model_type=model_type, scale=opt['scale'], num_gpu='auto',
                    manual_seed=opt['manual_seed'], network_g=self._network(genotype))

    def _network(self, genotype):
        defaults = inspect.signature(DeCoNASNet).parameters
        named = ('genotype', 'num_feat', 'num_block', 'num_layer', 'upscale')
        options = self.experiment.supernet.derived_options(genotype)
        given = {key: value for key, value in options.items() if key in named or value != defaults[key].default}
        return {'type': 'DeCoNASNet', **given, 'genotype': str(options['genotype'])}


def _without_filled_in(dataset):
    # BasicSR's parser adds these to every dataset.
    return {key: value for key, value in dataset.items() if key not in ('phase', 'scale')}


def _archive(folder):
    """Make a folder; one that is there is renamed as BasicSR does, whose names are the same for a whole second."""
    while folder.exists() and folder.with_name(f'{folder.name}_archived_{get_time_str()}').exists():
        time.sleep(0.1)
    mkdir_and_rename(str(folder))
