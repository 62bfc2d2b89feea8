"""What goes wrong inside a run: to be handed to run_fixture.Run as ``prepare``."""
import deconas_plugin  # noqa: F401, before BasicSR in a process of its own

# isort: split

import os
import signal
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from basicsr.train import train_pipeline
from torch.utils.data import get_worker_info

from deconas_plugin.data.deconas_patch_dataset import DeCoNASPatchDataset
from deconas_plugin.models.deconas_model import DeCoNASModel
from deconas_plugin.models.deconas_search_model import DeCoNASSearchModel
from deconas_plugin.runs import pipeline
from deconas_plugin.training import signals
from deconas_plugin.training.signals import StopRequest


@dataclass
class SignalAt:
    """Send this process a signal in the middle of a weight step."""
    iteration: int
    signum: int = signal.SIGTERM
    times: int = 1

    def __call__(self):
        original = DeCoNASModel.optimize_parameters

        def optimize_parameters(model, current_iter):
            if current_iter == self.iteration:
                for _ in range(self.times):
                    os.kill(os.getpid(), self.signum)
            original(model, current_iter)

        DeCoNASModel.optimize_parameters = optimize_parameters


@dataclass
class BrokenLosses:
    """Multiply the loss of some weight steps."""
    iterations: range
    factor: float = float('nan')

    def __call__(self):
        original, count = DeCoNASModel.losses, iter(range(1, 10**6))

        def losses(model, output, current_iter):
            found = original(model, output, current_iter)
            if next(count) in self.iterations:
                found['l_pix'] = found['l_pix'] * self.factor
            return found

        DeCoNASModel.losses = losses


@dataclass
class FullDisk:
    """Let every file that gets this ending fail as on a full disk, from the n-th on."""
    ending: str
    first: int = 1

    def __call__(self):
        original, count = os.replace, iter(range(1, 10**6))

        def replace_or_fail(source, target):
            if str(target).endswith(self.ending) and next(count) >= self.first:
                raise OSError(28, 'No space left on device')
            original(source, target)

        os.replace = replace_or_fail


class BrokenRewards:
    """Let the first genotype of every controller step earn NaN."""

    def __call__(self):
        original = DeCoNASSearchModel.score

        def score(model, genotypes, batch):
            first, *others = original(model, genotypes, batch)
            return [replace(first, psnr=float('nan')), *others]

        DeCoNASSearchModel.score = score


@dataclass
class KeepReplica:
    """Save what this process holds when the run ends, as ``<folder>/replica_<rank>.pth``."""
    folder: object

    def __call__(self):
        original = DeCoNASModel.save

        def save(model, epoch, current_iter):
            original(model, epoch, current_iter)
            nets = {'net_g': model.net_g.state_dict(), 'net_c': model.net_c.state_dict(),
                    'optimizer': model.optimizer_g.state_dict(), 'guard': model.guard.state_dict()}
            torch.save(nets, f'{self.folder}/replica_{model.opt["rank"]}.pth')

        DeCoNASModel.save = save


@dataclass
class DieAt:
    """Raise an error in the middle of the run."""
    iteration: int

    def __call__(self):
        original = DeCoNASModel.optimize_parameters

        def optimize_parameters(model, current_iter):
            if current_iter == self.iteration:
                raise RuntimeError('this process had an accident')
            original(model, current_iter)

        DeCoNASModel.optimize_parameters = optimize_parameters


@dataclass
class WatchMemory:
    """Write the resident memory of the process, in MiB, into ``<folder>/memory.txt``, every so many iterations."""
    folder: object
    every: int

    def __call__(self):
        original = DeCoNASModel.optimize_parameters

        def optimize_parameters(model, current_iter):
            original(model, current_iter)
            if current_iter % self.every == 0:
                pages = int(Path('/proc/self/statm').read_text().split()[1])
                with open(f'{self.folder}/memory.txt', 'a') as file:
                    file.write(f'{pages * os.sysconf("SC_PAGE_SIZE") / 2**20}\n')

        DeCoNASModel.optimize_parameters = optimize_parameters


@dataclass
class TimeIsUpAt:
    """Let the time of train.max_minutes be up from an iteration on, or in the middle of its validation."""
    iteration: int
    in_validation: bool = False

    def __call__(self):
        now = [0]
        name = 'validation' if self.in_validation else 'optimize_parameters'
        original = getattr(DeCoNASModel, name)

        def watched(model, *args):
            now[0] = args[1 if self.in_validation else 0]
            return original(model, *args)

        setattr(DeCoNASModel, name, watched)
        StopRequest.late = property(lambda stop: now[0] >= self.iteration)


@dataclass
class SavedOnGPU:
    """Write every tensor as one that lay on a GPU, and let something else go wrong too."""
    fault: object

    def __call__(self):
        torch.serialization.location_tag = lambda storage: 'cuda:0'
        self.fault()


class BasicSRPipeline:
    """Train with BasicSR's own pipeline, as its ``basicsr/train.py`` does for users who import the plugin."""

    def __call__(self):
        def run_train(path, root, **_):
            sys.argv = ['train.py', '-opt', path]
            train_pipeline(str(root))

        pipeline.run_train = run_train


@dataclass
class RecordWorkers:
    """Write the numbers of all loading processes into ``<folder>/workers.txt``; let the last of them fail to start."""
    folder: object
    bad_start: bool = False

    def __call__(self):
        original = signals._ignore_signals

        def start(initialise, worker_id):
            with open(f'{self.folder}/workers.txt', 'a') as file:
                file.write(f'{os.getpid()}\n')
            original(initialise, worker_id)
            if self.bad_start and worker_id == 1:
                raise RuntimeError('this worker had a bad start')

        signals._ignore_signals = start


@dataclass
class DyingWorker(RecordWorkers):
    """Kill a loading process while it asks whether it shall end, with the lock of that question."""

    def __call__(self):
        super().__call__()
        original = DeCoNASPatchDataset.__getitems__

        def getitems(dataset, items):
            worker = get_worker_info()
            if worker and worker.id == 1:
                frame = sys._getframe()
                while 'done_event' not in frame.f_locals:
                    frame = frame.f_back
                event = frame.f_locals['done_event']
                if hasattr(event, '_cond'):  # that of Python has a lock
                    event._cond.acquire()
                os.kill(os.getpid(), signal.SIGKILL)
            return original(dataset, items)

        DeCoNASPatchDataset.__getitems__ = getitems


@dataclass
class BrokenValidation(RecordWorkers):
    """Raise an error in the first validation."""

    def __call__(self):
        super().__call__()

        def validation(model, *args):
            raise RuntimeError('this validation had an accident')

        DeCoNASModel.validation = validation
