"""A limit on the wall clock, for what ends in good order and is continued by the same command."""
import math
import time


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
