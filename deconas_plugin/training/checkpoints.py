"""Training states: captured, found on disk, checked to be whole, compared with the options, thinned out."""
import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from basicsr.utils import get_time_str

from deconas_plugin.errors import DeCoNASError, OptionError, WeightsError
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import flat_options
from deconas_plugin.files.paths import below_root
from deconas_plugin.files.states import load_state, read_pth

# A state belongs to these; with others its numbers would load and mean something else.
FIXED = ('model_type', 'scale', 'network_g', 'network_c', 'train.optim_g', 'search.strategy', 'search.penalty',
         'search.reward')


def capture_random_state():
    """dict: The states of the generators of Python, NumPy, PyTorch and, where there is one, this process's GPU."""
    _, keys, position, has_gauss, gauss = np.random.get_state()
    return {
        'python': random.getstate(),
        'numpy': {'keys': torch.from_numpy(keys.astype(np.int64)), 'position': position, 'has_gauss': has_gauss,
                  'gauss': gauss},
        'torch': torch.get_rng_state(),
        'cuda': torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def restore_random_state(state):
    """Continue from :func:`capture_random_state`; a GPU's state is left out where the state or the process has none."""
    random.setstate(state['python'])
    numpy = state['numpy']
    keys = numpy['keys'].cpu().numpy().astype(np.uint32)
    np.random.set_state(('MT19937', keys, numpy['position'], numpy['has_gauss'], numpy['gauss']))
    torch.set_rng_state(state['torch'].cpu())
    if state['cuda'] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@dataclass
class Checkpoint:
    """A training state and the networks beside it.

    Attributes:
        path (Path): ``training_states/<iter>.state``.
        state (dict): What it holds.
        notes (list[str]): What to say in the log about finding it.
    """
    path: Path
    state: dict
    notes: list


def find_checkpoint(opt):
    """The checkpoint that the options ask to continue from.

    Args:
        opt (dict): Options of a run. With ``auto_resume`` the newest whole checkpoint of the experiment is taken,
            else ``path.resume_state``.

    Returns:
        Checkpoint | None: None to start anew.

    Raises:
        WeightsError: ``path.resume_state`` is not whole, or none of the newer states is.
        OptionError: ``path.resume_state`` belongs to another experiment.
    """
    folder = ExperimentFolder.of(opt)
    if not opt['auto_resume']:
        given = opt['path'].get('resume_state')
        if given is None:
            return None
        if Path(given).resolve().parent != folder.states.resolve():
            raise OptionError(f'path.resume_state: expected a file of {folder.states}, got {given}; to start a new '
                              'experiment from its weights give path.pretrain_network_g')
        return _open(Path(given), opt)
    states, notes = folder.all_states(), []
    for path in reversed(states):
        try:
            found = _open(path, opt)
        except WeightsError as error:
            notes.append(f'Not whole, so an older checkpoint is taken: {error}')
        else:
            found.notes.extend(notes)
            return found
    if states:
        raise WeightsError(f'{folder.states}: none of {len(states)} checkpoints is whole; {notes[0]}. '
                           'Start anew without --auto_resume')
    return None


def prune_checkpoints(folder, keep, network_freq):
    """Remove all but the newest ``keep`` training states.

    The networks of every ``network_freq``-th iteration stay; those of checkpoints in between, which a signal or the
    clock has asked for, go with their states.

    Args:
        folder (ExperimentFolder): Of the run.
        keep (int): How many states.
        network_freq (float): ``logger.save_checkpoint_freq``.
    """
    for path in folder.all_states()[:-keep]:
        path.unlink(missing_ok=True)
        if int(path.stem) % network_freq:
            for network in folder.weights_at(path.stem):
                network.unlink(missing_ok=True)


def set_newer_aside(folder, iteration):
    """Rename the states that are newer than the one a run continues from: they are broken, or of another future.

    Args:
        folder (ExperimentFolder): Of the run.
        iteration (int): Where it continues.

    Returns:
        list[str]: What to say in the log about it.
    """
    notes = []
    for path in folder.all_states():
        if int(path.stem) > iteration:
            path.replace(path.with_name(f'{path.name}_archived_{get_time_str()}'))
            notes.append(f'Set aside, as this run continues before it: {path}')
    return notes


def _open(path, opt):
    state = read_pth(path)
    kinds = {'iter': int, 'epoch': int, 'optimizers': list, 'schedulers': list}
    for key, kind in kinds.items():
        if not isinstance(state, dict) or not isinstance(state.get(key), kind):
            raise WeightsError(f'{path}: expected a training state with {", ".join(kinds)}')
    for key in opt:
        if key.startswith('network_'):
            load_state(ExperimentFolder.of(opt).weights(f'net_{key.removeprefix("network_")}', state['iter']))
    return Checkpoint(path, state, [])


def check_changes(before, now):
    """Compare the options of a run with those that it is to be continued with.

    Args:
        before, now (dict): Options as the file gives them.

    Returns:
        list[str]: What has changed, as 'key: before -> now'.

    Raises:
        OptionError: A key has changed that the state belongs to.
    """
    before, now = ({key: below_root(value) for key, value in flat_options(opt).items()} for opt in (before, now))
    changed = [key for key in {**before, **now} if before.get(key) != now.get(key) and not key.startswith('path.')]
    for key in changed:
        is_fixed = any(key == fixed or key.startswith(f'{fixed}.') for fixed in FIXED)
        # With shared weights or without is another search.
        if is_fixed or key == 'train.total_iter' and 0 in (before.get(key), now.get(key)):
            raise OptionError(f'{key}: this run began with {before.get(key)!r} and cannot be continued with '
                              f'{now.get(key)!r}; put it back, or begin an experiment of another name')
    return [f'{key}: {before.get(key)} -> {now.get(key)}' for key in changed]


def restore(model, checkpoint):
    """Give a model the state of a checkpoint.

    Raises:
        WeightsError: The state is that of another model.
    """
    try:
        model.resume_training(checkpoint.state)
    except DeCoNASError:
        raise
    except (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise WeightsError(f'{checkpoint.path}: the state does not fit this model ({error}); '
                           'take another one, or start anew') from error
