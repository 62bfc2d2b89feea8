"""Batches made ready by a thread, as BasicSR's ``prefetch_mode: cpu``, which waits for ever where loading fails."""
import queue
import threading

POLL_SECONDS = 0.5
_END = object()


class ThreadPrefetcher:
    """Iterates over a DataLoader in a thread.

    Args:
        loader (Iterable): Batches.
        depth (int): How many to hold.
    """

    def __init__(self, loader, depth=1):
        self.loader, self.depth = loader, depth

    def __iter__(self):
        ready, stop = queue.Queue(self.depth), threading.Event()
        threading.Thread(target=self._fill, args=(ready, stop), daemon=True).start()
        try:
            while (item := ready.get()) is not _END:
                if isinstance(item, _Failure):
                    raise item.error
                yield item
        finally:
            stop.set()

    def _fill(self, ready, stop):
        try:
            for batch in self.loader:
                if not _put(ready, batch, stop):
                    return
            _put(ready, _END, stop)
        except Exception as error:
            _put(ready, _Failure(error), stop)


class _Failure:

    def __init__(self, error):
        self.error = error


def _put(ready, item, stop):
    """bool: Whether it was taken before nobody wanted it any more."""
    while not stop.is_set():
        try:
            ready.put(item, timeout=POLL_SECONDS)
            return True
        except queue.Full:
            continue
    return False
