"""What several processes do together. With one process every function returns what it was given."""
import torch
import torch.distributed as dist
from basicsr.utils.dist_util import get_dist_info


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
