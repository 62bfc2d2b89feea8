"""Several processes: what they do together, where one alone gets back what it gave, and their start and end."""
import multiprocessing
import os
import signal
import sys
from contextlib import contextmanager

import torch
import torch.distributed as dist
from basicsr.utils.dist_util import get_dist_info, init_dist

from deconas_plugin.errors import OptionError
from deconas_plugin.files.paths import typed

# Longer than any process needs to die of SIGKILL.
JOIN_SECONDS = 5


def total(values):
    """list[float]: The sums of a list of numbers over all processes."""
    if get_dist_info()[1] == 1:
        return list(values)
    tensor = torch.tensor(values, dtype=torch.float64, device=_device())
    dist.all_reduce(tensor)
    return tensor.tolist()


def mean(values):
    """list[float]: The means of a list of numbers over all processes."""
    return [value / get_dist_info()[1] for value in total(values)]


def from_first(value):
    """The value that the first process has; of plain Python and tensors."""
    if get_dist_info()[1] == 1:
        return value
    values = [value]
    dist.broadcast_object_list(values, src=0)
    return values[0]


def gathered(value):
    """list: What each process has, in the order of ranks."""
    values = [value] * get_dist_info()[1]
    if len(values) > 1:
        dist.all_gather_object(values, value)
    return values


@torch.no_grad()
def share_module(module):
    """Give all processes the parameters and buffers of the first."""
    module.load_state_dict(from_first({name: tensor.cpu() for name, tensor in module.state_dict().items()}))


@torch.no_grad()
def average_gradients(parameters):
    """Average each parameter's gradient over the processes that have one.

    Where genotypes differ, a weight that one of two processes used gets its whole gradient, not half of it; one that
    none used keeps ``grad = None``.

    Args:
        parameters (Iterable[Parameter]): The same ones in the same order in all processes.
    """
    if get_dist_info()[1] == 1:
        return
    parameters = [parameter for parameter in parameters if parameter.requires_grad]
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.float32, device=gradients[0].device)
    # One message: the sums of all gradients, then how many processes each of them comes from.
    flat = torch.cat([*(gradient.flatten().float() for gradient in gradients), used])
    dist.all_reduce(flat)
    *sums, counts = flat.split([*(p.numel() for p in parameters), len(parameters)])
    for parameter, gradient, sum_, count in zip(parameters, gradients, sums, counts.tolist(), strict=True):
        parameter.grad = gradient.copy_(sum_.view_as(gradient) / count) if count else None


def _device():
    return torch.device('cuda', torch.cuda.current_device()) if dist.get_backend() == 'nccl' else torch.device('cpu')


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


@contextmanager
def ended_children():
    """Context after which none of the processes that were started inside is left, whatever happened.

    Loading processes outlive SIGTERM, so that the last iteration can be finished, and Python waits at its end for
    those that it has sent one: a run that failed would never end. What ends in good order has ended its own before.
    """
    before = set(multiprocessing.active_children())
    try:
        yield
    finally:
        children = [child for child in multiprocessing.active_children() if child not in before]
        if children:
            _kill(children)


def _kill(children):
    # PyTorch's handler would take their death for an accident and raise another error.
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL) if hasattr(signal, 'SIGCHLD') else None
    try:
        for child in children:
            child.kill()
        for child in children:
            child.join(JOIN_SECONDS)
    finally:
        if handler is not None:
            signal.signal(signal.SIGCHLD, handler)
