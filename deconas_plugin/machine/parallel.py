"""Work on all cores, in order, with a progress display."""
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection, get_all_start_methods, get_context, parent_process

import cv2
import torch
from tqdm import tqdm

from deconas_plugin.errors import DataError


def available_cores():
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()


def ordered_map(function, items, workers):
    """Yield `function(item)` for each item, in order, computed by `workers` processes (1: in this one).

    Only a few results exist at a time, however slowly they are consumed.

    Raises:
        DataError: a worker process died.
    """
    if workers == 1:
        yield from map(function, items)
        return
    # Forked workers start at once; spawned ones, which macOS and Windows need, import torch first.
    forks = 'fork' in get_all_start_methods() and sys.platform != 'darwin'
    context = get_context('fork' if forks else 'spawn')
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    waiting = deque()
    # A forked process has none of the threads that OpenCV believes it has, and would wait for them for ever.
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise DataError('a worker process died, probably for want of memory; what is finished is kept: '
                        'run the same command again with fewer --workers') from error
    finally:
        pool.shutdown(cancel_futures=True)
        cv2.setNumThreads(threads)


def _start_worker():
    # Ctrl-C is the parent's to handle, one thread per process is enough, and no worker outlives a killed parent.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if cv2.getNumThreads() != 1:  # spawned, not forked
        cv2.setNumThreads(1)
    torch.set_num_threads(1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent():
    connection.wait([parent_process().sentinel])
    os._exit(1)


def progress(results, total, title):
    """Pass `results` on and show how many have come: a bar on a terminal, else a plain line every ten seconds."""
    if sys.stderr.isatty():
        yield from tqdm(results, total=total, desc=title)
        return
    shown = time.monotonic()
    for done, result in enumerate(results, 1):
        yield result
        if done == total or time.monotonic() - shown > 10:
            print(f'{title}: {done}/{total}', file=sys.stderr, flush=True)
            shown = time.monotonic()
