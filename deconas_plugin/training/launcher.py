"""Starts process groups: NCCL on GPUs, gloo on CPUs, where BasicSR knows NCCL alone."""
import os
import sys
from contextlib import contextmanager

import torch
import torch.distributed as dist
from basicsr.utils.dist_util import init_dist

from deconas_plugin.errors import OptionError
from deconas_plugin.utils.paths import typed


@contextmanager
def process_group(launcher, num_gpu, dist_params=None, local_rank=None):
    """Take part in a process group while the block runs.

    Args:
        launcher (str): 'none': this process is alone; 'pytorch': torchrun started it; 'slurm': srun, on GPUs.
        num_gpu (int | str): As in an option file; 0 for CPUs.
        dist_params (dict | None): For Slurm, as in an option file.
        local_rank (int | None): This process's GPU. Default: as torchrun says.

    Raises:
        OptionError: The launcher did not start this process.
    """
    if launcher == 'none':
        yield
        return
    on_gpu = num_gpu != 0 and torch.cuda.is_available()
    if launcher == 'slurm':
        _start_slurm(on_gpu, dist_params or {})
    else:
        _start_pytorch(on_gpu, local_rank)
    yield
    # Not in a finally clause: after an error the others may never answer.
    dist.destroy_process_group()


def _start_pytorch(on_gpu, local_rank):
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT') if name not in os.environ]
    if missing:
        raise OptionError(f'--launcher pytorch: {missing[0]} is not set; start with torchrun --nproc_per_node=N '
                          f'{typed(sys.argv[0])} -opt ... --launcher pytorch')
    if on_gpu:
        if local_rank is None:
            local_rank = int(os.environ.get('LOCAL_RANK', os.environ['RANK']))
        torch.cuda.set_device(local_rank % torch.cuda.device_count())
    dist.init_process_group('nccl' if on_gpu else 'gloo')


def _start_slurm(on_gpu, dist_params):
    if 'SLURM_PROCID' not in os.environ:
        raise OptionError('--launcher slurm: SLURM_PROCID is not set; start with srun')
    if not on_gpu:
        raise OptionError('--launcher slurm: expected GPUs and num_gpu other than 0; on CPUs use torchrun and '
                          '--launcher pytorch')
    init_dist('slurm', **dist_params)
