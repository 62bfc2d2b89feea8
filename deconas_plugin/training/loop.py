"""BasicSR's training loop, with an exact end, a position to start from, and an ear for signals."""
import datetime
import time
from contextlib import nullcontext
from dataclasses import dataclass

from basicsr.utils import AvgTimer, MessageLogger, get_root_logger

from deconas_plugin.errors import DivergenceError, Interrupted
from deconas_plugin.files.experiment_folder import ExperimentFolder
from deconas_plugin.files.paths import shown
from deconas_plugin.training.checkpoints import prune_checkpoints
from deconas_plugin.training.loaders import lost_workers_named
from deconas_plugin.training.processes import total
from deconas_plugin.training.progress import RunProgress
from deconas_plugin.training.signals import TIME_IS_UP


@dataclass
class Position:
    """Where a run is.

    Attributes:
        epoch (int): Current epoch.
        samples_done (int): Samples of it that this process has seen.
        iter (int): Weight steps so far.
        to_validate (bool): Whether the validation that is due here is still to be done.
    """
    epoch: int = 0
    samples_done: int = 0
    iter: int = 0
    to_validate: bool = False


class TrainingLoop:
    """Runs a model from a position up to ``train.total_iter``.

    Args:
        opt (dict): Options of a run.
        model (BaseModel): BasicSR's interface; a DeCoNASModel keeps what an exact resume needs.
        data (TrainingData): Batches.
        val_loaders (list[DataLoader]): Validation sets.
        position (Position): Where to start.
        tb_logger (SummaryWriter | None): TensorBoard.
        stop (StopRequest): Signals, and the time limit.
        times (PartTimes): Counts where the time goes.
    """

    def __init__(self, opt, model, data, val_loaders, position, tb_logger, stop, times):
        self.opt, self.model, self.data, self.val_loaders = opt, model, data, val_loaders
        self.position, self.tb_logger, self.stop, self.times = position, tb_logger, stop, times
        self.total_iter = opt['train']['total_iter']
        self.logger = get_root_logger()
        # It writes nothing to TensorBoard for names with "debug" in them.
        self.messages = MessageLogger({**opt, 'name': opt['name'].replace('debug', 'dbg')}, position.iter, tb_logger)
        self.data_timer, self.iter_timer = AvgTimer(), AvgTimer()
        self.saved_at, self.saved_iter = time.monotonic(), position.iter

    def run(self):
        """Train, as :meth:`steps` does, without a pause."""
        for _ in self.steps():
            pass

    def steps(self):
        """Train; whoever leaves in the middle finds the last step saved.

        Yields:
            int: The weight step that is done, controller round and validation included.

        Raises:
            Interrupted: A signal or the time limit asked to stop; the last step has been saved.
            DivergenceError: The loss went astray.
            DataError: A process that loads training data has died.
        """
        self.logger.info(f'Start training from epoch: {self.position.epoch}, iter: {self.position.iter}')
        started = time.time()
        if self.position.to_validate:
            self._validate()
        if not self.total_iter:
            self._save()  # where --auto_resume goes on, with what comes after
        with self._progress() as progress, lost_workers_named():
            if self.position.iter < self.total_iter:
                yield from self._train(progress)
        self.logger.info(f'End of training. Time consumed: {datetime.timedelta(seconds=int(time.time() - started))}')
        self.logger.info('Save the latest model.')
        self.model.save(epoch=-1, current_iter=-1)
        if not self._is_due('val', 'val_freq'):
            self._validate()
        if self.opt['rank'] == 0:
            self.times.save()

    def _progress(self):
        """Context manager: The display of the first process."""
        if self.opt['rank'] != 0:
            return nullcontext()
        task = 'search' if 'search' in self.opt else 'training'
        return RunProgress(self.total_iter, self.position.iter, self.opt['logger']['print_freq'], task)

    def _train(self, progress):
        position = self.position
        batches = self.data.batches(position.epoch, position.samples_done, position.iter)
        while True:
            with self.times.measure('data'):
                epoch, samples_done, batch = next(batches)
            self.data_timer.record()
            position.epoch, position.samples_done, position.iter = epoch, samples_done, position.iter + 1
            with self.times.measure('weights'):
                self._step(batch)
            if progress:
                progress.update(position.iter, len(batch['lq']), **self._progress_values())
            if self._is_due('logger', 'print_freq'):
                self._log()
            # Before saving, so that a checkpoint knows the best metric so far.
            if self._is_due('val', 'val_freq'):
                self._validate()
            self._save_or_stop()
            try:
                yield position.iter
            except GeneratorExit:
                if self.saved_iter < position.iter:
                    self._save()
                raise
            if position.iter >= self.total_iter:
                break
            self.data_timer.start()
            self.iter_timer.start()

    def _step(self, batch):
        current_iter = self.position.iter
        self._undo_warmup()
        self.model.update_learning_rate(current_iter, warmup_iter=self.opt['train']['warmup_iter'])
        self.model.feed_data(batch)
        try:
            self.model.optimize_parameters(current_iter)
        except DivergenceError as error:
            states = ExperimentFolder.of(self.opt).all_states()
            last = f'the last good state is {shown(states[-1])}' if states else 'no state has been saved yet'
            raise DivergenceError(f'{error}; {last}') from error
        self.iter_timer.record()
        if current_iter == 1:
            self.messages.reset_start_time()

    def _undo_warmup(self):
        """Let schedulers step from their own rates: some multiply the one in use, which may be that of the warm-up."""
        for scheduler in self.model.schedulers:
            for group, rate in zip(scheduler.optimizer.param_groups, scheduler.get_last_lr(), strict=True):
                group['lr'] = rate

    def _progress_values(self):
        losses = [value for name, value in self.model.get_current_log().items() if name.startswith('l_')]
        # BasicSR's own models know of nothing but losses.
        more = self.model.progress_values() if hasattr(self.model, 'progress_values') else {}
        return {'loss': sum(losses), **more}

    def _log(self):
        self.messages({
            'epoch': self.position.epoch,
            'iter': self.position.iter,
            'lrs': self.model.get_current_learning_rate(),
            'time': self.iter_timer.get_avg_time(),
            'data_time': self.data_timer.get_avg_time(),
            **self.model.get_current_log(),
        })
        if self.tb_logger:  # BasicSR writes the rate to its text log alone
            self.tb_logger.add_scalar('learning_rate', self.model.get_current_learning_rate()[0], self.position.iter)

    def _validate(self):
        if not self.opt.get('val'):
            return
        if len(self.val_loaders) > 1:
            self.logger.warning('Multiple validation datasets are *only* supported by SRModel.')
        try:
            with self.times.measure('validation'):
                self._validate_all()
        except _TimeIsUp:
            # Whoever continues validates first, so that the best network is the same as without this break.
            self.position.to_validate = self._is_due('val', 'val_freq')
            self._stop(TIME_IS_UP)
        self.position.to_validate = False

    def _validate_all(self):
        for loader in self.val_loaders:
            self.model.validation(_UntilTimeIsUp(loader, self.stop), self.position.iter, self.tb_logger,
                                  self.opt['val']['save_img'])

    def _save_or_stop(self):
        reason = self.stop.agreed()
        if reason and self.position.iter < self.total_iter:
            self._stop(reason)
        if reason or self._is_due('logger', 'save_checkpoint_freq') or self._minutes_are_over():
            self._save()

    def _minutes_are_over(self):
        """bool: Whether ``logger.save_checkpoint_minutes`` have passed since the last checkpoint."""
        minutes = self.opt['logger'].get('save_checkpoint_minutes')
        return minutes is not None and bool(total([time.monotonic() - self.saved_at >= 60 * minutes])[0])

    def _stop(self, reason):
        self._save()
        command = 'The same command' if self.opt['auto_resume'] else 'The same command with --auto_resume'
        why = 'The time of train.max_minutes is up: stopped' if reason == TIME_IS_UP else 'Stopped'
        raise Interrupted(f'{why} at iter {self.position.iter} and saved. {command} continues there.', max(reason, 0))

    def _save(self):
        self.logger.info('Saving models and training states.')
        # A model of BasicSR ignores it; a DeCoNASModel puts it into the state.
        self.model.run_state.update(samples_done=self.position.samples_done, to_validate=self.position.to_validate)
        self.model.save(self.position.epoch, self.position.iter)
        self.saved_at, self.saved_iter = time.monotonic(), self.position.iter
        if self.opt['rank'] == 0:
            self.times.save()
            logger_opt = self.opt['logger']
            prune_checkpoints(ExperimentFolder.of(self.opt), logger_opt['keep_states'],
                              logger_opt['save_checkpoint_freq'])

    def _is_due(self, section, key):
        freq = (self.opt.get(section) or {}).get(key)
        return freq is not None and self.position.iter % freq == 0


class _TimeIsUp(Exception):
    """The time limit has passed in the middle of a validation."""


class _UntilTimeIsUp:
    """A DataLoader for validation that gives up where a run's time is up.

    Several processes, which would have to give up together, validate with loaders of their own to the end.
    """

    def __init__(self, loader, stop):
        self.dataset = loader.dataset
        self._loader, self._stop = loader, stop

    def __len__(self):
        return len(self._loader)

    def __iter__(self):
        for batch in self._loader:
            if self._stop.late:
                raise _TimeIsUp
            yield batch
