"""What a search has seen, one line per scored genotype, readable while it runs."""
import json
import time
from pathlib import Path


class SearchHistory:
    """Appends to ``search_history.jsonl`` and ``bit_probabilities.jsonl`` in an experiment folder.

    Args:
        folder (str | Path): The experiment folder.
        counter (ComplexityCounter): Counts the genotypes' cost.
    """

    def __init__(self, folder, counter):
        self.scores_path = Path(folder, 'search_history.jsonl')
        self.probabilities_path = Path(folder, 'bit_probabilities.jsonl')
        self.counter = counter
        self.started = time.time()
        self._best = None

    def add_scores(self, current_iter, step, scores, log):
        """Record the genotypes of one controller step.

        Args:
            current_iter (int): Weight steps so far.
            step (int): Controller step of this round.
            scores (list[Score]): What they earned.
            log (dict[str, float]): What the strategy said of this step.
        """
        lines = []
        for score in scores:
            cost = self.counter.count(score.genotype)
            lines.append({
                'iter': current_iter,
                'step': step,
                'genotype': str(score.genotype),
                'psnr': score.psnr,
                'penalties': score.penalties,
                **log,
                'reward': score.reward,
                'params': cost.params,
                'mult_adds': cost.mult_adds,
                'time': round(time.time() - self.started, 3),
            })
            if self._best is None or score.reward > self._best.reward:
                self._best = score
        _append(self.scores_path, lines)

    def add_probabilities(self, current_iter, probabilities):
        """Record how likely each bit is: Tensor (num_bits,)."""
        _append(self.probabilities_path, [{
            'iter': current_iter,
            'probabilities': [round(value, 5) for value in probabilities.tolist()]
        }])

    @property
    def best(self):
        """str: The genotype of the highest reward so far, and its reward."""
        return f'{self._best.genotype} ({self._best.reward:.4f} dB)' if self._best else 'none'


def _append(path, lines):
    with open(path, 'a', encoding='utf-8') as file:
        file.writelines(json.dumps(line) + '\n' for line in lines)
