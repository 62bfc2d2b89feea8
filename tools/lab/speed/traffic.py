"""The bytes that a run moves beside its convolutions."""
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def bytes_beside_convolutions(run):
    """int: What everything but convolutions reads and writes in ``run()``, which is run once."""
    with _ByteCounter() as counter:
        run()
    return counter.bytes


class _ByteCounter(TorchDispatchMode):
    """Counts the bytes of the tensors that operations read and write; views and convolutions aside."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if not (func.is_view or func.overloadpacket.__name__.startswith(('convolution', 'empty', 'new_'))):
            tensors = tree_leaves((args, kwargs, result))
            self.bytes += sum(_size(tensor) for tensor in tensors if hasattr(tensor, 'untyped_storage'))
        return result


def _size(tensor):
    # Of an expanded tensor only what is there is read.
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())
