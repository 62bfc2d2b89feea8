"""Searching, training and testing as the tools run them, from an option file to the files in ``experiments``."""
import logging
import os
import sys
import tempfile
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from basicsr.models import build_model
from basicsr.test import test_pipeline as basicsr_test
from basicsr.utils import (
    check_resume,
    get_env_info,
    get_root_logger,
    get_time_str,
    init_tb_logger,
    init_wandb_logger,
    make_exp_dirs,
    mkdir_and_rename,
)
from basicsr.utils.options import dict2str

from deconas_plugin.data.sample_photos import prepare_sample_photos
from deconas_plugin.errors import Interrupted, OptionError
from deconas_plugin.files.atomic import explained, save_text
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.option_files import option_text, read_text, save_options
from deconas_plugin.files.paths import project_root, shown
from deconas_plugin.machine.timing import Deadline
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.options.check import check_options
from deconas_plugin.options.check_search import check_rounds
from deconas_plugin.options.defaults import with_defaults
from deconas_plugin.options.read import load_options
from deconas_plugin.runs.derivation import run_derivation
from deconas_plugin.training.checkpoints import check_changes, find_checkpoint, restore, set_newer_aside
from deconas_plugin.training.loaders import TrainingData, build_validation_loaders
from deconas_plugin.training.loop import Position, TrainingLoop
from deconas_plugin.training.processes import ended_children, process_group
from deconas_plugin.training.setup import PartTimes, complete_options, seed_generators
from deconas_plugin.training.signals import StopRequest, interrupted_by_signals
from deconas_plugin.visual.report import write_report

GOES_ON = 'what is finished is kept. The same command with --auto_resume continues there.'


def run_search(path, **keywords):
    """Search, derive, and report. See :func:`run_training`."""
    started = keywords.pop('started', None)
    started = time.monotonic() if started is None else started
    opt = run_training('search', path, check=check_rounds, started=started, **keywords)
    if opt['rank'] == 0:
        deadline = Deadline(opt['train'].get('max_minutes'), started)
        try:
            with interrupted_by_signals(f'Stopped in the derivation; {GOES_ON}'):
                run_derivation(opt['path']['experiments_root'], deadline=deadline)
        except Interrupted as interrupted:
            if interrupted.signum:
                raise
            raise Interrupted(f'The time of train.max_minutes is up in the derivation; {GOES_ON}', 0) from None
        print(f'Report: {shown(write_report(opt["path"]["experiments_root"]))}')


def run_train(path, **keywords):
    """Train. See :func:`run_training`."""
    run_training('train', path, **keywords)


def run_test(path, changes=None, *, launcher='none', auto_resume=False, debug=False):
    """Test, by BasicSR's pipeline. See :func:`run_training`.

    Raises:
        DeCoNASError: Options or data cannot be used; no folder was made.
    """
    opt = checked_options('test', path, changes)
    if launcher != 'none' and (opt['num_gpu'] == 0 or not torch.cuda.is_available()):
        raise OptionError('--launcher: BasicSR tests with several processes on GPUs only; leave it out')
    for dataset in opt['datasets'].values():
        # BasicSR's prefetcher waits for ever where loading fails, and its tests have no loading processes to keep.
        dataset.update(prefetch_mode=None, persistent_workers=False)
    if opt['path'].get('pretrain_network_g') is None and opt['network_g'].get('pretrained') is None:
        print('warning: path.pretrain_network_g: none given, so a network that nothing has trained is tested',
              file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, Path(path).name)
        save_options(opt, copy)
        own = sys.argv
        sys.argv = [own[0], '-opt', str(copy), '--launcher', launcher]
        sys.argv += ['--auto_resume'] * auto_resume + ['--debug'] * debug
        try:
            basicsr_test(str(project_root()))
        finally:
            sys.argv = own


def run_training(task, path, changes=None, *, root=None, check=None, launcher='none', auto_resume=False, debug=False,
                 local_rank=None, started=None):
    """Check an option file and train with it, with the files and log lines of BasicSR's ``train_pipeline``.

    Args:
        task (str): 'search' or 'train'.
        path (str | Path | dict): The option file; or the options themselves.
        changes (list[str] | dict | None): See :func:`load_options`.
        root (Path | None): Folder of ``experiments``. Default: the checkout, or the current folder.
        check (Callable[[dict], None] | None): Called with the checked options, to refuse more.
        launcher (str): See :func:`process_group`.
        auto_resume (bool): Continue from the newest training state.
        debug (bool): BasicSR's debug mode: log and save often.
        local_rank (int | None): See :func:`process_group`.
        started (float | None): From when on train.max_minutes counts, as ``time.monotonic`` says. Default: now.

    Returns:
        dict: The options of the run.

    Raises:
        DeCoNASError: Options, data or state cannot be used (no folder was made), or training diverged.
        Interrupted: A signal or train.max_minutes asked to stop; the last step has been saved.
    """
    given = checked_options(task, path, changes)
    if check:
        check(given)
    is_file = not isinstance(path, dict)
    name = Path(path).name if is_file else f'{given["name"]}.yml'
    text = read_text(path) if is_file and not changes else option_text(given)
    steps = training_steps(task, given, name, text, root=root, launcher=launcher, auto_resume=auto_resume,
                           debug=debug, local_rank=local_rank, started=started)
    return deque(steps, maxlen=1).pop().opt


@dataclass
class Running:
    """A training between two steps.

    Attributes:
        opt (dict): The options of the run.
        model (BaseModel): What is trained.
        stop (StopRequest): What may ask it to stop.
        iter (int): Weight steps that are done.
    """
    opt: dict
    model: object
    stop: StopRequest
    iter: int


def training_steps(task, given, name, text, *, root=None, launcher='none', auto_resume=False, debug=False,
                   local_rank=None, started=None):
    """Train step by step; whoever leaves in the middle finds the last step saved.

    Args:
        task (str): 'search' or 'train'.
        given (dict): Checked options.
        name, text (str): The option file as the experiment folder keeps it.
        root, launcher, auto_resume, debug, local_rank, started: See :func:`run_training`.

    Yields:
        Running: The same one, before the first step and after each of them.

    Raises:
        DeCoNASError: As :func:`run_training`.
        Interrupted: As :func:`run_training`.
    """
    with process_group(launcher, given['num_gpu'], given.get('dist_params'), local_rank):
        opt = complete_options(given, root or project_root(), launcher != 'none', auto_resume, debug)
        torch.backends.cudnn.benchmark = True
        with StopRequest(opt['dist'], opt['train'].get('max_minutes'), started) as stop:
            checkpoint = find_checkpoint(opt)
            notes = _take_over(task, opt, given, checkpoint)
            _prepare_folders(opt, name, text, fresh=checkpoint is None)
            for note in notes:
                get_root_logger().warning(note)
            with ended_children():
                yield from _train(opt, given, checkpoint, stop)


def checked_options(task, path, changes=None, also=None):
    """Read an option file and check it; make the sample photographs first, where it asks for them.

    Args:
        task (str): 'search', 'train' or 'test'.
        path (str | Path | dict): The file; or the options themselves.
        changes (list[str] | dict | None): See :func:`load_options`.
        also (Callable[[dict], None] | None): A check of the caller's own, before data are made and networks and losses
            are built, which may download.

    Returns:
        dict: The options, with what they leave out.

    Raises:
        DeCoNASError: Options or data cannot be used.
    """
    def prepare(opt):
        if also:
            also(opt)
        _prepare_photos(opt)

    source = 'the given options' if isinstance(path, dict) else path
    return check_options(load_options(path, changes), source, task, prepare)


def _prepare_photos(opt):
    folder = opt.get('sample_photos')
    if folder == '':
        raise OptionError("sample_photos: expected a folder, got ''; name one, or leave it out")
    if folder is not None:
        prepare_sample_photos(folder, opt['scale'])


def _take_over(task, opt, given, checkpoint):
    """Make the options continue a checkpoint, and seed; what the log shall say about it."""
    if checkpoint is None:
        seed_generators(opt)
        return []
    opt['path']['resume_state'] = str(checkpoint.path)
    check_resume(opt, checkpoint.state['iter'])
    before = checkpoint.state.get('options', {})
    seed_generators(opt, resumed=before.get('manual_seed'))
    notes = list(checkpoint.notes)
    if not before:
        notes.append(f'Resuming is not exact: {checkpoint.path} was not written by DeCoNASModel or DeCoNASSearchModel.')
    else:
        notes += [f'Changed since iter {checkpoint.state["iter"]}: {change}'
                  for change in check_changes(with_defaults(before, task),
                                              {**given, 'manual_seed': opt['manual_seed']})]
    if opt['rank'] == 0:
        notes += set_newer_aside(ExperimentFolder.of(opt), checkpoint.state['iter'])
    return notes


def _prepare_folders(opt, name, text, fresh):
    """Folders, the copied option file and the log, as BasicSR makes them."""
    if fresh:
        with explained(opt['path']['experiments_root']):
            make_exp_dirs(opt)
        if opt['logger']['use_tb_logger'] and opt['rank'] == 0:
            mkdir_and_rename(os.path.join(opt['root_path'], 'tb_logger', opt['name']))
    if opt['dist']:
        dist.barrier()
    if opt['rank'] == 0:
        head = ['# GENERATE TIME: ' + time.asctime(), '# CMD:', '# ' + ' '.join(sys.argv), '']
        # In UTF-8 whatever it was in.
        save_text('\n'.join([*head, text]), ExperimentFolder.of(opt).path / name)
    logger = _open_log(ExperimentFolder.of(opt).log(opt['name'], get_time_str()), opt['rank'])
    logger.info(get_env_info())
    logger.info(dict2str(opt))


def _tb_logger(opt):
    """SummaryWriter | None: As BasicSR's, which goes by whether the name has "debug" in it."""
    if not opt['logger']['use_tb_logger']:
        return None
    # First, so that it finds what TensorBoard writes.
    if (opt['logger'].get('wandb') or {}).get('project') is not None:
        init_wandb_logger(opt)
    return init_tb_logger(log_dir=os.path.join(opt['root_path'], 'tb_logger', opt['name']))


def _open_log(path, rank):
    """Logger: BasicSR's, with a file of this run; BasicSR would go on writing to that of an earlier run's."""
    logger = get_root_logger()
    for handler in [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]:
        logger.removeHandler(handler)
        handler.close()
    if rank == 0:
        file = logging.FileHandler(path, 'w')
        file.setFormatter(logging.Formatter('%(asctime)s %(levelname)s: %(message)s'))
        logger.addHandler(file)
        logger.setLevel(logging.INFO)
    return logger


def _train(opt, given, checkpoint, stop):
    tb_logger = _tb_logger(opt)
    times = PartTimes(opt['path']['experiments_root'])
    data = TrainingData(opt)
    data.log()
    val_loaders = build_validation_loaders(opt)
    model = build_model(opt)
    model.times, model.tb_logger = times, tb_logger
    model.run_state = {'options': {**given, 'manual_seed': opt['manual_seed']}, 'world_size': opt['world_size']}
    if not isinstance(model, DeCoNASModel):
        get_root_logger().warning(f'Resuming will not be exact: {opt["model_type"]} saves no random state; '
                                  'model_type: DeCoNASModel does.')
    position = Position()
    if checkpoint:
        state = checkpoint.state
        restore(model, checkpoint)
        get_root_logger().info(f'Resuming training from epoch: {state["epoch"]}, iter: {state["iter"]}.')
        # Of a state of BasicSR's own pipeline the position is unknown: its epoch starts again.
        samples_done = state.get('samples_done', 0) * state.get('world_size', 1) // opt['world_size']
        position = Position(state['epoch'], samples_done, state['iter'], state.get('to_validate', False))
    running = Running(opt, model, stop, position.iter)
    yield running
    with closing(TrainingLoop(opt, model, data, val_loaders, position, tb_logger, stop, times).steps()) as steps:
        for running.iter in steps:
            yield running
    if tb_logger:
        tb_logger.close()
