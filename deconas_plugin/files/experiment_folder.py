"""The folder of an experiment: what lies where in it, and which files belong together."""
import json
from pathlib import Path

import yaml

from deconas_plugin.errors import DataError


class ExperimentFolder:
    """``experiments/<name>``: the files of a search or a training, whether they are there or not. It is path-like.

    Args:
        path (str | Path): The folder.

    Attributes:
        options (Path): What a search runs with, with all defaults; :attr:`options_file` is that of a training.
        history, probabilities, signal (Path): Of a search, a line per scored genotype, or per controller round: what
            was scored, how likely every bit is, and whether rewards rank.
        models, states (Path): Folders of networks and of training states.
        visualization (Path): Folder of validation images.
        timing (Path): Seconds spent by part.
        report (Path): The page that shows it all.
        halvings (Path): Folder of what derivations by halving keep, to be continued.
        rank (Path): Folder of what ``deconas rank`` finds.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.options = self.path / 'options.yml'
        self.history = self.path / 'search_history.jsonl'
        self.probabilities = self.path / 'bit_probabilities.jsonl'
        self.signal = self.path / 'signal.jsonl'
        self.models = self.path / 'models'
        self.states = self.path / 'training_states'
        self.visualization = self.path / 'visualization'
        self.timing = self.path / 'timing.json'
        self.report = self.path / 'report.html'
        self.halvings = self.path / 'halving'
        self.rank = self.path / 'rank'

    def __fspath__(self):
        return str(self.path)

    @classmethod
    def named(cls, root, name):
        """ExperimentFolder: The one of a name, where ``experiments`` is in the folder ``root``."""
        return cls(Path(root, 'experiments', name))

    @classmethod
    def of(cls, opt):
        """ExperimentFolder: That of the options (dict) of a run."""
        return cls(opt['path']['experiments_root'])

    @classmethod
    def of_weights(cls, path):
        """ExperimentFolder | None: The one whose ``models`` hold a weight file; None for any other file."""
        folder = Path(path).absolute().parent
        return cls(folder.parent) if folder.name == 'models' else None

    @property
    def options_file(self):
        """Path: ``options.yml``, or the option file that BasicSR copied here."""
        files = [self.options, *sorted(self.path.glob('*.yml'))]
        return next((file for file in files if file.is_file()), files[0])

    @property
    def logs(self):
        """list[Path]: Of all runs, in order."""
        return sorted(self.path.glob('train_*.log'), key=lambda file: file.stat().st_mtime)

    def log(self, name, time):
        """Path: Of the run of an experiment (its name) that began at a time (text)."""
        return self.path / f'train_{name}_{time}.log'

    def weights(self, label='net_g', iteration='latest'):
        """Path: The network ``label``, ``net_g`` or ``net_c``, after so many weight steps."""
        return self.models / f'{label}_{iteration}.pth'

    def numbered_weights(self, label):
        """dict[Path, int]: The weight files of a label that are named after their weight steps, and these."""
        names = {path: path.stem.removeprefix(f'{label}_') for path in self.models.glob(f'{label}_*.pth')}
        return {path: int(name) for path, name in names.items() if name.isdecimal()}

    def weights_at(self, iteration):
        """list[Path]: Of all networks after so many weight steps."""
        return list(self.models.glob(f'net_*_{iteration}.pth'))

    def state(self, iteration):
        """Path: The training state after so many weight steps."""
        return self.states / f'{iteration}.state'

    def all_states(self):
        """list[Path]: The training states, oldest first; their stems are weight steps."""
        return sorted((path for path in self.states.glob('*.state') if path.stem.isdecimal()),
                      key=lambda path: int(path.stem))

    def derived(self, name='derived'):
        """DerivedFolder: Of the derivation of this name."""
        return DerivedFolder(self.path / name)

    def read_text(self, path):
        """str: What a file of this folder holds.

        Raises:
            DataError: It is not there yet, or no text.
        """
        try:
            return path.read_text(encoding='utf-8')
        except OSError as error:
            raise DataError(f'no {path.relative_to(self.path)} in the folder yet') from error
        except UnicodeDecodeError as error:
            raise DataError(f'{path.relative_to(self.path)}: expected text') from error

    def read_mapping(self, path):
        """dict: What a YAML file of this folder holds.

        Raises:
            DataError: It is not there yet, or no mapping.
        """
        try:
            content = yaml.safe_load(self.read_text(path))
        except yaml.YAMLError as error:
            raise DataError(f'{path.name}: {" ".join(str(error).split())}') from error
        if not isinstance(content, dict):
            raise DataError(f'{path.name}: expected a YAML mapping')
        return content

    def read_lines(self, path):
        """list[dict]: Every whole line of a ``.jsonl`` of this folder; a run may be in the middle of writing the last,
        or have been killed there.

        Raises:
            DataError: It is not there yet, or a line is no JSON object.
        """
        rows = []
        for number, line in enumerate(self.read_text(path).split('\n')[:-1], 1):
            try:
                rows.append(dict(json.loads(line)))
            except (TypeError, ValueError) as error:
                raise DataError(f'{path.relative_to(self.path)}: line {number}: expected a JSON object') from error
        return rows


class DerivedFolder:
    """What a derivation writes.

    Args:
        path (str | Path): The folder, inside that of the search.

    Attributes:
        genotype (Path): The network that was found, what it earned and costs, and where it comes from.
        weights (Path): Those that it inherits.
        front (Path): Folder of the genotypes of the Pareto front, one file each, cheapest first.
        halving (Path): What candidates earned in every rung of a halving, where there was one.
    """

    def __init__(self, path):
        self.path = Path(path)
        self.genotype = self.path / 'genotype.yml'
        self.weights = self.path / 'net_g_inherited.pth'
        self.front = self.path / 'front'
        self.halving = self.path / 'halving.jsonl'

    @property
    def search(self):
        """ExperimentFolder: That of the search."""
        return ExperimentFolder(self.path.parent)

    def options(self, task, name):
        """Path: The option file for a task, 'train' or 'test', of the experiment with this name."""
        return self.path / f'{task}_{name}.yml'

    def options_files(self, task):
        """list[Path]: Those for a task that are there."""
        return sorted(self.path.glob(f'{task}_*.yml'))

    def front_file(self, number):
        """Path: The genotype at a place of the front, counted from 1."""
        return self.front / f'genotype_{number}.yml'

    def front_files(self):
        """list[Path]: The genotypes of the front, cheapest first."""
        return sorted(self.front.glob('*.yml'), key=lambda path: int(path.stem.rpartition('_')[2]))


def derivations_beside(weights):
    """Where a network may come from.

    Args:
        weights (str | Path): Its weights.

    Returns:
        list[DerivedFolder]: The folder that the weights are in; for those of an experiment all derivations of all
        experiments beside it.
    """
    beside = [Path(weights).absolute().with_name('genotype.yml')]
    experiment = ExperimentFolder.of_weights(weights)
    if experiment:
        beside += sorted(experiment.path.parent.glob('*/*/genotype.yml'))
    return [DerivedFolder(path.parent) for path in beside if path.is_file()]
