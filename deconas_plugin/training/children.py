"""The processes that a run starts, and their end."""
import multiprocessing
import signal
from contextlib import contextmanager

# Longer than any process needs to die of SIGKILL.
JOIN_SECONDS = 5


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
