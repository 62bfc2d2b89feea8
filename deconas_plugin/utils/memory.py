"""Memory of the process on a CPU."""
import ctypes
import os
import sys

# Parameters of glibc's mallopt, from malloc.h.
M_TRIM_THRESHOLD = -1
M_MMAP_MAX = -4


def keep_freed_memory(device):
    """Let the C library keep what tensors free for the next ones, instead of giving it back to the system.

    Every training step and every image allocates the same features again. Where fresh pages of the system serve them
    each time, it has to clear the pages first. Needs Linux with glibc and does nothing elsewhere. The process does not
    shrink below its peak any more.

    Args:
        device (torch.device): Where the tensors are; only on a CPU the C library serves them.
    """
    libc = ctypes.CDLL(None) if sys.platform == 'linux' and device.type == 'cpu' else None
    if hasattr(libc, 'mallopt') and libc.mallopt(M_MMAP_MAX, 0):
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def give_back_freed_memory():
    """Give back to the system what :func:`keep_freed_memory` has kept, before something else needs room."""
    libc = ctypes.CDLL(None) if sys.platform == 'linux' else None
    if hasattr(libc, 'malloc_trim'):
        libc.malloc_trim(0)


def total_memory():
    """float: Bytes of the machine; infinity where the system does not tell."""
    if not hasattr(os, 'sysconf'):
        return float('inf')
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
