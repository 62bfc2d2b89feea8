"""Proof that two processes train one network: by gloo on the CPU, and by NCCL where there are two GPUs."""
import multiprocessing
import tempfile
from pathlib import Path

import torch
import torch.distributed as dist
from basicsr.models import build_model

from deconas_plugin.doctor.proofs import NETWORK, Check
from deconas_plugin.doctor.workloads import quiet_logger, random_pair, step_options

PROCESSES, SECONDS = 2, 60
# By gradient descent, whose steps do not blow a rounding up as Adam's do.
TRAIN = {'precision': 'float32', 'optim_g': {'type': 'SGD', 'lr': 0.1}}
TOLERANCE = 1e-5


def prove_processes(device):
    """Two processes take a step together, with a half of the batch each."""
    whole = _step(torch.device('cpu'), rank=0, world_size=1)
    yield _processes('two processes, gloo', 'gloo', whole)
    if device.type != 'cuda' or torch.cuda.device_count() < PROCESSES:
        number = torch.cuda.device_count() if device.type == 'cuda' else 0
        yield Check('two processes, NCCL', None, f'needs {PROCESSES} GPUs, and {number} can be used')
    else:
        yield _processes('two processes, NCCL', 'nccl', whole)


def _processes(name, backend, whole):
    context = multiprocessing.get_context('spawn')
    with tempfile.TemporaryDirectory() as folder:
        processes = [context.Process(target=_take_part, args=(rank, backend, folder, torch.get_num_threads()))
                     for rank in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(SECONDS)
        late = [process for process in processes if process.is_alive()]
        for process in late:
            process.kill()
            process.join()
        if late or any(process.exitcode for process in processes):
            return Check(name, False, f'not done after {SECONDS} s' if late else 'a process failed; its error is above')
        return _compared(name, *(torch.load(_result(folder, rank)) for rank in range(PROCESSES)), whole)


def _compared(name, first, second, whole):
    """Check: Whether two processes have the same weights, those of one process with the whole batch."""
    apart, off = largest_difference(first, second), largest_difference(first, whole)
    return Check(name, apart == 0 and off <= TOLERANCE, f'weights differ by {apart:.0e} from each other, and by '
                 f'{off:.1e} (at most {TOLERANCE:.0e}) from those of one process with the whole batch')


def _take_part(rank, backend, folder, num_threads):
    torch.set_num_threads(num_threads)
    if backend == 'nccl':
        torch.cuda.set_device(rank)
    dist.init_process_group(backend, store=dist.FileStore(f'{folder}/store', PROCESSES), rank=rank,
                            world_size=PROCESSES)
    device = torch.device('cuda', rank) if backend == 'nccl' else torch.device('cpu')
    torch.save(_step(device, rank, PROCESSES), _result(folder, rank))
    dist.destroy_process_group()


def _step(device, rank, world_size):
    """dict[str, Tensor]: The weights after a step with this process's part of a batch."""
    quiet_logger()
    torch.manual_seed(rank)  # the first one's weights count
    opt = step_options({**NETWORK, 'upscale': 2}, device, **TRAIN)
    model = build_model({**opt, 'model_type': 'DeCoNASModel', 'dist': world_size > 1, 'rank': rank,
                         'world_size': world_size})
    torch.manual_seed(1)
    batch = random_pair(2 * PROCESSES, 16, 2)
    model.feed_data({key: images[rank::world_size] for key, images in batch.items()})
    model.optimize_parameters(1)
    return {name: weight.detach().cpu() for name, weight in model.net_g.state_dict().items()}


def _result(folder, rank):
    return Path(folder, f'{rank}.pth')


def largest_difference(first, second):
    """float: The largest one between two states (dict[str, Tensor])."""
    return max((first[name].double() - second[name].double()).abs().max().item() for name in first)
