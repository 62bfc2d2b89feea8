"""Runs that take a second: a search and a training on a handful of small patches, in processes of their own."""
import functools
import itertools
import json
import multiprocessing
import os
import socket
import sys
import time
from multiprocessing import forkserver
from pathlib import Path

import torch
import yaml
from faults import SignalAt
from lmdb_fixture import paired_folder, paired_lmdb

from deconas_plugin.commands import argument_parser
from deconas_plugin.commands.arguments import training_keywords
from deconas_plugin.files.atomic import save_text
from deconas_plugin.machine.console import run_tool
from deconas_plugin.runs import pipeline

# Forks from a process that has imported everything and computed nothing: a run starts at once, and clean.
CONTEXT = multiprocessing.get_context('forkserver')
CONTEXT.set_forkserver_preload(['run_fixture'])
_numbers = itertools.count()


def _start_forkserver():
    # It looks for what it imports beforehand along PYTHONPATH alone, and would go on without it.
    own = os.environ.get('PYTHONPATH', '')
    os.environ['PYTHONPATH'] = os.pathsep.join([*map(str, sys.path), own])
    forkserver.ensure_running()
    os.environ['PYTHONPATH'] = own


def search_options(folder, **changes):
    """Options of a search of 12 iterations with two controller rounds; ``changes`` as for :func:`changed`."""
    train_gt, train_lq = paired_lmdb(folder / 'train')
    reward_gt, reward_lq = paired_lmdb(folder / 'reward', count=3)
    val_gt, val_lq = paired_folder(folder / 'val', count=2, size=32)
    patches = {'type': 'DeCoNASPatchDataset', 'io_backend': {'type': 'lmdb'}, 'gt_size': 16}
    training = {'optim_g': {'type': 'Adam', 'lr': 0.001}, 'total_iter': 12, 'precision': 'float32',
                'scheduler': {'type': 'MultiStepLR', 'milestones': [7], 'gamma': 0.5},
                'pixel_opt': {'type': 'L1Loss'}}
    return changed({
        'name': 'tiny', 'model_type': 'DeCoNASSearchModel', 'scale': 2, 'num_gpu': 0, 'manual_seed': 3,
        'datasets': {
            'train': {**patches, 'name': 'train', 'dataroot_gt': train_gt, 'dataroot_lq': train_lq,
                      'num_worker_per_gpu': 0, 'batch_size_per_gpu': 2, 'dataset_enlarge_ratio': 2},
            'val': {'type': 'PairedImageDataset', 'name': 'val', 'dataroot_gt': val_gt, 'dataroot_lq': val_lq,
                    'io_backend': {'type': 'disk'}},
        },
        'network_g': {'type': 'DeCoNASSuperNet', 'num_feat': 8, 'num_block': 1, 'num_layer': 2, 'upscale': 2},
        'network_c': {'type': 'DeCoNASController', 'num_hidden': 8},
        'path': {'pretrain_network_g': None, 'resume_state': None},
        'train': training,
        'search': {
            'warmup_iter': 2, 'controller_freq': 4, 'controller_steps': 2, 'num_samples': 2,
            'strategy': {'type': 'reinforce', 'lr': 0.01}, 'penalty': [{'type': 'params', 'weight': 1.0}],
            'reward': {'num_patches': 4, 'batch_size': 2,
                       'dataset': {**patches, 'name': 'reward', 'dataroot_gt': reward_gt, 'dataroot_lq': reward_lq}},
        },
        'derive': {'num_samples': 2, 'train': training},
        'val': {'val_freq': 5, 'save_img': False, 'metrics': {'psnr': {'type': 'calculate_psnr', 'crop_border': 2}}},
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 4, 'use_tb_logger': False},
    }, **changes)


def train_options(folder, **changes):
    """Options that train a derived network for 12 iterations on the same data."""
    options = search_options(folder, **{'model_type': 'DeCoNASModel', 'train.ema_decay': 0.9, 'network_g': {
        'type': 'DeCoNASNet', 'num_feat': 8, 'num_block': 1, 'num_layer': 2, 'genotype': '111 100010'}})
    for section in ('search', 'derive', 'network_c'):
        del options[section]
    return changed(options, **changes)


def changed(options, **changes):
    """Options with some values replaced: ``{'train.total_iter': 5}``."""
    for key, value in changes.items():
        *sections, last = key.split('.')
        section = options
        for name in sections:
            section = section[name]
        section[last] = value
    return options


def write_options(options, folder):
    path = Path(folder, f'{options["name"]}.yml')
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole at any moment: of several processes the first may read while that of the next is written.
    save_text(yaml.safe_dump(options, sort_keys=False), path)
    return path


class Run:
    """A tool in a process of its own, with its experiments under ``root``.

    Args:
        task (str): 'search' or 'train'.
        root (Path): Folder of ``experiments`` and of ``output.txt``.
        options (dict): Written to ``<root>/<name>.yml``.
        *arguments (str): Of the tool, besides -opt.
        prepare (callable): Called in the process before the tool, to make something go wrong there.
        environment (dict): Added to that of the process.
    """

    def __init__(self, task, root, options, *arguments, prepare=None, environment=None):
        path = write_options(options, root)
        self.output = root / f'output_{next(_numbers)}.txt'
        self.process = CONTEXT.Process(target=_work, args=(task, root, self.output, ['-opt', str(path), *arguments],
                                                           prepare, environment or {}))
        _start_forkserver()
        self.process.start()

    def wait(self, seconds=120):
        """int: The exit code; a negative number is the signal that ended the process."""
        self.process.join(seconds)
        assert not self.process.is_alive(), f'still running: {self.text[-2000:]}'
        return self.process.exitcode

    @property
    def text(self):
        return self.output.read_text() if self.output.exists() else ''


def run(*args, expected=0, **kwargs):
    """Run a tool to its end and return what it said."""
    process = Run(*args, **kwargs)
    assert process.wait() == expected, process.text[-3000:]
    return process.text


def run_together(count, task, root, options, *arguments, prepare=(None, None), expected=0):
    """Run a tool in several processes, as torchrun starts them; what they said, by rank."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    common = {'WORLD_SIZE': str(count), 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(port)}
    runs = [Run(task, root, options, '--launcher', 'pytorch', *arguments, prepare=prepare[rank],
                environment={**common, 'RANK': str(rank), 'LOCAL_RANK': str(rank)}) for rank in range(count)]
    codes = [process.wait() for process in runs]
    said = [process.text for process in runs]
    assert codes == [expected] * count, '\n'.join(text[-3000:] for text in said)
    return said


def _work(task, root, output, arguments, prepare, environment):
    os.environ.update(environment)
    with open(output, 'w') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout, sys.stderr = (os.fdopen(number, 'w', buffering=1, closefd=False) for number in (1, 2))
    torch.set_num_threads(1)
    multiprocessing.set_start_method('fork', force=True)  # of the DataLoader's workers, as in a run from a shell
    args = argument_parser(task).parse_args(arguments)
    args.started = time.monotonic()
    if prepare:
        prepare()
    function = {'search': pipeline.run_search, 'train': pipeline.run_train}[task]
    sys.exit(run_tool(functools.partial(function, args.opt, root=root, **training_keywords(args))))


def log(root, name='tiny'):
    """Text of all log files of an experiment, oldest first."""
    return ''.join(path.read_text() for path in sorted(Path(root, 'experiments', name).glob('*.log')))


def results(root, name='tiny'):
    """All that a run leaves and that has to be the same again, by name; times are left out."""
    folder = Path(root, 'experiments', name)
    found = {}
    for path in sorted(folder.glob('models/*.pth')):
        found[path.name] = torch.load(path, weights_only=True)
    for path in sorted(folder.glob('*.jsonl')):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        found[path.name] = [{key: value for key, value in line.items() if key != 'time'} for line in lines]
    for path in folder.glob('derived/genotype.yml'):
        found['genotype'] = yaml.safe_load(path.read_text())['genotype']
    newest = max(folder.glob('training_states/*.state'), key=lambda path: int(path.stem))
    state = torch.load(newest, weights_only=True)
    found['state'] = {key: state[key] for key in ('iter', 'optimizers', 'schedulers', 'best_metric_results', 'random')}
    return found


def differences(first, second, name=''):
    """Names of what is not bit for bit the same in two nested results."""
    if isinstance(first, dict) and isinstance(second, dict):
        keys = {**first, **second}
        return [found for key in keys
                for found in (differences(first[key], second[key], f'{name}/{key}')
                              if key in first and key in second else [f'{name}/{key}'])]
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)) and len(first) == len(second):
        return [found for index, pair in enumerate(zip(first, second, strict=True))
                for found in differences(*pair, f'{name}/{index}')]
    same = torch.equal(first, second) if isinstance(first, torch.Tensor) else first == second
    return [] if same else [name]


def continued_search(folder, options):
    """dict: The :func:`results` of a search, after a check that one that was stopped at iteration 5 ends alike."""
    run('search', folder / 'whole', options)
    run('search', folder / 'stopped', options, prepare=SignalAt(5), expected=143)
    run('search', folder / 'stopped', options, '--auto_resume')
    found, expected = results(folder / 'stopped'), results(folder / 'whole')
    for name in ('net_g_5.pth', 'net_c_5.pth'):  # the checkpoint that the signal asked for
        del found[name]
    assert differences(found, expected) == []
    return expected
