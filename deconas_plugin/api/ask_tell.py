"""A search that others drive: it proposes networks, and is told what they earned, wherever that was measured."""
import math
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from deconas_plugin.api.space import Candidate, search_space
from deconas_plugin.cost.pareto import pareto_front
from deconas_plugin.errors import DeCoNASError
from deconas_plugin.files.atomic import save_tensors
from deconas_plugin.files.states import read_pth
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.reward import Score


@dataclass
class Trial:
    """A network that is to be scored.

    Attributes:
        number (int): Trials are counted from 0.
        candidate (Candidate): The network; its ``psnr`` and ``reward`` are there once it is told.
        state (str): 'waiting', 'done' or 'failed'.
    """
    number: int
    candidate: Candidate = field(repr=False)
    state: str = 'waiting'

    @property
    def genotype(self):
        """Genotype: Of the network."""
        return self.candidate.genotype


class AskTell:
    """A search strategy without a supernet: :meth:`ask` for trials, score them, :meth:`tell` what they earned.

    Trials may be told in any order, one by one or together, and any number may be out at a time. What a trial is told
    is its PSNR in dB, or any other number of which more is better; the penalty is taken off it.

    Args:
        space (Space | str | dict | None): What to search, as for :func:`deconas_plugin.search_space`.
        strategy (str | dict): Name, or ``{'type': ..., keywords}``, as ``search.strategy`` of an option file. The
            default learns from single trials; 'reinforce' wants to be told several together.
        penalty (list[dict]): As ``search.penalty``: ``[{'type': 'mult_adds', 'weight': 1.0}]`` takes 1 dB off the
            largest network.
        seed (int): Of all that is drawn.

    Attributes:
        space (Space): What is searched.
        trials (list[Trial]): All of them, by number.

    Raises:
        OptionError: A keyword does not fit.
    """

    def __init__(self, space=None, strategy='evolution', penalty=(), seed=0):
        self.space = space if hasattr(space, 'counter') else search_space(space)
        options = {'type': strategy} if isinstance(strategy, str) else dict(strategy)
        parts = SearchParts({'network_c': {'type': 'DeCoNASController'}, 'manual_seed': seed,
                             'search': {'strategy': options, 'penalty': penalty}},
                            self.space.supernet, counter=self.space.counter)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.controller = parts.controller
            self._random = torch.get_rng_state()
        self.strategy, self.penalty = parts.strategy, parts.penalty
        self._settings = {'strategy': options, 'penalty': [dict(term) for term in penalty], 'bits': self.space.num_bits}
        self.trials = []

    def ask(self, count=None):
        """Propose networks.

        Args:
            count (int | None): How many. Default: one.

        Returns:
            Trial | list[Trial]: One, or a list where a number is given.
        """
        with self._own_draws():
            genotypes = self.strategy.ask(1 if count is None else count)
        new = [Trial(len(self.trials) + index, self.space.candidate(genotype))
               for index, genotype in enumerate(genotypes)]
        self.trials += new
        return new[0] if count is None else new

    def tell(self, trials, scores):
        """Learn from scores.

        Args:
            trials (Trial | list[Trial]): One or several.
            scores (float | None | list[float | None]): Of each, in dB. None, or what is not finite: it failed, and the
                strategy does not hear of it.

        Raises:
            DeCoNASError: A trial was told before, or there are not as many scores as trials.
        """
        trials, scores = ([trials], [scores]) if isinstance(trials, Trial) else (list(trials), list(scores))
        if len(trials) != len(scores):
            raise DeCoNASError(f'tell: expected a score for each of {len(trials)} trials, got {len(scores)}')
        trials, learned = [self._own(trial) for trial in trials], []
        for trial, score in zip(trials, scores, strict=True):
            if score is None or not math.isfinite(score):
                trial.state = 'failed'
                continue
            reward = Score(trial.genotype, float(score), self.penalty(trial.genotype)).reward
            trial.state, trial.candidate = 'done', replace(trial.candidate, psnr=float(score), reward=reward)
            learned.append(trial)
        if learned:
            with self._own_draws():
                self.strategy.tell([trial.genotype for trial in learned],
                                   [trial.candidate.reward for trial in learned])

    @property
    def best(self):
        """Candidate | None: The highest reward so far."""
        return max(self._done, key=lambda candidate: candidate.reward, default=None)

    @property
    def front(self):
        """list[Candidate]: What no other beats in PSNR and cost at once, cheapest first."""
        done = {candidate.genotype: candidate for candidate in sorted(self._done, key=lambda one: one.psnr)}
        scores = [Score(genotype, candidate.psnr, {}) for genotype, candidate in done.items()]
        measures = self.strategy.measures or None
        return [done[score.genotype] for score in pareto_front(scores, self.space.counter, measures)] if done else []

    @property
    def history(self):
        """dict[str, list]: A column for all that is known of every trial, for ``pandas.DataFrame``."""
        columns = {'number': [], 'genotype': [], 'state': [], 'psnr': [], 'reward': [], 'params': [], 'mult_adds': []}
        for trial in self.trials:
            candidate = trial.candidate
            row = (trial.number, str(candidate), trial.state, candidate.psnr, candidate.reward, candidate.cost.params,
                   candidate.cost.mult_adds)
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
        return columns

    def save(self, path):
        """Write all that :meth:`load` needs to go on, whole or not at all.

        Raises:
            StorageError: It cannot be written.
        """
        save_tensors({'settings': self._settings, 'strategy': self.strategy.state_dict(), 'random': self._random,
                      'controller': self.controller.state_dict(),
                      'trials': [(str(trial.genotype), trial.state, trial.candidate.psnr, trial.candidate.reward)
                                 for trial in self.trials]}, path)

    def load(self, path):
        """Go on where :meth:`save` was called, with the same arguments as there.

        Returns:
            list[Trial]: Those that are waiting to be told.

        Raises:
            DeCoNASError: It is no such file, or that of other arguments.
        """
        state = read_pth(Path(path))
        if not isinstance(state, dict) or state.get('settings') != self._settings:
            raise DeCoNASError(f'{path}: expected what a search with {self._settings} has saved')
        self.controller.load_state_dict(state['controller'])
        self.strategy.load_state_dict(state['strategy'])
        self._random = state['random']
        self.trials = [Trial(number, self.space.candidate(text, psnr, reward), condition)
                       for number, (text, condition, psnr, reward) in enumerate(state['trials'])]
        return [trial for trial in self.trials if trial.state == 'waiting']

    def _own(self, trial):
        """Trial: The one of this search that a trial, or a copy of it, is."""
        own = self.trials[trial.number] if trial.number < len(self.trials) else None
        if own is None or own.genotype != trial.genotype or own.state != 'waiting':
            raise DeCoNASError(f'tell: expected a trial that this search has proposed and that is waiting, got trial '
                               f'{trial.number}, which is {own.state if own else "of another search"}')
        return own

    @property
    def _done(self):
        return [trial.candidate for trial in self.trials if trial.state == 'done']

    @contextmanager
    def _own_draws(self):
        """Context in which the strategy draws as if nothing else did, and nothing else notices."""
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._random)
            yield
            self._random = torch.get_rng_state()
