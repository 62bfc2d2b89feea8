"""What a search has seen, one line per scored genotype, readable while it runs."""
import json
import math
import os
import time

import numpy as np
from basicsr.utils import get_root_logger

from deconas_plugin.files.atomic import explained
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.space.genotype import Genotype


class SearchHistory:
    """Appends to ``search_history.jsonl``, ``bit_probabilities.jsonl`` and ``signal.jsonl`` in an experiment folder.

    Args:
        folder (str | Path): The experiment folder.
        counter (ComplexityCounter): Counts the genotypes' cost.
        writes (bool): Whether this process writes the files; of several, one does. Default: True.
    """

    def __init__(self, folder, counter, writes=True):
        self.writes = writes
        files = ExperimentFolder(folder)
        self.scores_path, self.probabilities_path, self.signal_path = files.history, files.probabilities, files.signal
        self.counter = counter
        self.started = time.time()
        self._round, self._best = [], None

    def add_scores(self, current_iter, step, scores, log, patches=None):
        """Record the genotypes of one controller step.

        Args:
            current_iter (int): Weight steps so far.
            step (int): Controller step of this round.
            scores (list[Score]): What they earned.
            log (dict[str, float]): What the strategy said of this step.
            patches (int | None): Which patches of this round scored them. Default: some of this step's own.
        """
        lines = []
        for score in scores:
            cost = self.counter.count(score.genotype)
            lines.append({
                'iter': current_iter,
                'step': step,
                'patches': step if patches is None else patches,
                'genotype': str(score.genotype),
                'psnr': score.psnr,
                'penalties': score.penalties,
                **log,
                'reward': score.reward,
                **cost.figures(),
                'time': round(time.time() - self.started, 3),
            })
        if self._round and self._round[0]['iter'] != current_iter:
            self._round = []  # other weights
        self._round += lines
        self._best = None
        self._append(self.scores_path, lines)

    def add_probabilities(self, current_iter, probabilities):
        """Record how likely each bit is: list[float], num_bits of them."""
        self._append(self.probabilities_path, [{
            'iter': current_iter,
            'probabilities': [round(value, 5) for value in probabilities]
        }])

    def add_signal(self, current_iter, signal):
        """Record the RewardSignal of a round."""
        self._append(self.signal_path, [{'iter': current_iter, **signal.figures()}])

    @property
    def probabilities(self):
        """list[list[float]]: Of every round so far, (rounds, bits)."""
        lines = self.probabilities_path.read_text(encoding='utf-8').splitlines()
        return [json.loads(line)['probabilities'] for line in lines]

    @property
    def best(self):
        """str: The genotype of the last round with the highest reward, patches made :func:`comparable`, and what it
        earned beyond the mean of the round."""
        found = self._found()
        return f'{found["genotype"]} ({found["gain"]:+.3f} dB)' if found else 'none'

    def _found(self):
        if self._best is None and self._round:
            keys = ('reward', 'psnr', 'iter', 'patches')
            rewards, psnrs, iterations, patches = np.array([[line[key] for key in keys] for line in self._round]).T
            rewards = rewards + comparable(psnrs, iterations, patches) - psnrs
            best = rewards.argmax()
            self._best = {'gain': float(rewards[best] - rewards.mean()), 'genotype': self._round[best]['genotype']}
        return self._best

    def state_dict(self):
        """dict: Where the files and the search are now. What they hold up to here survives a power failure."""
        paths = (self.scores_path, self.probabilities_path, self.signal_path)
        return {
            'sizes': {path.name: _synced_size(path) for path in paths},
            'seconds': time.time() - self.started,
            'best': self._found(),
        }

    def load_state_dict(self, state):
        """Continue from :meth:`state_dict`: what was written after it is cut off, as it will be written again.

        Raises:
            StorageError: A file cannot be cut.
        """
        self.started = time.time() - state['seconds']
        self._round, self._best = [], state['best']
        if self.writes:
            for name, size in state['sizes'].items():
                _cut(self.scores_path.with_name(name), size)

    def _append(self, path, lines):
        if self.writes:
            with explained(path), open(path, 'a', encoding='utf-8') as file:
                file.writelines(json.dumps(line) + '\n' for line in lines)


def read_history(folder, space, last_iter=math.inf):
    """Read what a search has scored.

    Args:
        folder (str | Path): The experiment folder.
        space (SearchSpace): Of the search.
        last_iter (int): Up to this weight step. Default: all.

    Returns:
        tuple[list[Genotype], list[float]]: The genotypes in the order in which they were scored, and their rewards.
    """
    files = ExperimentFolder(folder)
    lines = files.read_lines(files.history) if files.history.is_file() else ()
    scored = [(Genotype.from_text(space, line['genotype']), line['reward']) for line in lines
              if line['iter'] <= last_iter]
    return [genotype for genotype, _ in scored], [reward for _, reward in scored]


def comparable(values, iterations, patches):
    """Take the luck of the patches out of scores.

    A controller step may score its genotypes on patches of its own, and patches differ by more decibels than genotypes
    do. What the mean on the same patches deviates from the mean of the round is therefore subtracted; that is nothing
    where the whole round has the same ones. Patches that scored a single genotype leave it as it is: there is nothing
    to compare it with.

    Args:
        values (ndarray): (n,), scores in dB; NaN where there is none.
        iterations (ndarray): (n,), the round of each.
        patches (ndarray): (n,), a number for each draw of patches within the round.

    Returns:
        ndarray: (n,), in dB.
    """
    means, counts = _group_means(values, np.stack([iterations, patches], axis=1))
    if not (counts > 1).any():
        return values
    round_means, _ = _group_means(values, iterations[:, None])
    return np.where(counts > 1, values - means + round_means, values)


def _group_means(values, keys):
    """tuple[ndarray]: For every value the mean of its group and how many finite values that has."""
    _, groups = np.unique(keys, axis=0, return_inverse=True)
    groups = groups.reshape(-1)
    finite = np.isfinite(values)
    counts = np.bincount(groups, finite)
    sums = np.bincount(groups, np.where(finite, values, 0))
    return (sums / np.maximum(counts, 1))[groups], counts[groups]


def _synced_size(path):
    if not path.exists():
        return 0
    with explained(path), open(path, 'rb+') as file:
        os.fsync(file.fileno())
        return file.seek(0, os.SEEK_END)


def _cut(path, size):
    with explained(path), open(path, 'ab') as file:
        if file.tell() < size:
            get_root_logger().warning(f'{path}: {size - file.tell()} bytes are missing at its end; the lines that '
                                      'they held are lost, the search itself is not.')
        else:
            file.truncate(size)
