"""Time and memory: a limit on the clock, the peak of a computation, and A against B in turns."""
import ctypes
import math
import multiprocessing
import sys
import time
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import torch

MIN_ROUNDS = 3  # of runs in turns, however long they take


class Deadline:
    """Knows when the time is up.

    Args:
        minutes (float | None): The limit; None for none.
        started (float | None): From when on it counts, as ``time.monotonic`` says. Default: from now on.
    """

    def __init__(self, minutes=None, started=None):
        started = time.monotonic() if started is None else started
        self._end = math.inf if minutes is None else started + 60 * minutes

    @property
    def minutes_left(self):
        """float | None: What is left, 0 where nothing is; None without a limit."""
        return None if self._end == math.inf else max(self._end - time.monotonic(), 0) / 60

    @property
    def is_over(self):
        """bool: Whether the time is up."""
        return time.monotonic() >= self._end


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


def timed(run, device):
    """float: Seconds that ``run()`` takes on a device, with all that it left running there."""
    _wait(device)
    start = time.perf_counter()
    run()
    _wait(device)
    return time.perf_counter() - start


def in_turns(runs, rounds, seconds=60, warm_up=True):
    """Time several runs, one after the other and again, every second round backwards.

    Args:
        runs (dict): name -> function that returns the seconds it took.
        rounds (int): How often, at most.
        seconds (float): Stop when this much time is over, after at least :data:`MIN_ROUNDS`. Default: 60.
        warm_up (bool): Call each once before. Default: True.

    Returns:
        dict[str, list[float]]: Seconds of each run by round.
    """
    for run in runs.values() if warm_up else ():
        run()
    times = {name: [] for name in runs}
    start = time.perf_counter()
    for index in range(rounds):
        if index >= MIN_ROUNDS and time.perf_counter() - start > seconds:
            break
        for name in list(runs)[::-1 if index % 2 else 1]:
            times[name].append(runs[name]())
    return times


def ratio(times, base):
    """float: Median over the rounds of time / time of the base, both lists of seconds."""
    return median(a / b for a, b in zip(times, base, strict=True))


class OwnProcess:
    """A run in a process of its own, so that it neither shares memory settings with another nor profits from them.

    Calling it runs once there, with the same arguments, and returns the seconds that took.

    Args:
        build (function): Importable; ``build(device, **options)`` returns the function to run.
        device (torch.device): Where it computes.
        options: What else ``build`` needs.
    """

    def __init__(self, build, device, **options):
        self._name = build.__name__
        context = multiprocessing.get_context('spawn')
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, torch.get_num_threads(), build, device, options))
        self._process.start()
        theirs.close()

    def __call__(self, *arguments):
        return self.ask('__call__', *arguments)

    def peak_memory(self):
        """int | None: By how many bytes memory grows during a run at most."""
        return self.ask('peak_memory')

    def ask(self, method, *arguments):
        """What a method of that which ``build`` returned gives there."""
        try:
            self._connection.send((method, *arguments))
            return self._connection.recv()
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(f'the process of {self._name} ended; see its error above') from error

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()
        self._process.join()


def _serve(connection, num_threads, build, device, options):
    torch.set_num_threads(num_threads)
    run = build(device, **options)
    while True:
        try:
            what, *arguments = connection.recv()
        except EOFError:
            return
        if what == '__call__':
            answer = timed(partial(run, *arguments), device)
        elif what == 'peak_memory':
            answer = _peak_memory(run, device)
        else:
            answer = getattr(run, what)(*arguments)
        connection.send(answer)


def _peak_memory(run, device):
    memory = PeakMemory(device)
    with memory.measured():
        run()
    return memory.bytes


def _wait(device):
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
