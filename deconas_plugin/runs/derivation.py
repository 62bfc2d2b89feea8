"""From a search on disk to a derived network: loaded, scored, chosen, written, shown."""
import hashlib
import json
import math
import time
from dataclasses import replace

import torch
import yaml
from basicsr.archs import build_network
from rich.console import Console
from rich.table import Table

from deconas_plugin.archs.load import check_state
from deconas_plugin.cost.pareto import pareto_front
from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.paths import locate, shown, tool_command, typed
from deconas_plugin.files.pieces import Results
from deconas_plugin.files.states import load_state, newest_weights
from deconas_plugin.files.user_code import import_user_code
from deconas_plugin.machine.device import device_of_run
from deconas_plugin.options.defaults import with_defaults
from deconas_plugin.search.alone import trains_with
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.derive import Budget, DerivationFiles, derive, random_candidates
from deconas_plugin.search.halving import Halving, HalvingOptions
from deconas_plugin.search.history import read_history
from deconas_plugin.search.reward import RewardSignal, Score, block_gain
from deconas_plugin.space.genotype import Genotype

SHOWN = 5


class SearchExperiment(SearchParts):
    """The parts of a search on disk, finished, stopped or running, with what a checkpoint has learned.

    Args:
        folder (str | Path): Its experiment folder.
        iteration (int | None): Which checkpoint. Default: the newest.
        latency_table (str | None): File of ``deconas latency``. Default: as in the options.

    Raises:
        DeCoNASError: The folder holds no search, or not this checkpoint.
        WeightsError: The checkpoint does not fit the options.
    """

    def __init__(self, folder, iteration=None, latency_table=None):
        self.folder = ExperimentFolder(folder)
        opt = self._options()
        if latency_table is not None:
            opt['search']['latency_table'] = latency_table
        device = device_of_run(opt['num_gpu'])
        super().__init__(opt, build_network(opt['network_g']), device)
        self.iteration = self._latest() if iteration is None else iteration
        self._load(self.supernet, 'net_g')
        self.supernet.to(device, memory_format=torch.channels_last).eval()
        self._load(self.controller, 'net_c')
        # So that no order in which a processor adds can tip what it draws.
        self.controller.double()
        last_iter = math.inf if self.iteration == 'latest' else self.iteration
        self.strategy.recall(*read_history(self.folder.path, self.supernet.space, last_iter))
        # Now, so that images which are gone show before anything is written.
        self.reward_set  # noqa: B018

    @property
    def has_shared_weights(self):
        """bool: Whether the supernet was trained at all."""
        return self.opt['train']['total_iter'] > 0

    @property
    def digest(self):
        """str: Tells the supernet's weights from others."""
        weights = self.folder.weights('net_g', self.iteration)
        return hashlib.sha256(weights.read_bytes()).hexdigest()[:16]

    def _options(self):
        path = self.folder.options
        if not path.is_file():
            raise DeCoNASError(f'{self.folder.path}: expected the folder of a search (with options.yml), such as '
                               'experiments/search_DeCoNAS_x2')
        opt = yaml.safe_load(path.read_text(encoding='utf-8'))
        locate(opt)
        import_user_code(opt)
        return with_defaults(opt, 'search')  # a search of an earlier version knew fewer keys

    def _latest(self):
        newest = newest_weights(self.folder, 'net_c', self.opt['train']['total_iter'])
        if newest is None:
            raise DeCoNASError(f'{self.folder.path}: no checkpoint yet (models/net_c_*.pth)')
        name = newest.stem.removeprefix('net_c_')
        return int(name) if name.isdecimal() else name

    def _load(self, net, label):
        path = self.folder.weights(label, self.iteration)
        if not path.is_file():
            raise DeCoNASError(f'{path}: no such checkpoint')
        state, _ = load_state(path, ('params', ))
        check_state(net, state, path)
        net.load_state_dict(state)


def run_derivation(folder,
                   name='derived',
                   iteration=None,
                   num_samples=None,
                   max_params=None,
                   max_mult_adds=None,
                   max_latency=None,
                   latency_table=None,
                   halving=None,
                   deadline=None):
    """Derive a network from a search and write its files.

    Args:
        folder (str | Path): Experiment folder of the search.
        name (str): Folder for the files, inside it.
        iteration (int | None): Which checkpoint. Default: the latest.
        num_samples (int | None): Genotypes to sample and to score with shared weights. Default: as in the search's
            options.
        max_params, max_mult_adds, max_latency (float | None): Budget. Default: as in the search's options.
        latency_table (str | None): File of ``deconas latency``. Default: as in the search's options.
        halving (HalvingOptions | None): Train the best candidates on and halve them. Default: as in the search's
            options.
        deadline (Deadline | None): After it no candidate of the halving begins to train. Default: none.

    Returns:
        DerivationFiles: What was written.

    Raises:
        DeCoNASError: There is no such search, nothing keeps within the budget, or the rungs do not fit.
        Interrupted: The time is up; the same derivation continues.
    """
    started = time.time()
    experiment = SearchExperiment(folder, iteration, latency_table)
    options = experiment.opt['derive']
    if num_samples is not None and not experiment.has_shared_weights:
        raise DeCoNASError(f'--num-samples: {experiment.folder.path} has no shared weights to score with '
                           '(train.total_iter: 0); leave it out, and name candidates in --halving')
    num_samples = options['num_samples'] if num_samples is None else num_samples
    limits = {'max_params': max_params, 'max_mult_adds': max_mult_adds, 'max_latency': max_latency}
    budget = Budget(**{key: options.get(key) if limit is None else limit for key, limit in limits.items()})
    budget.check(experiment.counter)
    if halving is None and options.get('halving'):
        halving = HalvingOptions(**options['halving'])
    if halving:
        halving.check(experiment.opt, num_samples)
    elif not experiment.has_shared_weights:
        raise DeCoNASError(f'{experiment.folder.path}: expected a halving, as this search has no shared weights to '
                           'score with; give --halving, or derive.halving')

    def scored():
        scores = derive(experiment.strategy, experiment.reward, experiment.reward_set, experiment.counter, num_samples,
                        budget, experiment.opt['search']['reward']['batch_size'], experiment.opt['manual_seed'])
        return scores, _signal(experiment, scores)

    if halving:
        settings = {**vars(budget), **vars(halving)}
        if experiment.has_shared_weights:
            results = _results(experiment, {'num_samples': num_samples, **settings})
            # Kept as well, as scoring takes its time.
            scores, signal = _read(results.get('candidates', lambda: _plain(*scored())), experiment)
            candidates = [score.genotype for score in scores[:halving.candidates]]
        else:
            signal, candidates = None, random_candidates(experiment.supernet.space, experiment.counter,
                                                         halving.candidates, budget, experiment.opt['manual_seed'])
            results = _results(experiment, settings)
        halved = Halving(experiment, halving, results, budget, deadline).run(candidates)
        rungs, best, state = halved.rungs, halved.best, halved.state
        scores = scores if experiment.has_shared_weights else best
        title = f'Derived by halving {len(candidates)} candidates: the first, after {rungs[-1].steps} steps alone'
    else:
        (scores, signal), rungs, state = scored(), [], None
        best, title = scores, f'Derived: the best of {len(scores)} candidates is the first'
    files = DerivationFiles(experiment, name)
    front = pareto_front(scores, experiment.counter, options.get('front') or experiment.strategy.measures or None)
    files.write(best[0], front, {
        'search': experiment.opt['name'],
        'checkpoint': experiment.iteration,
        'candidates': len(scores),
        'reward_patches': len(experiment.reward_set),
        **({f'psnr_{key}': round(value, 5) for key, value in signal.figures().items()} if signal else {}),
        **({'halving_candidates': sum(len(rung.scores) for rung in rungs if rung.number == 1),
            'halving_steps': rungs[-1].steps} if rungs else {}),
        **vars(budget),
        'manual_seed': experiment.opt['manual_seed'],
        'seconds': round(time.time() - started, 1),
    }, state, rungs)
    _show(title, best, front, experiment.counter, files, signal)
    return files


def _results(experiment, settings):
    """Results: Of one halving; other weights or settings have a folder of their own."""
    weights = experiment.digest if experiment.has_shared_weights else None
    settings = {'weights': weights, **trains_with(experiment.opt), **settings}
    if experiment.counter.latency_table:  # prices and budgets are by it, and it may be another next time
        settings['latency_table'] = _digest(experiment.counter.latency_table.milliseconds)
    folder = experiment.folder.halvings / _digest(settings)
    folder.mkdir(parents=True, exist_ok=True)
    return Results(folder, settings)


def _digest(value):
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _plain(scores, signal):
    """dict: Scores and their signal as JSON holds them."""
    return {'scores': [[str(score.genotype), score.psnr, score.penalties] for score in scores],
            'signal': signal and vars(signal)}


def _read(plain, experiment):
    scores = [Score(Genotype.from_text(experiment.supernet.space, text), psnr, penalties)
              for text, psnr, penalties in plain['scores']]
    return scores, plain['signal'] and RewardSignal(**plain['signal'])


def _signal(experiment, scores):
    """RewardSignal | None: Of the candidates, on the whole reward set."""
    signal = RewardSignal.of(scores)
    if signal is None:
        return None
    batches = list(experiment.reward_set.batches(experiment.opt['search']['reward']['batch_size']))
    return replace(signal, block_gain=block_gain(experiment.reward, scores[:1], batches))


def _show(title, scores, front, counter, files, signal):
    console = Console()
    if signal and not signal.ranks:
        console.print(f'{signal.warning}.', style='yellow', soft_wrap=True)
    console.print(_table(title, scores[:SHOWN], counter))
    console.print(_table('Pareto front, cheapest first', front, counter))
    console.print(f'Genotype and weights: {shown(files.path)}', soft_wrap=True)
    console.print('Next, train the derived network, then test it:', soft_wrap=True)
    for tool, options in (('train', files.train_options), ('test', files.test_options)):
        console.print(f'  {tool_command(tool)} -opt {typed(options)}', soft_wrap=True)


def _table(title, scores, counter):
    table = Table(title=title)
    columns = ['Genotype', 'Params', 'Mult-Adds @720p', 'Reward (dB)', 'PSNR (dB)']
    columns += ['Latency (ms)'] if counter.latency_table else []
    for column in columns:
        table.add_column(column, justify='left' if column == 'Genotype' else 'right', overflow='fold')
    for score in scores:
        cost = counter.count(score.genotype)
        table.add_row(str(score.genotype), f'{cost.params:,}', f'{cost.mult_adds / 1e9:.2f} G',
                      f'{score.reward:.3f}', f'{score.psnr:.3f}',
                      *([f'{cost.latency:.1f}'] if counter.latency_table else []))
    return table
