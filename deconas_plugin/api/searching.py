"""Searching and deriving from Python."""
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from deconas_plugin.api.space import Candidate, Space
from deconas_plugin.archs.load import load_network
from deconas_plugin.cost.pareto import pareto_front
from deconas_plugin.errors import DataError, Interrupted, OptionError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import option_text, read_yaml
from deconas_plugin.files.paths import option_file, project_root, shown
from deconas_plugin.machine.console import quiet_console
from deconas_plugin.options.check_search import check_rounds
from deconas_plugin.options.trial import check_network_builds
from deconas_plugin.runs.derivation import run_derivation
from deconas_plugin.runs.pipeline import checked_options, training_steps
from deconas_plugin.search.build import SearchParts
from deconas_plugin.search.halving import HalvingOptions
from deconas_plugin.search.reward import Score
from deconas_plugin.space.genotype import Genotype
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report import write_report


@dataclass(frozen=True)
class Round:
    """A controller round of a search.

    Attributes:
        iter (int): Weight steps so far.
        candidates (list[Candidate]): What was scored, the best reward first, the luck of their patches taken out.
        figures (dict[str, float]): What the log says of it: mean psnr, reward, entropy and others.
    """
    iter: int
    candidates: list = field(repr=False)
    figures: dict = field(repr=False)

    @property
    def best(self):
        """Candidate: The one with the highest reward."""
        return self.candidates[0]

    def __str__(self):
        return f'iter {self.iter:,}: best reward {self.best.reward:.3f} dB, {self.best}'


class Search:
    """A search. It runs while it is iterated over, and yields a :class:`Round` after every controller round.

    Whoever leaves the loop, or interrupts it, finds the last step saved; the next loop goes on there. What it writes is
    what ``deconas search`` writes, so that one can continue, derive and report what the other has begun.

    Attributes:
        options (dict): The checked options.
        folder (Path): The experiment's.
        space (Space): What is searched.
    """

    def __init__(self, options, changes, root=None, resume=False):
        self._root = Path(root or project_root())
        if not isinstance(options, dict):
            options = option_file(str(options))
        self.options = checked_options('search', options, changes)
        check_rounds(self.options)
        self.folder = ExperimentFolder.named(self._root, self.options['name']).path
        self.space = _space(self.options)
        self._begun, self._ended = resume, False

    def __iter__(self):
        if self._ended:
            return
        begun, self._begun = self._begun, True
        quiet_console()
        try:
            with closing(training_steps('search', self.options, f'{self.options["name"]}.yml',
                                        option_text(self.options), root=self._root, auto_resume=begun)) as steps:
                next(steps)  # before the first step; after a round, where the search goes on
                for running in steps:
                    if self._has_round(running.iter) and (found := self._round(running)):
                        with running.stop.resting():
                            yield found
            self._ended = True
        except Interrupted as interrupted:
            if interrupted.signum:
                raise KeyboardInterrupt('the last step of the search is saved; iterate again to go on') from None

    def run(self):
        """Search: Itself, after all rounds."""
        for _ in self:
            pass
        return self

    @property
    def experiment(self):
        """Experiment: What the folder holds now.

        Raises:
            DataError: Nothing so far.
        """
        if not self._begun:
            raise DataError(f'{shown(self.folder)}: the search has not begun; iterate over it, or run() it')
        return Experiment(self.folder)

    @property
    def history(self):
        """dict[str, ndarray]: A column for all that was recorded of every scored genotype, for ``pandas.DataFrame``;
        the luck of the patches is taken out of psnr and reward."""
        columns = self.experiment.history
        penalties = {f'penalty_{name}': column for name, column in columns['penalties'].items()}
        return {'genotype': columns['genotype'],
                **{name: column for name, column in columns.items() if name not in ('genotype', 'penalties')},
                **penalties}

    @property
    def rounds(self):
        """list[int]: The weight steps after which there was a round."""
        return sorted({int(iteration) for iteration in self.experiment.history['iter']})

    @property
    def best(self):
        """Candidate: The highest reward of the last round."""
        return self._candidates(self.rounds[-1])[0]

    @property
    def front(self):
        """list[Candidate]: What no other of the last round beats in PSNR and cost at once, cheapest first."""
        last = self._candidates(self.rounds[-1])
        scores = [Score(candidate.genotype, candidate.psnr, {}) for candidate in last]
        chosen = pareto_front(scores, self.space.counter, self._measures)
        by_genotype = {candidate.genotype: candidate for candidate in last}
        return [by_genotype[score.genotype] for score in chosen]

    def derive(self, **keywords):
        """Derived: See :func:`deconas_plugin.derive`."""
        return derive(self, **keywords)

    def report(self):
        """Path: The page that shows all of it, ``report.html``."""
        return write_report(self.folder)

    @property
    def _measures(self):
        strategy = self.options['search']['strategy']
        return self.options['derive'].get('front') or strategy.get('measures') or None

    def _has_round(self, iteration):
        search = self.options['search']
        return iteration > search['warmup_iter'] and iteration % search['controller_freq'] == 0

    def _round(self, running):
        """Round | None: That of this step; where no reward was usable there is none."""
        candidates = self._candidates(running.iter)
        figures = {name.removeprefix('search/'): value for name, value in running.model.round_log.items()}
        return Round(running.iter, candidates, figures) if candidates else None

    def _candidates(self, iteration):
        """list[Candidate]: Of a round, every genotype once, best first."""
        history = self.experiment.history
        found = {}
        for row in (history['iter'] == iteration).nonzero()[0]:
            psnr, reward = float(history['psnr'][row]), float(history['reward'][row])
            before = found.get(history['genotype'][row])
            if before is None or reward > before.reward:
                found[history['genotype'][row]] = self.space.candidate(str(history['genotype'][row]), psnr, reward)
        return sorted(found.values(), key=lambda candidate: candidate.reward, reverse=True)


@dataclass(frozen=True)
class Derived:
    """A network that was derived from a search. A notebook shows its drawing.

    Attributes:
        candidate (Candidate): What it is and what it earned.
        front (list[Candidate]): What no other candidate of the derivation beats in PSNR and cost at once.
        folder (Path): Its files.
        train_options, test_options (Path): Option files that train and test it.
        weights (Path): Those inherited from the search.
    """
    candidate: Candidate
    front: list = field(repr=False)
    folder: Path
    train_options: Path
    test_options: Path
    weights: Path

    def network(self, device='cpu'):
        """DeCoNASNet: The network with the inherited weights."""
        return load_network(self.weights, device)

    def _repr_svg_(self):
        return self.candidate._repr_svg_()


def search(options, *, root=None, resume=False, **changes):
    """Search a network; see :class:`Search`, which runs while it is iterated over.

    Args:
        options (str | Path | dict): An option file, the name of one that comes with the plugin, or the options.
        root (str | Path | None): Folder of ``experiments``. Default: as for ``deconas search``.
        resume (bool): Go on where an earlier search of this name stopped, which is else kept under another name.
        changes: Options that differ: ``name='mine'``, ``train={'total_iter': 9}`` or ``**{'train.total_iter': 9}``.
            A dict changes what it names; one with a ``type`` takes the place of the section.

    Returns:
        Search: The search.

    Raises:
        DeCoNASError: The options cannot be used. No folder was made.
    """
    return Search(options, changes, root, resume)


def derive(searched, name='derived', *, iteration=None, num_samples=None, max_params=None, max_mult_adds=None,
           max_latency=None, latency_table=None, halving=None):
    """Derive a network from a search, within a budget if there is one.

    Args:
        searched (Search | str | Path): The search, or its experiment folder.
        name (str): Folder for the files, inside it.
        iteration (int | None): Which checkpoint. Default: the latest.
        num_samples (int | None): Genotypes to score. Default: as in the options.
        max_params, max_mult_adds, max_latency (float | None): Budget. Default: as in the options.
        latency_table (str | Path | None): Default: that of the search.
        halving (tuple | dict | None): What :class:`HalvingOptions` takes: candidates, steps and rungs, and more, in
            order or by name. Default: as in the options.

    Returns:
        Derived: The network and its files.

    Raises:
        DeCoNASError: There is no such search or checkpoint, or nothing keeps within the budget.
    """
    folder = searched.folder if isinstance(searched, Search) else Path(searched)
    if halving:
        try:
            halving = HalvingOptions(**halving) if isinstance(halving, dict) else HalvingOptions(*halving)
        except TypeError:
            raise OptionError(f'halving: expected candidates, steps and rungs, and start and generations if need be, '
                              f'got {halving!r}') from None
    files = run_derivation(folder, name, iteration, num_samples, max_params, max_mult_adds, max_latency,
                           latency_table, halving)
    space = searched.space if isinstance(searched, Search) else _space(Experiment(folder).options)
    front = [_read(path, space) for path in files.front_files()]
    return Derived(_read(files.genotype, space), front, files.path, files.train_options, files.test_options,
                   files.weights)


def _space(options):
    """Space: That of a search's options."""
    supernet = check_network_builds(options['network_g'], 'network_g')
    return Space(supernet, SearchParts(options, supernet).counter)


def _read(path, space):
    """Candidate: Of a ``genotype.yml`` of a derivation."""
    found = read_yaml(path, 'derive')['result']
    return space.candidate(Genotype.load(path), found.get('psnr'), found.get('reward'))
