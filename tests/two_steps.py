"""Runs of two steps in this process: any option file through the tool that reads it, and what came of it."""
import contextlib
import io
import logging
import os
import random
import shutil
import signal
import time
import traceback
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

import torch
import yaml
from basicsr.utils import logger
from lmdb_fixture import paired_folder, paired_lmdb

from deconas_plugin.files import paths
from deconas_plugin.machine.console import run_tool
from deconas_plugin.runs import pipeline

SECONDS = 60
TOOLS = {'search': pipeline.run_search, 'train': pipeline.run_train, 'test': pipeline.run_test}


def base_options(root):
    """dict[str, dict]: By task: options of two steps that leave little out, and whose defaults fit their data."""
    root = Path(root)
    train_gt, train_lq = paired_lmdb(root / 'train', count=16, size=128)
    reward_gt, reward_lq = paired_lmdb(root / 'reward', count=2, size=128)
    val_gt, val_lq = paired_folder(root / 'val', count=1, size=32)
    patches = {'type': 'DeCoNASPatchDataset', 'io_backend': {'type': 'lmdb'}, 'gt_size': 16}
    validation = {'type': 'PairedImageDataset', 'name': 'val', 'dataroot_gt': val_gt, 'dataroot_lq': val_lq,
                  'io_backend': {'type': 'disk'}}
    training = {'optim_g': {'type': 'Adam', 'lr': 0.001}, 'total_iter': 2, 'precision': 'float32',
                'scheduler': {'type': 'MultiStepLR', 'milestones': [1], 'gamma': 0.5}, 'pixel_opt': {'type': 'L1Loss'}}
    network = {'type': 'DeCoNASNet', 'num_feat': 8, 'num_block': 1, 'num_layer': 2, 'genotype': '111 100010',
               'upscale': 2}
    common = {'scale': 2, 'num_gpu': 0, 'manual_seed': 3}
    metrics = {'psnr': {'type': 'calculate_psnr', 'crop_border': 2}}
    train = {
        'name': 'two', 'model_type': 'DeCoNASModel', **common,
        'datasets': {'train': {**patches, 'name': 'train', 'dataroot_gt': train_gt, 'dataroot_lq': train_lq,
                               'num_worker_per_gpu': 0, 'batch_size_per_gpu': 2, 'dataset_enlarge_ratio': 2},
                     'val': validation},
        'network_g': network, 'path': {'pretrain_network_g': None, 'resume_state': None}, 'train': training,
        'val': {'val_freq': 2, 'save_img': False, 'metrics': metrics},
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 2, 'use_tb_logger': False},
    }
    search = {
        **deepcopy(train), 'model_type': 'DeCoNASSearchModel',
        'network_g': {'type': 'DeCoNASSuperNet', 'num_feat': 8, 'num_block': 1, 'num_layer': 2, 'upscale': 2},
        'network_c': {'type': 'DeCoNASController', 'num_hidden': 8},
        'search': {'warmup_iter': 0, 'controller_freq': 1, 'controller_steps': 1, 'num_samples': 2,
                   'strategy': {'type': 'reinforce', 'lr': 0.01}, 'penalty': [{'type': 'params', 'weight': 1.0}],
                   'reward': {'num_patches': 2, 'batch_size': 2,
                              'dataset': {**patches, 'name': 'reward', 'dataroot_gt': reward_gt,
                                          'dataroot_lq': reward_lq}}},
        'derive': {'num_samples': 1, 'train': deepcopy(training)},
    }
    weights = root / 'weights.pth'
    torch.save({'params': pipeline.build_model({**deepcopy(train), 'is_train': False, 'dist': False, 'val': {}})
                .net_g.state_dict()}, weights)
    test = {
        'name': 'two', 'model_type': 'DeCoNASModel', **common, 'datasets': {'test_1': validation},
        'network_g': network, 'path': {'pretrain_network_g': str(weights)},
        'val': {'save_img': False, 'suffix': None, 'metrics': metrics},
    }
    return {'search': search, 'train': train, 'test': test}


@dataclass
class Outcome:
    """What came of a run.

    Attributes:
        code (int): Exit code; 1 for what the tool did not catch.
        error (str): Its line, or the traceback.
        touched (bool): Whether anything changed where runs leave what they do.
        seconds (float): How long it took.
        said (str): What it wrote to the shell.
    """
    code: int
    error: str
    touched: bool
    seconds: float
    said: str = field(repr=False)

    @property
    def is_fine(self):
        """bool: It went well, or was refused in one line before anything was touched."""
        refused = self.code == 2 and self.error.count('\n') == 0 and not self.touched
        return (self.code == 0 or refused) and self.seconds < SECONDS


def run_two_steps(task, options, root):
    """Run options (dict, or bytes of a file) with the folders of runs below ``root``.

    Returns:
        Outcome: Of it.
    """
    root = Path(root)
    file = root / 'options.yml'
    file.write_bytes(options if isinstance(options, bytes) else yaml.safe_dump(options, sort_keys=False).encode())
    for folder in [*root.glob('experiments*'), *root.glob('results*'), *root.glob('tb_logger*')]:
        shutil.rmtree(folder)
    # An older run of the same name, which a run that starts would rename.
    (root / 'experiments' / 'two').mkdir(parents=True)
    before, started = _contents(root), time.monotonic()
    said = io.StringIO()
    with _as_in_a_process_of_its_own(root), contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            keywords = {} if task == 'test' else {'root': root}
            code, error = run_tool(partial(TOOLS[task], str(file), **keywords)), ''
        except Exception:
            code, error = 1, traceback.format_exc()
    if code == 2:
        error = said.getvalue().rpartition('error: ')[2].rstrip('\n')
    return Outcome(code, error, _contents(root) != before, time.monotonic() - started, said.getvalue())


@contextlib.contextmanager
def _as_in_a_process_of_its_own(root):
    logger.initialized_logger.clear()
    for handler in logging.getLogger('basicsr').handlers:
        handler.close()
    logging.getLogger('basicsr').handlers.clear()
    state, folder = random.getstate(), os.getcwd()
    alarm = signal.signal(signal.SIGALRM, _too_late)
    signal.alarm(2 * SECONDS)
    # The report and a compiler take longer than these runs: the latter minutes, as its option says.
    with mock.patch.object(pipeline, 'write_report', lambda folder: Path(folder, 'report.html')), \
            mock.patch.object(pipeline, 'project_root', lambda: Path(root)), \
            mock.patch.object(paths, 'project_root', lambda: Path(root)), mock.patch.object(os, 'fsync'), \
            mock.patch.object(torch, 'compile', lambda net, **_: net):
        os.chdir(root)
        try:
            yield
        finally:
            os.chdir(folder)
            signal.alarm(0)
            signal.signal(signal.SIGALRM, alarm)
            random.setstate(state)


def _too_late(*_):
    raise TimeoutError(f'this run has taken {2 * SECONDS} seconds')


def _contents(root):
    """set: What runs leave behind, and folders that they rename or make anywhere else below ``root``."""
    return {path for folder in ('experiments*', 'results*', 'tb_logger*') for path in root.glob(f'{folder}/**/*')} | \
        set(root.glob('*'))
