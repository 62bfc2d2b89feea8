"""The yardstick of one search, as tools/rank.py runs it."""
import json
import math
from dataclasses import asdict
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import fmean

from rich.console import Console

from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.atomic import save_text
from deconas_plugin.files.pieces import Results
from deconas_plugin.machine.timing import Deadline
from deconas_plugin.runs.derivation import SearchExperiment
from deconas_plugin.search.alone import AloneTraining, check_trains_alone, trains_with
from deconas_plugin.search.derive import random_candidates
from tools.lab.study.rank import predictors, shared_psnr, stratified_genotypes, train_alone, train_on
from tools.lab.study.report import plot_ranks, yardstick_table
from tools.lab.study.statistics import yardstick

AUTO = 'auto'
FIRST_STEPS = 250  # of a search for the length from which on seeds agree
ENOUGH = 0.7  # Kendall's tau between seeds
MIN_NETWORKS = 3  # to rank
SHARED, FRESH = 'shared weights +', 'initial weights +'


def run_rank(folder, output=None, num=24, steps=500, iteration=None, seed=0, seeds=2, max_steps=4000,
             warm_steps=None, fresh_steps=(), max_minutes=None, budget=None):
    """Rank networks by training alone, and see how well the seeds agree with each other and cheaper rankings with them.

    Args:
        folder (str | Path): Experiment folder of a search.
        output (str | Path | None): Folder for the results. Default: ``rank`` inside it.
        num (int): Networks; fewer where the space has no more.
        steps (int | str): Weight steps of each network alone; 'auto': 250, and twice as many until Kendall's tau
            between seeds is at least :data:`ENOUGH`.
        iteration (int | None): Checkpoint of the search. Default: the latest.
        seed (int): Of the choice of networks; trainings have this one and those that follow it.
        seeds (int): With how many each network is trained, at least 2.
        max_steps (int): With 'auto', no longer than this.
        warm_steps (list[int] | None): Parts of a training on from the shared weights, as the rungs of a halving are,
            each measured as a predictor. Default: one of 20, where the search has shared weights.
        fresh_steps (list[int]): The same from initial weights, with a seed that the yardstick does not have.
        max_minutes (float | None): No new piece begins after this long.
        budget (Budget | None): The networks are those among which a halving within it would choose. Default: networks
            of all sizes.

    Returns:
        dict | None: As :func:`tools.lab.study.statistics.yardstick`, with ``steps``; None where time ran out.

    Raises:
        DeCoNASError: There is no such search, its data or loss is of no use here, or the folder holds results of
            other settings.
    """
    experiment = SearchExperiment(folder, iteration)
    output = Path(output or experiment.folder.rank)
    check_trains_alone(experiment.opt)
    if warm_steps is None:
        warm_steps = [20] if experiment.has_shared_weights else []
    if warm_steps and not experiment.has_shared_weights:
        raise DeCoNASError(f'--warm-steps: {experiment.folder.path} has no shared weights (train.total_iter: 0); leave '
                           'it out, or use --fresh-steps')
    settings = dict(num=num, seed=seed, weights=experiment.digest, **trains_with(experiment.opt))
    space, counter = experiment.supernet.space, experiment.counter
    if budget is None:
        genotypes = stratified_genotypes(space, counter, num, seed)
    else:
        genotypes = sorted(random_candidates(space, counter, num, budget, seed),
                           key=lambda genotype: counter.count(genotype).mult_adds)
        settings['budget'] = asdict(budget)
        if len(genotypes) < MIN_NETWORKS:
            raise DeCoNASError(f'--max-params, --max-mult-adds: expected limits that {MIN_NETWORKS} networks or more '
                               f'keep within, found {len(genotypes)} with {budget}; raise them')
    rank = Rank(experiment, Results(output, settings), genotypes, range(seed, seed + seeds),
                {SHARED: warm_steps, FRESH: fresh_steps}, max_minutes)
    lengths = [steps]
    if steps == AUTO:
        lengths = [FIRST_STEPS * 2**i for i in range(math.ceil(math.log2(max(max_steps / FIRST_STEPS, 1))))]
        lengths.append(max_steps)
    rank.state_cost(lengths)
    for length in lengths:
        found = rank.measure(length)
        if found is None:
            return None
        rank.report(found, length, output)
        if found['seeds'][0] >= ENOUGH:
            break
    return {**found, 'steps': length}


class Rank:
    """Trains and compares, resumable piece by piece.

    Args:
        experiment (SearchExperiment): The search.
        results (Results): Where pieces are kept.
        genotypes (list[Genotype]): The networks.
        seeds (range): Each trains all of them.
        parts (dict[str, list[int]]): Weight steps of the parts of trainings that are predictors, from shared and from
            initial weights.
        max_minutes (float | None): As for :func:`run_rank`.
    """

    def __init__(self, experiment, results, genotypes, seeds, parts, max_minutes):
        self.experiment, self.results, self.genotypes = experiment, results, genotypes
        self.seeds, self.parts = seeds, {start: list(steps) for start, steps in parts.items() if steps}
        self.deadline = Deadline(max_minutes)
        self.trainings = {seed: AloneTraining(experiment, seed) for seed in (*seeds, seeds.stop)}

    def state_cost(self, lengths):
        """Print how many weight steps are to come, and how long they take by a timed one of a middle network."""
        rungs = sum(sum(parts) for start, parts in self.parts.items() for i in range(len(self.genotypes))
                    if not self.results.has(self._part(start, i)))
        steps = rungs + sum(length for length in lengths for seed in self.seeds for i in range(len(self.genotypes))
                           if not self.results.has(self._alone(length, seed, i)))
        if not steps:
            return
        seconds = self.trainings[self.seeds[0]].seconds_per_step(self.genotypes[len(self.genotypes) // 2])
        longest = '' if len(lengths) == 1 else f'at most, up to {lengths[-1]:,} per network: '
        Console().print(f'{len(self.genotypes)} networks, {len(self.seeds)} seeds: {longest}{steps:,} weight steps to '
                        f'come, about {max(steps * seconds / 60, 1):.0f} minutes', soft_wrap=True)

    def measure(self, length):
        """dict | None: As :func:`yardstick`, for networks trained for ``length`` steps; None where time ran out."""
        shared = None
        if self.experiment.has_shared_weights:
            shared = self.results.get('shared', lambda: shared_psnr(self.experiment, self.genotypes))
        pieces = [(self._part(start, i), partial(self._train_on, start, i))
                  for start in self.parts for i in range(len(self.genotypes))]
        pieces += [(self._alone(length, seed, i), lambda seed=seed, i=i: train_alone(self.trainings[seed],
                                                                                     self.genotypes[i], length))
                   for i in range(len(self.genotypes)) for seed in self.seeds]
        done = {}
        for number, (name, compute) in enumerate(pieces, 1):
            if self.deadline.is_over and not self.results.has(name):
                Console().print(f'{number - 1} of {len(pieces)} pieces are done; the same command continues.')
                return None
            new = not self.results.has(name)
            done[name] = self.results.get(name, compute)
            if new:
                beside = f', shared {shared[int(name.rpartition("_")[2])]:.3f} dB' if shared else ''
                Console().print(f'{number}/{len(pieces)} {name}: {_shown(done[name])}{beside}', soft_wrap=True)
        alone = [[done[self._alone(length, seed, i)] for i in range(len(self.genotypes))] for seed in self.seeds]
        predicted = predictors(self.genotypes, shared, self.experiment.counter)
        for start, parts in self.parts.items():
            for part, steps in enumerate(accumulate(parts)):
                predicted[f'{start} {steps} steps'] = [done[self._part(start, i)][part]
                                                       for i in range(len(self.genotypes))]
        return {**yardstick(alone, predicted), 'alone': alone, 'predicted': predicted}

    def report(self, found, length, output):
        """Write and print what was found."""
        num = len(self.genotypes)
        text = yardstick_table(found, f'{num} networks, {length} steps alone, {len(self.seeds)} seeds', ENOUGH)
        save_text(text, output / 'rank.md')
        values = json.dumps({'steps': length, 'genotypes': [*map(str, self.genotypes)], **found}, indent=1)
        save_text(values.replace('NaN', 'null'), output / 'rank.json')  # JSON knows no NaN
        means = [fmean(psnrs) for psnrs in zip(*found['alone'], strict=True)]
        predicted = found['predicted']
        name = 'shared weights' if 'shared weights' in predicted else [*predicted][-1]
        plot_ranks(name, predicted[name], means, predicted['Mult-Adds'], output / 'rank.png')
        Console().print(text, soft_wrap=True)

    def _train_on(self, start, index):
        training, genotype = self.trainings[self._seed(start)], self.genotypes[index]
        net = training.inherited(genotype) if start == SHARED else training.fresh(genotype)
        return train_on(training, net, self.parts[start])

    def _seed(self, start):
        # Initial weights have a seed of their own: those of the yardstick would be the very same trainings.
        return self.seeds[0] if start == SHARED else self.seeds.stop

    def _part(self, start, index):
        kind = 'warm' if start == SHARED else 'fresh'
        return f'{kind}_{"_".join(map(str, self.parts[start]))}_s{self._seed(start)}_{index}'

    @staticmethod
    def _alone(length, seed, index):
        return f'alone_{length}_s{seed}_{index}'


def _shown(value):
    return ', '.join(f'{psnr:.3f} dB' for psnr in (value if isinstance(value, list) else [value]))
