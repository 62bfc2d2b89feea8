"""Training from Python."""
from dataclasses import dataclass
from pathlib import Path

from deconas_plugin.api.searching import Derived
from deconas_plugin.archs.load import load_network
from deconas_plugin.errors import Interrupted
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.paths import option_file
from deconas_plugin.machine.console import quiet_console
from deconas_plugin.runs.pipeline import run_training
from deconas_plugin.visual.experiment import Experiment
from deconas_plugin.visual.report import write_report


@dataclass(frozen=True)
class Trained:
    """A training that is done.

    Attributes:
        folder (Path): The experiment's.
        weights (Path): Those of the last step.
    """
    folder: Path
    weights: Path

    @property
    def metrics(self):
        """dict[str, float]: The last of every metric of every validation set, as ``set/metric``."""
        return {'/'.join(name): float(values[-1])
                for name, (_, values) in Experiment(self.folder).log['metrics'].items()}

    def network(self, device='cpu'):
        """Module: The trained network."""
        return load_network(self.weights, device)

    def report(self):
        """Path: The page that shows the training, ``report.html``."""
        return write_report(self.folder)


def train(options, *, root=None, resume=False, **changes):
    """Train a network.

    Args:
        options (Derived | str | Path | dict): What was derived, or options as for :func:`deconas_plugin.search`.
        root, resume, changes: As for :func:`deconas_plugin.search`.

    Returns:
        Trained: The training.

    Raises:
        DeCoNASError: The options cannot be used (no folder was made), or training diverged.
        KeyboardInterrupt, Interrupted: Somebody, or train.max_minutes, asked to stop, and the last step has been saved;
            ``resume=True`` goes on there.
    """
    if isinstance(options, Derived):
        options = options.train_options
    quiet_console()
    try:
        opt = run_training('train', options if isinstance(options, dict) else option_file(str(options)), changes,
                           root=root and Path(root), auto_resume=resume)
    except Interrupted as interrupted:
        if interrupted.signum:
            raise KeyboardInterrupt('the last step of the training is saved; resume=True goes on there') from None
        raise Interrupted('the time of train.max_minutes is up and the last step saved; resume=True goes on there',
                          0) from None
    folder = ExperimentFolder.of(opt)
    return Trained(folder.path, folder.weights())
