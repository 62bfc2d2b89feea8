"""BasicSR's training loop, with an exact end, a position to start from, and an ear for signals."""
import datetime
import time
from contextlib import nullcontext
from dataclasses import dataclass

from basicsr.utils import AvgTimer, MessageLogger, get_root_logger

from deconas_plugin.errors import DivergenceError, Interrupted
from deconas_plugin.training.checkpoints import checkpoint_files, prune_checkpoints
from deconas_plugin.utils.paths import shown
from deconas_plugin.visual.progress import RunProgress

KEEP_STATES = 3


@dataclass
class Position:
    """Where a run is.

    Attributes:
        epoch (int): Current epoch.
        samples_done (int): Samples of it that this process has seen.
        iter (int): Weight steps so far.
    """
    epoch: int = 0
    samples_done: int = 0
    iter: int = 0


class TrainingLoop:
    """Runs a model from a position up to ``train.total_iter``.

    Args:
        opt (dict): Options of a run.
        model (BaseModel): BasicSR's interface; a DeCoNASModel keeps what an exact resume needs.
        data (TrainingData): Batches.
        val_loaders (list[DataLoader]): Validation sets.
        position (Position): Where to start.
        tb_logger (SummaryWriter | None): TensorBoard.
        stop (StopRequest): Signals.
        times (PartTimes): Counts where the time goes.
    """

    def __init__(self, opt, model, data, val_loaders, position, tb_logger, stop, times):
        self.opt, self.model, self.data, self.val_loaders = opt, model, data, val_loaders
        self.position, self.tb_logger, self.stop, self.times = position, tb_logger, stop, times
        self.total_iter = opt['train']['total_iter']
        self.logger = get_root_logger()
        self.messages = MessageLogger(opt, position.iter, tb_logger)
        self.data_timer, self.iter_timer = AvgTimer(), AvgTimer()

    def run(self):
        """Train.

        Raises:
            Interrupted: A signal asked to stop; the last step has been saved.
            DivergenceError: The loss went astray.
        """
        self.logger.info(f'Start training from epoch: {self.position.epoch}, iter: {self.position.iter}')
        started = time.time()
        with self._progress() as progress:
            if self.position.iter < self.total_iter:
                self._train(progress)
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
        batches = self.data.batches(position.epoch, position.samples_done)
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
            if position.iter >= self.total_iter:
                break
            self.data_timer.start()
            self.iter_timer.start()

    def _step(self, batch):
        current_iter = self.position.iter
        self.model.update_learning_rate(current_iter, warmup_iter=self.opt['train'].get('warmup_iter', -1))
        self.model.feed_data(batch)
        try:
            self.model.optimize_parameters(current_iter)
        except DivergenceError as error:
            states = checkpoint_files(self.opt['path']['training_states'])
            last = f'the last good state is {shown(states[-1])}' if states else 'no state has been saved yet'
            raise DivergenceError(f'{error}; {last}') from error
        self.iter_timer.record()
        if current_iter == 1:
            self.messages.reset_start_time()

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

    def _validate(self):
        if not self.opt.get('val'):
            return
        if len(self.val_loaders) > 1:
            self.logger.warning('Multiple validation datasets are *only* supported by SRModel.')
        with self.times.measure('validation'):
            self._validate_all()

    def _validate_all(self):
        for loader in self.val_loaders:
            self.model.validation(loader, self.position.iter, self.tb_logger, self.opt['val'].get('save_img', False))

    def _save_or_stop(self):
        signum = self.stop.agreed()
        finished = self.position.iter >= self.total_iter
        if signum or self._is_due('logger', 'save_checkpoint_freq'):
            self._save()
        if signum and not finished:
            command = 'The same command' if self.opt['auto_resume'] else 'The same command with --auto_resume'
            raise Interrupted(f'Stopped at iter {self.position.iter} and saved. {command} continues there.', signum)

    def _save(self):
        self.logger.info('Saving models and training states.')
        # A model of BasicSR ignores it; a DeCoNASModel puts it into the state.
        self.model.run_state['samples_done'] = self.position.samples_done
        self.model.save(self.position.epoch, self.position.iter)
        if self.opt['rank'] == 0:
            self.times.save()
            prune_checkpoints(self.opt['path']['training_states'], self.opt['logger'].get('keep_states', KEEP_STATES))

    def _is_due(self, section, key):
        freq = (self.opt.get(section) or {}).get(key)
        return freq is not None and self.position.iter % freq == 0
