"""What searches are worth in the end: the networks that they find, all trained alone to the same length."""
import copy
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from basicsr.data import build_dataset
from basicsr.metrics import calculate_psnr
from basicsr.utils import tensor2img
from rich.console import Console

from deconas_plugin.errors import DeCoNASError, Interrupted
from deconas_plugin.files.atomic import save_text
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.pieces import Results
from deconas_plugin.machine.timing import Deadline
from deconas_plugin.options.trial import check_network_builds
from deconas_plugin.runs.pipeline import checked_options
from deconas_plugin.search.alone import AloneTraining, check_trains_alone
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.derive import derive, random_candidates
from deconas_plugin.search.halving import Halving
from deconas_plugin.search.strategy import STRATEGIES
from deconas_plugin.space.genotype import Genotype
from tools.lab.study.compare_strategies import fresh_strategy, search_steps
from tools.lab.study.finals_report import finals_table
from tools.lab.study.supernets import trained_supernet

OF_STRATEGIES = ('strategy', 'uniform_warmup')
UNSHARED = 'none'  # in place of a strategy: no supernet, its weight steps train more candidates alone
FRESH_SEEDS = 10**6  # Halvings from initial weights count on from here: no network is chosen by its very final training


class Finals:
    """A study of spaces and strategies, with and without halving, in a folder; resumable piece by piece.

    For every space and seed a supernet is trained, on which every strategy searches and derives; the network that
    it finds is trained alone. Genotypes of its weight steps are uniform, or what ``search.weight_sampling`` says
    where that asks no strategy. Compute is equal in genotypes trained, which is weight steps where one is trained
    in each: where the derivation halves, its supernet trains for so many less. Networks are chosen on the reward
    set and compared on the validation images, which nothing else sees. The strategy ``none`` shares no weights: it
    halves random candidates from initial ones, in the same rungs and as many as the weight steps are enough for.

    Args:
        opts (list[str | Path]): Option files of searches; each is a space, named as its file.
        output (str | Path): Folder of the study.
        final_steps (int): Weight steps of every network that was found.
        strategies (list[str]): Names; of the one that a file uses its keywords hold, of others the defaults. ``none``
            needs a halving.
        seeds (int): Each has supernets, searches and trainings of its own.
        budget (int): Scored genotypes of a search, a multiple of ``search.num_samples``.
        candidates (int): Genotypes that its derivation scores.
        supernet_steps (int): Genotypes that a supernet and, where there is one, a halving train, counted by step.
        halving (HalvingOptions | None): Every search is derived without and with it.
        limits (Budget): What a network may cost.
        inherit (bool): Networks start from the weights of the derivation rather than anew.
        max_minutes (float | None): No new piece begins after this long, and no training of a supernet goes on.

    Raises:
        DeCoNASError: Options or data cannot be used, or the folder holds a study of other settings.
    """

    def __init__(self, opts, output, final_steps, strategies, seeds, budget, candidates, supernet_steps, halving,
                 limits, inherit=False, max_minutes=None):
        self.output, self.seeds, self.strategies = Path(output), range(seeds), list(dict.fromkeys(strategies))
        self.final_steps, self.budget, self.candidates = final_steps, budget, candidates
        self.supernet_steps, self.halving, self.limits, self.inherit = supernet_steps, halving, limits, inherit
        self.opts = {Path(path).stem: checked_options('search', path, also=check_trains_alone) for path in opts}
        if len(self.opts) < len(opts):
            raise DeCoNASError('-opt: expected files of different names, which are those of the spaces, got '
                               f'{", ".join(map(str, opts))}')
        self.counters = {}
        self._check()
        settings = dict(final_steps=final_steps, budget=budget, candidates=candidates, supernet_steps=supernet_steps,
                        inherit=inherit, halving=halving and vars(halving), **vars(limits))
        # More seeds, strategies and spaces continue a study; everything else would make its pieces incomparable.
        self.results = {space: Results(self.output / space, dict(options=opt, **settings))
                        for space, opt in self.opts.items()}
        self.deadline = Deadline(max_minutes)
        self._experiments = {}

    def _check(self):
        known = [*STRATEGIES.module_dict, UNSHARED]
        for name in self.strategies:
            if name not in known:
                raise DeCoNASError(f'--strategies: expected some of {", ".join(known)}, got {name}')
        if UNSHARED in self.strategies and not self.halving:
            raise DeCoNASError(f'--strategies {UNSHARED}: expected --halving, with which candidates that share no '
                               'weights are told apart')
        if self.halving and self.halving_steps >= self.supernet_steps:
            raise DeCoNASError(f'--halving: expected fewer weight steps than --supernet-steps ({self.supernet_steps}), '
                               f'of which they are taken, got {self.halving_steps}')
        for space, opt in self.opts.items():
            for options, steps in self._halvings():
                options.check({**opt, 'train': {**opt['train'], 'total_iter': steps}}, self.candidates - 1)
            if self.budget % opt['search']['num_samples']:
                raise DeCoNASError(f'--budget: expected a multiple of search.num_samples '
                                   f'({opt["search"]["num_samples"]}, {space}), got {self.budget}')
            if not any(phase.split('_')[0] == 'val' for phase in opt['datasets']):
                raise DeCoNASError(f'datasets.val: missing ({space}); expected the images to compare networks on')
            counter = self.counters[space] = SearchParts(
                opt, check_network_builds(opt['network_g'], 'network_g')).counter
            smallest = counter.count(counter.nothing)
            if not self.limits.allows(smallest):
                raise DeCoNASError(f'{space}: nothing has {self.limits}; the smallest network of the space '
                                   f'has {smallest.params:,} params and {smallest.mult_adds / 1e9:.1f} G Mult-Adds '
                                   '@720p')

    def _halvings(self):
        """list[tuple[HalvingOptions, int]]: Those of the study, and after how many weight steps of shared weights."""
        shared = {*self.strategies} - {UNSHARED}
        return ([(self.halving, self.supernet_steps)] if self.halving and shared else []) + (
            [(self.unshared, 0)] if UNSHARED in self.strategies else [])

    @property
    def halving_steps(self):
        """int: Weight steps of a halving with all of its candidates."""
        return self.halving.steps_of(self.halving.candidates) if self.halving else 0

    @property
    def unshared(self):
        """HalvingOptions: From initial weights, with as many candidates as a supernet's weight steps train."""
        count = self.halving.candidates
        while self.halving.steps_of(count + 1) <= self.supernet_steps:
            count += 1
        return replace(self.halving, candidates=count, start='fresh')

    def run(self):
        """Compute what is missing, as far as the time allows; tables hold what is complete.

        Returns:
            bool: Whether the study is complete.
        """
        runs = [(seed, space, strategy, halved) for seed in self.seeds for space in self.opts
                for halved in ([False, True] if self.halving else [False]) for strategy in self.strategies
                if halved or strategy != UNSHARED]
        Console().print(f'{len(runs)} searches: at most {self._steps(len(runs)):,} weight steps', soft_wrap=True)
        found = []
        for number, run in enumerate(runs, 1):
            try:
                found.append(self._row(*run))
            except Interrupted as interrupted:
                if interrupted.signum > 0:
                    raise
                self._report(found)
                Console().print(f'{number - 1} of {len(runs)} searches are done; the same command continues.')
                return False
            row = found[-1]
            Console().print(f'{number}/{len(runs)} seed {row["seed"]}, {row["space"]}, {row["strategy"]}'
                            f'{", halved" * row["halved"]}: {row["genotype"]}  {row["psnr"]:.3f} dB', soft_wrap=True)
        self._report(found)
        return True

    def _steps(self, num_runs):
        """int: Weight steps of so many searches, which is all of them, and of their networks."""
        shared = len({*self.strategies} - {UNSHARED})
        searches = self.supernet_steps * (bool(shared) + (UNSHARED in self.strategies))
        if self.halving and shared:
            searches += self.supernet_steps + (shared - 1) * self.halving_steps
        return num_runs * self.final_steps + len(self.seeds) * len(self.opts) * searches

    def _row(self, seed, space, strategy, halved):
        """dict: One search and what became of its network."""
        results, key = self.results[space], f'{strategy}_{seed}'
        suffix = '_halved' if halved else ''
        searched = self._piece(results, f'search_{key}{suffix}', lambda: self._search(seed, space, strategy, halved))
        text, halve = searched['scores'][0][0], None
        if halved:
            def halve():
                return self._halve(seed, space, strategy, searched)
            text = self._piece(results, f'halving_{key}', lambda: str(halve().best[0].genotype))
        # Where networks start anew, what another search of this seed has found too is trained once.
        origin = f'{strategy}{suffix}' if self.inherit else hashlib.sha256(text.encode()).hexdigest()[:12]
        trained = self._piece(results, f'final_{origin}_{seed}',
                              lambda: self._train(seed, space, strategy, text, halve))
        return dict(seed=seed, space=space, strategy=strategy, halved=halved, genotype=text, **self._cost(space, text),
                    **trained)

    def _cost(self, space, text):
        counter = self.counters[space]
        return counter.count(Genotype.from_text(counter.space, text)).figures()

    def _piece(self, results, name, compute):
        if self.deadline.is_over and not results.has(name):
            raise Interrupted('', 0)
        return results.get(name, compute)

    def _experiment(self, seed, space, strategy, halved):
        """SearchExperiment: A supernet; with a halving to come, one of fewer steps, and an untrained one where no
        weights are shared."""
        opt = self.opts[space]
        search_opt = opt['search']
        sampling = search_opt['weight_sampling']
        changes = {'weight_sampling': 'uniform' if sampling in OF_STRATEGIES else sampling}
        steps = self.supernet_steps - (self.halving_steps if halved else 0)
        steps, halving = max(steps // search_opt['genotypes_per_step'], 1), None
        if strategy == UNSHARED:
            steps, halving = 0, vars(self.unshared)
        name = f'supernet_{steps}_{seed}'
        if self._experiments.get('name') != (space, name):
            trained = ExperimentFolder.named(self.output / space, name).weights().exists()
            if self.deadline.is_over and not trained:
                raise Interrupted('', 0)
            self._experiments = {'name': (space, name), 'experiment': trained_supernet(
                opt, self.output / space, name, steps, seed, changes, self.deadline.minutes_left, halving)}
        return self._experiments['experiment']

    def _search(self, seed, space, strategy_name, halved):
        """dict: ``scores`` of the candidates, each genotype, PSNR and reward, best first; unscored where no weights are
        shared."""
        experiment = self._experiment(seed, space, strategy_name, halved)
        search_opt, counter = experiment.opt['search'], experiment.counter
        if strategy_name == UNSHARED:
            candidates = random_candidates(experiment.supernet.space, counter, self.unshared.candidates, self.limits,
                                           seed)
            return {'scores': [[str(genotype), None, None] for genotype in candidates]}
        strategy = self._strategy(experiment, strategy_name, seed)
        reward = copy.copy(experiment.reward)
        if strategy.measures:
            reward.penalty = _no_penalty
        for _ in search_steps(experiment, strategy, reward, self.budget, search_opt['num_samples'], seed):
            pass
        scores = derive(strategy, reward, experiment.reward_set, counter, self.candidates - 1, self.limits,
                        search_opt['reward']['batch_size'])
        return {'scores': [[str(score.genotype), score.psnr, score.reward] for score in scores]}

    @staticmethod
    def _strategy(experiment, name, seed):
        """SearchStrategy: One that has learned nothing."""
        options = experiment.opt['search']['strategy']
        return fresh_strategy(experiment, options if options['type'] == name else {'type': name}, seed)

    def _halve(self, seed, space, strategy, searched):
        """Halved: The winner, and its weights; what is trained already is not trained again."""
        experiment = self._experiment(seed, space, strategy, halved=True)
        options = self.unshared if strategy == UNSHARED else self.halving
        genotypes = [Genotype.from_text(experiment.supernet.space, text) for text, *_ in searched['scores']]
        halving = Halving(experiment, options, Results(self.output / space / 'halving' / f'{strategy}_{seed}', {}),
                          self.limits, seed=seed + (FRESH_SEEDS if options.start == 'fresh' else 0))
        if strategy != UNSHARED and self._strategy(experiment, strategy, seed).measures:
            halving.penalty = _no_penalty
        return halving.run(genotypes[:options.candidates])

    def _train(self, seed, space, strategy, text, halve):
        """dict: ``psnr`` on the validation images and ``reward_psnr`` on the reward set, dB."""
        experiment = self._experiment(seed, space, strategy, halved=halve is not None)
        genotype, training = Genotype.from_text(experiment.supernet.space, text), AloneTraining(experiment, seed)
        net = training.inherited(genotype) if self.inherit else training.fresh(genotype)
        if self.inherit and halve:
            net.load_state_dict(halve().state)
        training.train(net, self.final_steps)
        return {'psnr': validation_psnr(experiment, net), 'reward_psnr': training.score(net)}

    def _report(self, rows):
        if not rows:
            return
        text = finals_table(rows, self.final_steps)
        save_text(text, self.output / 'finals.md')
        save_text(json.dumps(rows, indent=1), self.output / 'finals.json')
        Console().print(text, soft_wrap=True)


@torch.no_grad()
def validation_psnr(experiment, net):
    """float: Mean PSNR over all validation images of a search's options, on luma, without a border of scale pixels."""
    scale, psnrs = experiment.opt['scale'], []
    for phase, options in experiment.opt['datasets'].items():
        if phase.split('_')[0] != 'val':
            continue
        dataset = build_dataset({**options, 'phase': 'val', 'scale': scale})
        for index in range(len(dataset)):
            sample = dataset[index]
            sr = net.eval()(sample['lq'][None].to(experiment.device))
            psnrs.append(calculate_psnr(tensor2img(sr), tensor2img(sample['gt']), scale, test_y_channel=True))
    return float(fmean(psnrs))


def _no_penalty(genotype):
    return {}
