"""Derivation by halving: candidates train, the worse half leaves, the others go on for twice as many steps, and so on
(successive halving: Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943); where there are generations, the
children of the best follow."""
import hashlib
import math
from dataclasses import dataclass, field
from functools import partial

from rich.console import Console

from deconas_plugin.errors import DivergenceError, Interrupted, OptionError, WeightsError
from deconas_plugin.files.atomic import save_tensors
from deconas_plugin.files.states import read_pth
from deconas_plugin.machine.console import progress_bar
from deconas_plugin.machine.timing import Deadline
from deconas_plugin.search.alone import AloneTraining, check_trains_alone
from deconas_plugin.search.derive import Budget
from deconas_plugin.search.evolution import Evolution
from deconas_plugin.search.reward import Score

STARTS = ('shared', 'fresh')
PARENTS = 8  # the best so far, of which children are made
MAX_DRAWS = 100  # for every child


@dataclass(frozen=True)
class HalvingOptions:
    """Option ``derive.halving``.

    Attributes:
        candidates (int): How many train.
        steps (int): Weight steps of each in the first rung.
        rungs (int): Rungs; each has half the candidates and twice the steps of the one before.
        start (str): 'shared', from the shared weights, or 'fresh', from initial ones. Default: 'shared'.
        generations (int): The first are the candidates; each one after it has half as many, children of the best so
            far. Default: 1.

    Raises:
        OptionError: A number is below 1, or there is no such start.
    """
    candidates: int
    steps: int
    rungs: int
    start: str = STARTS[0]
    generations: int = 1

    def __post_init__(self):
        for name in ('candidates', 'steps', 'rungs', 'generations'):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise OptionError(f'halving: {name}: expected a whole number of at least 1, got {value!r}')
        if self.start not in STARTS:
            raise OptionError(f'halving: start: expected one of {", ".join(STARTS)}, got {self.start!r}')

    def check(self, opt, num_samples):
        """Refuse what cannot be run.

        Args:
            opt (dict): Options of the search.
            num_samples (int): Genotypes that the derivation scores besides the best guess.

        Raises:
            OptionError: The rungs do not fit the candidates, or networks cannot be trained alone.
        """
        smallest = self.candidates if self.generations == 1 else self.candidates // 2
        if smallest < 2**self.rungs:
            later = ' of a later generation' if self.generations > 1 else ''
            raise OptionError(f'derive.halving.rungs: expected at most {int(math.log2(max(smallest, 1)))}, so '
                              f'that {smallest} candidates{later} leave two for the last rung, got {self.rungs}; lower '
                              'it, or raise derive.halving.candidates')
        if not opt['train']['total_iter']:
            if self.start != 'fresh':
                raise OptionError(f'derive.halving.start: expected fresh with train.total_iter = 0, which trains no '
                                  f'shared weights, got {self.start}')
        elif self.candidates > num_samples + 1:
            raise OptionError(f'derive.halving.candidates: expected at most {num_samples + 1}, as many as '
                              f'derive.num_samples scores besides the best guess, got {self.candidates}')
        check_trains_alone(opt)

    def plan(self, num):
        """list[tuple[int, int]]: Candidates and weight steps of each in every rung, for ``num`` of them."""
        sizes = [(math.ceil(num / 2**rung), self.steps * 2**rung) for rung in range(self.rungs)]
        return [(size, steps) for size, steps in sizes if size > 1 or num == 1]

    def sizes(self, num):
        """list[int]: Candidates that every generation begins with, where the first has ``num``: where these are so few
        that half of them cannot train as long, there is no second."""
        return [num, *[num // 2] * (self.generations - 1 if num // 2 >= 2**self.rungs else 0)]

    def steps_of(self, num):
        """int: Weight steps of everything, with ``num`` candidates."""
        return sum(size * steps for count in self.sizes(num) for size, steps in self.plan(count))


@dataclass(frozen=True)
class Rung:
    """What a rung came to.

    Attributes:
        generation, number (int): From 1.
        steps (int): Weight steps that each of its candidates has trained alone so far.
        spent (int): Weight steps that the rung took in all.
        scores (list[Score]): What they earn then, best first.
        kept (int): How many of them go on; of the last rung, the best.
    """
    generation: int
    number: int
    steps: int
    spent: int
    scores: list
    kept: int


@dataclass(frozen=True)
class Halved:
    """What a halving came to.

    Attributes:
        best (list[Score]): Of those that trained to the end, all generations together, best first.
        rungs (list[Rung]): In order.
        state (dict[str, Tensor]): Weights of the best, averaged over its last steps.
    """
    best: list
    rungs: list
    state: dict = field(repr=False)


class Halving:
    """Trains the candidates; what is finished is kept, so that it continues where it was stopped.

    All candidates see the same patches in the same order, in later rungs others than before. Each is one training,
    which a rung goes on with (:meth:`AloneTraining.train_on`), and is scored with averaged weights.

    Args:
        experiment (SearchExperiment): The search.
        options (HalvingOptions): How much is trained.
        results (Results): Where what is finished is kept; the weights lie beside it.
        budget (Budget | None): Hard limits of children, most of which they use where candidates start from initial
            weights. Default: none.
        deadline (Deadline | None): After it no training begins. Default: none.
        seed (int | None): Of initial weights, patches and children. Default: ``manual_seed`` of the search.
    """

    def __init__(self, experiment, options, results, budget=None, deadline=None, seed=None):
        self.options, self.results = options, results
        self.seed, self.device = experiment.opt['manual_seed'] if seed is None else seed, experiment.device
        self.training = AloneTraining(experiment, self.seed)
        self.penalty = experiment.reward.penalty
        self.budget, self.count = budget or Budget(), experiment.counter.count
        self.deadline = deadline or Deadline()
        self.rate = experiment.opt['train']['optim_g']['lr']

    def run(self, genotypes):
        """Train and choose.

        Args:
            genotypes (list[Genotype]): Different candidates, as many as the options say, or all that there are.

        Returns:
            Halved: What became of them.

        Raises:
            DivergenceError: All of a rung of the first generation diverged.
            Interrupted: The time is up; what is finished is kept.
        """
        options, count = self.options, len(genotypes)
        sizes, total = options.sizes(count), options.steps_of(count)
        last = len(options.plan(count)) - 1
        Console().print(f'Halving: {count} candidates, {last + 1} rungs, '
                        f'{f"{len(sizes)} generations, " * (len(sizes) > 1)}{total:,} weight steps', soft_wrap=True)
        if count < options.candidates:
            self._say(f'no more than {count} of {options.candidates} candidates were found' +
                      f', too few for {options.generations} generations' * (len(sizes) < options.generations))
        best, rungs, trained = [], [], set()
        with progress_bar(total, 'steps') as show:
            for generation, size in enumerate(sizes, 1):
                if generation > 1:
                    genotypes = self._children(best, trained, size, generation)
                    if len(genotypes) < 2**options.rungs:
                        self._say(f'no more than {len(genotypes)} children that are new were found, too few for '
                                  f'generation {generation}, so it ends')
                        break
                trained.update(genotypes)
                rungs += self._generation(generation, genotypes, sum(rung.spent for rung in rungs), show)
                best = sorted([*best, *rungs[-1].scores], key=_quality, reverse=True)
                for score in best[1:]:
                    self._path(score.genotype, last).unlink(missing_ok=True)
        return Halved(best, rungs, read_pth(self._path(best[0].genotype, last))['average'])

    def _generation(self, generation, genotypes, spent, show):
        """list[Rung]: Those of one generation, after ``spent`` weight steps of others."""
        plan, rungs, trained = self.options.plan(len(genotypes)), [], 0
        for rung, (_, steps) in enumerate(plan):
            found = []
            for genotype in genotypes:
                name = self._name(genotype, rung)
                if self.deadline.is_over and not self.results.has(name):
                    raise Interrupted('', 0)
                psnr = self.results.get(name, partial(self._train, genotype, rung, steps, trained))
                found.append(Score(genotype, psnr, self.penalty(genotype)))
                spent += steps
                show(spent, f'{f"generation {generation}, " * (self.options.generations > 1)}rung {rung + 1}/'
                            f'{len(plan)}, {len(found)}/{len(genotypes)}: best {max(map(_quality, found)):.3f} dB')
            found.sort(key=_quality, reverse=True)
            trained += steps
            if generation == 1 and not math.isfinite(_quality(found[0])):
                raise DivergenceError(f'train.optim_g.lr: all {len(found)} candidates of a rung diverged with '
                                      f'{self.rate:g}; lower it')
            is_last = rung + 1 == len(plan)
            kept = 1 if is_last else plan[rung + 1][0]
            rungs.append(Rung(generation, rung + 1, trained, len(found) * steps, found, kept))
            # What no later rung starts from; of the last, all may still be the best.
            for place, score in enumerate(found):
                for older in range(rung + (place >= kept and not is_last)):
                    self._path(score.genotype, older).unlink(missing_ok=True)
            genotypes = [score.genotype for score in found[:kept]]
        return rungs

    def _children(self, best, trained, count, generation):
        """list[Genotype]: Of the best, none of which has trained; fewer than ``count`` where so many are not found."""
        parents = [score for score in best if math.isfinite(score.reward)][:PARENTS]
        evolution = Evolution(parents[0].genotype.space, len(parents), min(2, len(parents)), mutations=2,
                              seed=f'{self.seed} {generation}')
        evolution.recall([score.genotype for score in parents], [score.reward for score in parents])
        full, cheap = {}, {}
        for genotype in evolution.ask(count * MAX_DRAWS):
            cost = self.count(genotype)
            if genotype not in trained and self.budget.allows(cost):
                # With shared weights cheap parents may lead; trained alone, what uses the budget does.
                is_full = self.options.start == 'shared' or self.budget.is_used_by(cost)
                (full if is_full else cheap)[genotype] = None
            if len(full) == count:
                break
        return [*full, *cheap][:count]

    def _train(self, genotype, rung, steps, trained):
        """float: PSNR of a candidate after a rung, in dB; its weights and optimizer are saved."""
        training, state = self.training, None
        net = training.fresh(genotype) if self.options.start == 'fresh' else training.inherited(genotype)
        if rung:
            before = self._path(genotype, rung - 1)
            if not before.exists():
                raise WeightsError(f'{before}: missing, although its candidate has trained so far; delete '
                                   f'{self.results.folder} to halve anew')
            state = read_pth(before)
            net.load_state_dict(state['params'])
        state = training.train_on(net, steps, trained, state)
        save_tensors({'params': net.cpu().state_dict(), **state}, self._path(genotype, rung))
        return training.score(training.averaged(net.to(self.device), state))

    @staticmethod
    def _say(text):
        Console().print(f'Halving: {text}.', soft_wrap=True)

    def _path(self, genotype, rung):
        return self.results.folder / f'{self._name(genotype, rung)}.pth'

    @staticmethod
    def _name(genotype, rung):
        return f'rung_{rung}_{hashlib.sha256(str(genotype).encode()).hexdigest()[:12]}'


def _quality(score):
    """float: The reward; what diverged comes last."""
    return score.reward if math.isfinite(score.reward) else -math.inf
