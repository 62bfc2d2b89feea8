"""How much memory a computation needs at its peak."""
import ctypes
import sys
from contextlib import contextmanager
from pathlib import Path

import torch


class PeakMemory:
    """Measures by how much memory grows, at most, during several computations.

    On a GPU it is the memory that torch's allocator hands out, on a CPU the resident memory of the process (Linux with
    glibc and /proc; unknown elsewhere).

    Args:
        device (torch.device): Where the computations run.

    Attributes:
        bytes (int | None): The largest peak so far.
    """

    def __init__(self, device):
        self.device = device
        self.bytes = None

    @contextmanager
    def measured(self):
        """Context manager around one computation."""
        if self.device.type == 'cuda':
            torch.cuda.reset_peak_memory_stats(self.device)
            before = torch.cuda.memory_allocated(self.device)
            yield
            self._add(torch.cuda.max_memory_allocated(self.device) - before)
        elif sys.platform == 'linux' and _reset_resident_peak():
            before = _resident('VmRSS')
            yield
            self._add(_resident('VmHWM') - before)
        else:
            yield

    def _add(self, peak):
        self.bytes = max(self.bytes or 0, peak)


def _reset_resident_peak():
    """bool: Whether the process's VmHWM, the peak of its resident memory, starts anew from what it needs now."""
    libc = ctypes.CDLL(None)
    if not hasattr(libc, 'malloc_trim'):
        return False
    libc.malloc_trim(0)  # what earlier computations freed but malloc kept would hide the next one's need
    try:
        Path('/proc/self/clear_refs').write_text('5')
    except OSError:  # no /proc here, or a sandbox's, which cannot be written
        return False
    return True


def _resident(key):
    """int: A value of the process's status, in bytes."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(key))
