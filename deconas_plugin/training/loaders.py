"""Training and validation data as BasicSR loads it, from any position of an epoch on."""
import math
import multiprocessing
import queue
import threading
from contextlib import contextmanager
from copy import copy
from functools import partial
from multiprocessing.connection import wait

import torch
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.prefetch_dataloader import CUDAPrefetcher
from basicsr.utils import get_root_logger

from deconas_plugin.data.gpu_patch_loader import GpuPatchLoader
from deconas_plugin.data.patch_draw import ResumableSampler
from deconas_plugin.errors import DataError, DeCoNASError, OptionError
from deconas_plugin.training.signals import spare_workers

POLL_SECONDS = 0.5
SECONDS_TO_DIE = 1  # whoever is fetching a batch learns of its end sooner than of that of the process that sent it
LOST_WORKER = ('DataLoader worker', 'Unexpected bus error')  # how PyTorch's messages about them begin
_END = object()


class ThreadPrefetcher:
    """Iterates over a DataLoader in a thread.

    Args:
        loader (Iterable): Batches.
        depth (int): How many to hold.
    """

    def __init__(self, loader, depth):
        self.loader, self.depth = loader, depth

    def __iter__(self):
        ready, stop = queue.Queue(self.depth), threading.Event()
        threading.Thread(target=self._fill, args=(ready, stop), daemon=True).start()
        try:
            while (item := ready.get()) is not _END:
                if isinstance(item, _Failure):
                    raise item.error
                yield item
        finally:
            stop.set()

    def _fill(self, ready, stop):
        try:
            for batch in self.loader:
                if not _put(ready, batch, stop):
                    return
            _put(ready, _END, stop)
        except Exception as error:
            _put(ready, _Failure(error), stop)


class _Failure:

    def __init__(self, error):
        self.error = error


def _put(ready, item, stop):
    """bool: Whether it was taken before nobody wanted it any more."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False


class _Flag:
    """What a DataLoader needs of an Event. A process that dies while it asks leaves no lock behind which all others,
    and the end of the program, wait for ever."""

    def __init__(self, context):
        self._value = context.RawValue('b', 0)

    def set(self):
        self._value.value = 1

    def is_set(self):
        return bool(self._value.value)


def _context_without_lock():
    """BaseContext: The platform's way to start processes, with such flags for events."""
    context = copy(multiprocessing.get_context())
    context.Event = partial(_Flag, context)
    return context


class TrainingData:
    """The batches of a run, epoch after epoch.

    Args:
        opt (dict): Options as the training pipelines hold them.

    Raises:
        OptionError: An epoch is shorter than one batch, or the options ask for what cannot be.
    """

    def __init__(self, opt):
        self.opt = opt
        dataset_opt = opt['datasets']['train']
        self.ratio = dataset_opt['dataset_enlarge_ratio']
        self.final_gt_size = dataset_opt.get('final_gt_size')
        if self.final_gt_size is not None:
            self.first_final_iter = round(opt['train']['total_iter'] * (1 - dataset_opt['final_share'])) + 1
        self.dataset = build_dataset(dataset_opt)
        self.sampler = ResumableSampler(self.dataset, opt['world_size'], opt['rank'], self.ratio, opt['manual_seed'])
        self.loader = self._gpu_loader(dataset_opt) if dataset_opt.get('cache') == 'cuda' else self._loader(dataset_opt)
        if len(self.sampler) < self.batch_size:
            raise OptionError(f'datasets.train.dataset_enlarge_ratio: expected an epoch of at least one batch, '
                              f'{self.batch_size} samples for each process, got {len(self.sampler)}; raise it')

    @property
    def exact(self):
        """bool: Whether a batch depends on nothing but its position, or on generators that the state holds."""
        prefetched = self.opt['datasets']['train'].get('prefetch_mode') is not None
        return getattr(self.dataset, 'accepts_draws', False) or (self.loader.num_workers == 0 and not prefetched)

    def batches(self, epoch, samples_done, current_iter):
        """Endless batches.

        Args:
            epoch (int): Epoch to start in.
            samples_done (int): Samples of it that this process has seen.
            current_iter (int): Iterations that are done, which decide when patches become larger.

        Yields:
            tuple[int, int, dict]: epoch, samples of it that are done after this batch, and the batch.
        """
        while True:
            self.sampler.set_position(epoch, samples_done)
            if self.final_gt_size is not None:
                before = max(self.first_final_iter - 1 - current_iter, 0)
                self.sampler.enlarge_patches(self.final_gt_size, samples_done + before * self.batch_size)
            for batch in self._epoch():
                samples_done, current_iter = samples_done + self.batch_size, current_iter + 1
                yield epoch, samples_done, batch
            epoch, samples_done = epoch + 1, 0

    def log(self):
        """Write BasicSR's lines about the training data."""
        total_iters = self.opt['train']['total_iter']
        per_epoch = math.ceil(len(self.dataset) * self.ratio / (self.batch_size * self.opt['world_size']))
        get_root_logger().info('Training statistics:'
                               f'\n\tNumber of train images: {len(self.dataset)}'
                               f'\n\tDataset enlarge ratio: {self.ratio}'
                               f'\n\tBatch size per gpu: {self.opt["datasets"]["train"]["batch_size_per_gpu"]}'
                               f'\n\tWorld size (gpu number): {self.opt["world_size"]}'
                               f'\n\tRequire iter number per epoch: {per_epoch}'
                               f'\n\tTotal epochs: {math.ceil(total_iters / per_epoch)}; iters: {total_iters}.')
        if not self.exact:
            get_root_logger().warning(
                'Resuming will not be exact: this dataset draws in its workers. It is exact with '
                'datasets.train.num_worker_per_gpu: 0 and no prefetch_mode, or with type: DeCoNASPatchDataset.')

    def _gpu_loader(self, dataset_opt):
        if self.opt['num_gpu'] == 0 or not torch.cuda.is_available():
            raise OptionError('datasets.train.cache: cuda needs a GPU; set cache: disk')
        self.batch_size = dataset_opt['batch_size_per_gpu']
        return GpuPatchLoader(self.dataset, self.batch_size, self.sampler, torch.device('cuda'))

    def _loader(self, dataset_opt):
        # Its own prefetcher in a thread is not used, see ThreadPrefetcher.
        loader = build_dataloader(self.dataset, {**dataset_opt, 'prefetch_mode': None}, num_gpu=self.opt['num_gpu'],
                                  dist=self.opt['dist'], sampler=self.sampler, seed=self.opt['manual_seed'])
        spare_workers(leave_generators_alone(loader))
        if loader.num_workers:
            loader.multiprocessing_context = _context_without_lock()
        self.batch_size = loader.batch_size
        return loader

    def _epoch(self):
        dataset_opt = self.opt['datasets']['train']
        try:
            if dataset_opt.get('prefetch_mode') == 'cuda':
                prefetcher = CUDAPrefetcher(_watched(self.loader), self.opt)
                while (batch := prefetcher.next()) is not None:
                    yield batch
            elif dataset_opt.get('prefetch_mode') == 'cpu':
                yield from ThreadPrefetcher(_watched(self.loader), dataset_opt['num_prefetch_queue'])
            else:
                yield from _watched(self.loader)
        except DeCoNASError as error:
            # A worker's error arrives with its whole traceback as the message.
            line = str(error).strip().splitlines()[-1]
            raise type(error)(line.rpartition(f'{type(error).__name__}: ')[2]) from error


def _watched(loader):
    """The batches of a loader. Whatever the death of a loading process brings about is told as that."""
    batches = iter(loader)
    workers = multiprocessing.active_children() if getattr(loader, 'num_workers', 0) else []
    try:
        yield from batches
    except DeCoNASError:
        raise
    except Exception as error:
        if not str(error).startswith(LOST_WORKER) and wait([worker.sentinel for worker in workers], SECONDS_TO_DIE):
            raise _lost_worker('while it was handing over a batch') from error
        raise


@contextmanager
def lost_workers_named():
    """Say in one line that a loading process has died. PyTorch raises that wherever this process happens to be.

    Raises:
        DataError: Instead of PyTorch's RuntimeError.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith(LOST_WORKER):
            raise
        raise _lost_worker(str(error).strip().rstrip('.')) from error


def _lost_worker(how):
    return DataError(f'a process that loads training data has died ({how}), as the system lets them where memory runs '
                     'out; lower datasets.train.num_worker_per_gpu and go on with --auto_resume')


def build_validation_loaders(opt):
    """list[DataLoader]: One for each phase val*."""
    loaders = []
    for phase, dataset_opt in opt['datasets'].items():
        if phase.split('_')[0] == 'val':
            dataset = build_dataset(dataset_opt)
            loader = build_dataloader(dataset, dataset_opt, num_gpu=opt['num_gpu'], dist=opt['dist'], sampler=None,
                                      seed=opt['manual_seed'])
            loaders.append(leave_generators_alone(loader))
            get_root_logger().info(f'Number of val images/folders in {dataset_opt["name"]}: {len(dataset)}')
    return loaders


def leave_generators_alone(loader):
    """Give a DataLoader its own generator for the seed that each pass draws.

    The run's generator, from which a search draws genotypes, then does not depend on how often a loader was started.
    """
    loader.generator = torch.Generator()
    return loader
