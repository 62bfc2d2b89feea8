"""Reads what a search or a training has written into its experiment folder, finished or not."""
import json
import math
from functools import cached_property

import numpy as np

from deconas_plugin.cost.count import ComplexityCounter
from deconas_plugin.errors import DataError, DeCoNASError, GenotypeError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.search.history import comparable
from deconas_plugin.search.reward import RewardSignal
from deconas_plugin.space.choices import PAPER_ACTIVATION, PAPER_ATTENTION
from deconas_plugin.space.genotype import Genotype
from deconas_plugin.space.spaces import SPACES, build_space, complete
from deconas_plugin.visual.train_log import parse_log

PUBLISHED = 'DeCoNASNet_x2'


class Experiment:
    """An experiment folder. Every property raises DataError, with the reason, where its file is missing or broken.

    Args:
        folder (str | Path): ``experiments/<name>``.

    Attributes:
        folder (ExperimentFolder): Its files.

    Raises:
        DataError: There is no such folder.
    """

    def __init__(self, folder):
        self.folder = ExperimentFolder(folder)
        if not self.folder.path.is_dir():
            raise DataError(f'{folder}: expected the folder of an experiment, such as experiments/search_x2')

    @property
    def name(self):
        """str: Name of the experiment."""
        return self.folder.path.resolve().name

    @cached_property
    def options(self):
        """dict: The options that it runs with."""
        return self.folder.read_mapping(self.folder.options_file)

    @property
    def options_text(self):
        """str: The option file as it stands."""
        return self.folder.read_text(self.folder.options_file)

    @cached_property
    def history(self):
        """dict[str, ndarray]: Every number of ``search_history.jsonl`` as a column over the scored genotypes, NaN where
        a row has none; ``genotype`` holds their bits, ``penalties`` a dict of columns. ``psnr``, ``reward`` and its
        baseline are made comparable between steps, see :func:`deconas_plugin.search.history.comparable`."""
        rows = self._rows(self.folder.history)
        missing = {'iter', 'genotype', 'psnr', 'reward'} - set(rows[0])
        if missing:
            raise DataError(f'search_history.jsonl: expected the key {sorted(missing)[0]} in every line')
        columns = _columns(rows)
        if 'step' in columns:
            patches = columns.get('patches', columns['step'])  # an earlier version drew some for every step
            psnr = comparable(columns['psnr'], columns['iter'], np.where(np.isnan(patches), columns['step'], patches))
            luck = columns['psnr'] - psnr
            columns['psnr'] = psnr
            columns['reward'] -= luck
            # The mean of a step's rewards has their luck; a moving average has that of many steps, not of this one.
            if 'baseline' in columns and self._baseline_is_of_the_step:
                columns['baseline'] -= luck
        columns['genotype'] = np.array([str(row.get('genotype')) for row in rows])
        columns['penalties'] = _columns([row.get('penalties') or {} for row in rows])
        return columns

    @property
    def _baseline_is_of_the_step(self):
        try:
            return self.options['search']['strategy'].get('baseline') == 'leave_one_out'
        except (DeCoNASError, AttributeError, LookupError, TypeError):
            return False

    @cached_property
    def bit_probabilities(self):
        """tuple[ndarray, ndarray]: Iterations (rounds,) and the probability of every bit, (rounds, bits)."""
        rows = self._rows(self.folder.probabilities)
        try:
            probabilities = np.array([row['probabilities'] for row in rows], dtype=float)
            return np.array([row['iter'] for row in rows], dtype=float), probabilities
        except (KeyError, ValueError) as error:
            raise DataError('bit_probabilities.jsonl: expected iter and as many probabilities in every line') from error

    @cached_property
    def signal(self):
        """tuple[ndarray, list[RewardSignal]]: Iterations (rounds,), and what the rewards of each round said."""
        rows = self._rows(self.folder.signal)
        try:
            signals = [RewardSignal(*(float(row[name]) for name in ('spread', 'noise', 'block_gain'))) for row in rows]
            return np.array([row['iter'] for row in rows], dtype=float), signals
        except (KeyError, TypeError, ValueError) as error:
            raise DataError('signal.jsonl: expected iter, spread, noise and block_gain in every line') from error

    @cached_property
    def timing(self):
        """dict[str, float]: Seconds spent by part."""
        text = self.folder.read_text(self.folder.timing)
        try:
            return {str(key): float(value) for key, value in json.loads(text).items()}
        except (AttributeError, TypeError, ValueError) as error:
            raise DataError('timing.json: expected seconds by part') from error

    @cached_property
    def derived(self):
        """dict: ``derived/genotype.yml``, with the genotype itself in ``genotype``."""
        content = self.folder.read_mapping(self.folder.derived().genotype)
        return {**content, 'genotype': Genotype.from_dict(content.get('genotype') or {})}

    @cached_property
    def log(self):
        """dict: ``losses`` and ``metrics``, each {name: (iterations, values)}, from the training logs in order."""
        files = self.folder.logs
        if not files:
            raise DataError('no train_*.log in the folder yet')
        # What follows the last line break is still being written.
        texts = (file.read_text(encoding='utf-8', errors='replace') for file in files)
        return parse_log(line for text in texts for line in text.split('\n')[:-1])

    @cached_property
    def space(self):
        """SearchSpace: The one that was searched."""
        network = self.network
        try:
            options = {key: value for key, value in self._completed.items() if key not in ('tail', 'residual')}
            return build_space(**options, search_fusion=network.get('search_fusion', False),
                               share_blocks=network.get('share_blocks', True))
        except (DeCoNASError, TypeError) as error:
            raise DataError(f'{self.folder.options_file.name}: network_g: {error}') from error

    @property
    def _completed(self):
        """dict: The options of ``network_g`` that a named space may say."""
        network = self.network
        return complete(network.get('space', 'paper'), **{key: network.get(key) for key in SPACES['paper']})

    @property
    def tail_and_residual(self):
        """dict[str, str]: Of the network; of one that is derived from public weights they are the paper's."""
        return {key: self._completed[key] for key in ('tail', 'residual')}

    @property
    def network(self):
        """dict: The options of ``network_g``."""
        network = self.options.get('network_g')
        if not isinstance(network, dict):
            raise DataError(f'{self.folder.options_file.name}: expected network_g, found none')
        return network

    @property
    def is_derived(self):
        """bool: Whether the search has come to its end."""
        return self.folder.derived().genotype.is_file()

    @cached_property
    def halving(self):
        """list[dict]: What every candidate earned in every rung of the halving that derived the network, in order;
        empty where there was none."""
        rungs = self.folder.derived().halving
        rows = self._rows(rungs) if rungs.is_file() else []
        return [{'generation': 1, **row} for row in rows]  # an earlier version knew no other

    @property
    def genotype_kind(self):
        """str: What :attr:`genotype` is."""
        return 'derived' if self.is_derived else 'trained' if 'genotype' in self.network else 'best of the last round'

    @cached_property
    def genotype(self):
        """Genotype: Derived; before that the best of the last round; of a training, the one that is trained."""
        if self.is_derived:
            return self.derived['genotype']
        if self.network.get('genotype'):
            return self._parse(self.network['genotype'])
        return self.scored(self.history['genotype'][self.best(1)[0]])

    @property
    def provenance(self):
        """dict: What the derivation wrote about where the genotype comes from; empty before."""
        provenance = self.derived.get('provenance') if self.is_derived else None
        known = provenance if isinstance(provenance, dict) else {}
        return {key: value for key, value in known.items() if value is not None}

    @property
    def psnr(self):
        """float: PSNR of :attr:`genotype` with shared weights, in dB."""
        if self.is_derived:
            psnr = (self.derived.get('result') or {}).get('psnr')
            if not isinstance(psnr, float):
                raise DataError('derived/genotype.yml: expected result.psnr')
            return psnr
        return float(self.history['psnr'][self.best(1)[0]])

    @cached_property
    def counter(self):
        """ComplexityCounter: Of the searched networks."""
        network = {**self.network, **self._completed}
        keys = ('num_feat', 'num_in_ch', 'num_out_ch', 'upscale', 'tail', 'residual')
        return ComplexityCounter(self.space, **{key: network[key] for key in keys if key in network})

    @cached_property
    def cost(self):
        """Cost: Of :attr:`genotype`."""
        return self.counter.count(self.genotype)

    @property
    def is_search(self):
        """bool: Whether it is a search, rather than the training of one network."""
        if self.folder.history.is_file():
            return True
        try:
            return 'search' in self.options
        except DataError:
            return False

    @property
    def is_halving_alone(self):
        """bool: Whether it is a search without shared weights: no training of a supernet, no controller rounds."""
        try:
            return self.is_search and self.options['train']['total_iter'] == 0
        except (DataError, LookupError, TypeError):
            return False

    @property
    def last_iteration(self):
        """int: The last one that is recorded."""
        series = [*self.log['losses'].values(), *self.log['metrics'].values()]
        if not series:
            raise DataError('the training log holds no iteration yet')
        return int(max(iterations[-1] for iterations, _ in series))

    def scored(self, text):
        """Genotype: Of the searched space, from what the history says."""
        return Genotype.from_text(self.space, str(text))

    def _parse(self, value):
        return Genotype.parse(str(value), self.space.num_block, self.space.num_layer, self.space.operations)

    def best(self, count):
        """list[int]: Rows of the history, one per genotype: of the last round by reward, then of those before it.

        Rounds scored with other weights, so that rewards of two rounds cannot be compared.
        """
        rewards = np.where(np.isfinite(self.history['reward']), self.history['reward'], -math.inf)
        rows, seen = [], set()
        for row in np.lexsort((-rewards, -self.history['iter'])):
            genotype = self.history['genotype'][row]
            if math.isfinite(rewards[row]) and genotype not in seen:
                seen.add(genotype)
                rows.append(int(row))
            if len(rows) == count:
                break
        if not rows:
            raise DataError('search_history.jsonl: no genotype has a finite reward')
        return rows

    @cached_property
    def published(self):
        """Genotype: The paper's, as a point of the searched space, with the most channels where these are searched.

        Raises:
            DataError: The space does not hold it.
        """
        try:
            published = self._parse(PUBLISHED)
        except DeCoNASError as error:
            raise DataError(f'the searched space does not hold the published network {PUBLISHED}') from error
        most = {choice.kind: choice.values[-1] for choice in self.space.choices}
        of_paper = {(decision.layer, decision.feature): published.bits[decision.place]
                    for decision in published.space.decisions}
        bits = []  # in every block the paper's, and fusions read all
        for decision in self.space.decisions:
            if decision.kind == 'operation':
                bits += of_paper[decision.layer, decision.feature]
            elif decision.kind in ('local', 'global'):
                bits += [1] * decision.num_bits
        try:
            return Genotype.placed(self.space, {**most, 'attention': PAPER_ATTENTION, 'activation': PAPER_ACTIVATION},
                                   tuple(bits))
        except GenotypeError as error:
            raise DataError(f'the searched space has no {PAPER_ATTENTION} attention with {PAPER_ACTIVATION}') from error

    def _rows(self, path):
        """list[dict]: The lines of a file, at least one."""
        rows = self.folder.read_lines(path)
        if not rows:
            raise DataError(f'{path.name}: nothing in it yet')
        return rows


def _columns(rows):
    """dict[str, ndarray]: A column for everything that is a number in some row; NaN where it is none."""
    keys = dict.fromkeys(key for row in rows for key, value in row.items() if isinstance(value, (int, float)))
    numbers = ([row.get(key) for row in rows] for key in keys)
    return {key: np.array([value if isinstance(value, (int, float)) else math.nan for value in column], dtype=float)
            for key, column in zip(keys, numbers, strict=True)}
