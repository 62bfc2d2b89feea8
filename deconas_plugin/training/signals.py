"""What asks a run to stop: SIGINT and SIGTERM, of which the second stops at once, and the clock."""
import os
import signal
import time
from contextlib import contextmanager
from functools import partial

from deconas_plugin.errors import Interrupted
from deconas_plugin.machine.timing import Deadline
from deconas_plugin.training.processes import total

SIGNALS = (signal.SIGINT, signal.SIGTERM)
TIME_IS_UP = -1
# torchrun and srun pass on what the terminal has already sent to every process.
ECHO_SECONDS = 2


class StopRequest:
    """Catches the first signal while the block runs, and knows when the time is up.

    Args:
        echoes (bool): Whether a launcher may pass the same request on a second time.
        max_minutes (float | None): Wall-clock limit.
        started (float | None): From when on it counts, as ``time.monotonic`` says. Default: from now on.

    Attributes:
        signum (int): The signal that was received by this process, 0 for none.
    """

    def __init__(self, echoes=False, max_minutes=None, started=None):
        self.deadline = Deadline(max_minutes, started)
        self.echo_seconds = ECHO_SECONDS if echoes else 0
        self.signum = 0
        self._received = None
        self._previous = {}

    def __enter__(self):
        self._previous = {signum: signal.signal(signum, self._receive) for signum in SIGNALS}
        return self

    def __exit__(self, *_):
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    @contextmanager
    def resting(self):
        """Context in which signals do what they did before: others' code runs there, and shall be interrupted."""
        self.__exit__()
        try:
            yield
        finally:
            self.__enter__()

    def _receive(self, signum, _frame):
        now = time.monotonic()
        if self.signum == 0:
            self.signum, self._received = signum, now
        elif now - self._received >= self.echo_seconds:
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)

    @property
    def late(self):
        """bool: Whether this process's time is up."""
        return self.deadline.is_over

    def agreed(self):
        """int: The signal that any process has received, :data:`TIME_IS_UP`, or 0. All processes have to ask."""
        signalled, late = total([self.signum, self.late])
        if signalled:
            return self.signum or signal.SIGTERM
        return TIME_IS_UP if late else 0


@contextmanager
def interrupted_by_signals(message):
    """Context in which SIGINT and SIGTERM end the work at once, where whatever is finished has been kept.

    Args:
        message (str): One line that says how to go on.

    Raises:
        Interrupted: A signal came.
    """

    def end(signum, _frame):
        raise Interrupted(message, signum)

    previous = {signum: signal.signal(signum, end) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)


def spare_workers(loader):
    """Let the loading processes of a DataLoader outlive a signal that the terminal or a launcher sends to all.

    They end with this process; if they ended before it, the last iteration could not be finished.
    """
    loader.worker_init_fn = partial(_ignore_signals, loader.worker_init_fn)


def _ignore_signals(initialise, worker_id):
    for signum in SIGNALS:
        signal.signal(signum, signal.SIG_IGN)
    if initialise is not None:
        initialise(worker_id)
