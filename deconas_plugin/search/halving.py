"""Derivation by halving: candidates train on from the shared weights, the worse half leaves, the others train on for
twice as long, and so on (successive halving: Jamieson and Talwalkar, 2016, https://arxiv.org/abs/1502.07943)."""
import math
from dataclasses import dataclass

from rich.console import Console

from deconas_plugin.errors import OptionError
from deconas_plugin.files.atomic import save_tensors
from deconas_plugin.files.states import read_pth
from deconas_plugin.machine.console import progress_bar
from deconas_plugin.search.alone import WARMUP_SHARE, AloneTraining, check_trains_alone
from deconas_plugin.search.reward import Score


@dataclass(frozen=True)
class HalvingOptions:
    """Option ``derive.halving``.

    Attributes:
        candidates (int): The best with shared weights, which train.
        steps (int): Weight steps of each in the first rung.
        rungs (int): Rungs; each has half the candidates and twice the steps of the one before.
    """
    candidates: int
    steps: int
    rungs: int

    def check(self, opt, num_samples):
        """Refuse what cannot be run.

        Args:
            opt (dict): Options of the search.
            num_samples (int): Genotypes that the derivation scores besides the best guess.

        Raises:
            OptionError: The rungs do not fit the candidates, or networks cannot be trained alone.
        """
        if self.candidates < 2**self.rungs:
            raise OptionError(f'derive.halving.rungs: expected at most {int(math.log2(max(self.candidates, 1)))}, so '
                              f'that {self.candidates} candidates leave two for the last rung, got {self.rungs}; lower '
                              'it, or raise derive.halving.candidates')
        if self.candidates > num_samples + 1:
            raise OptionError(f'derive.halving.candidates: expected at most {num_samples + 1}, as many as '
                              f'derive.num_samples scores besides the best guess, got {self.candidates}')
        check_trains_alone(opt)

    def plan(self, num):
        """list[tuple[int, int]]: Candidates and weight steps of each in every rung, for ``num`` of them."""
        sizes = [(math.ceil(num / 2**rung), self.steps * 2**rung) for rung in range(self.rungs)]
        return [(size, steps) for size, steps in sizes if size > 1 or num == 1]


@dataclass(frozen=True)
class Rung:
    """What a rung came to.

    Attributes:
        steps (int): Weight steps that its candidates have trained alone so far.
        scores (list[Score]): What they earn then, best first.
        kept (int): How many of them go on; of the last rung, the winner.
    """
    steps: int
    scores: list
    kept: int


class Halving:
    """Trains the candidates; what is finished is kept, so that it continues where it was stopped.

    All candidates of a rung see the same patches in the same order, each rung others than those before it. The learning
    rate of the search's options rises and falls to zero anew in each.

    Args:
        experiment (SearchExperiment): The search.
        options (HalvingOptions): How much is trained.
        results (Results): Where what is finished is kept; the weights lie beside it.

    Attributes:
        state (dict[str, Tensor]): After :meth:`run`, the weights of the winner.
    """

    def __init__(self, experiment, options, results):
        self.options, self.results = options, results
        self.training = AloneTraining(experiment, experiment.opt['manual_seed'])
        self.penalty = experiment.reward.penalty
        self.state = None

    def run(self, scores):
        """Train and choose.

        Args:
            scores (list[Score]): With shared weights, best first; no fewer candidates than two, where there are.

        Returns:
            list[Rung]: The first score of the last is the winner.
        """
        candidates = list(enumerate(score.genotype for score in scores[:self.options.candidates]))
        plan, rungs = self.options.plan(len(candidates)), []
        total = sum(size * steps for size, steps in plan)
        Console().print(f'Halving: {len(candidates)} candidates, {len(plan)} rungs, {total:,} weight steps',
                        soft_wrap=True)
        done = trained = 0
        with progress_bar(total, 'steps') as show:
            for rung, (_, steps) in enumerate(plan):
                found = []
                for index, genotype in candidates:
                    psnr = self.results.get(f'rung_{rung}_{index}', lambda rung=rung, index=index, genotype=genotype,
                                            steps=steps, trained=trained: self._train(rung, index, genotype, steps,
                                                                                      trained))
                    found.append((index, Score(genotype, psnr, self.penalty(genotype))))
                    done += steps
                    best = max((score for _, score in found), key=_quality)
                    show(done, f'rung {rung + 1}/{len(plan)}, {len(found)}/{len(candidates)}: best '
                               f'{best.reward:.3f} dB')
                found.sort(key=lambda item: _quality(item[1]), reverse=True)
                trained += steps
                kept = plan[rung + 1][0] if rung + 1 < len(plan) else 1
                rungs.append(Rung(trained, [score for _, score in found], kept))
                self._forget(rung, {index for index, _ in found[:kept]})
                candidates = [(index, score.genotype) for index, score in found[:kept]]
        self.state = read_pth(self._path(len(plan) - 1, candidates[0][0]))['params']
        return rungs

    def _train(self, rung, index, genotype, steps, trained):
        """float: PSNR of a candidate after a rung, in dB; its weights and optimizer are saved."""
        net, optimizer = self.training.inherited(genotype), None
        if rung:
            state = read_pth(self._path(rung - 1, index))
            net.load_state_dict(state['params'])
            optimizer = state['optimizer']
        optimizer = self.training.train(net, steps, trained, steps // WARMUP_SHARE, optimizer)
        state = {name: tensor.detach().cpu() for name, tensor in net.state_dict().items()}
        save_tensors({'params': state, 'optimizer': optimizer}, self._path(rung, index))
        return self.training.score(net)

    def _forget(self, rung, survivors):
        """Remove the weights that no later rung starts from."""
        for path in self.results.folder.glob('rung_*.pth'):
            of_rung, index = map(int, path.stem.split('_')[1:])
            if of_rung < rung or (of_rung == rung and index not in survivors):
                path.unlink()

    def _path(self, rung, index):
        return self.results.folder / f'rung_{rung}_{index}.pth'


def _quality(score):
    return score.reward if math.isfinite(score.reward) else -math.inf
