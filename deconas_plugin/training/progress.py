"""Shows on the console where a run stands: live on a terminal, line by line elsewhere.

BasicSR's log file stays as it is. Only its line per ``print_freq`` iterations no longer goes to the console, because
the display says the same: nothing is printed twice.
"""
import logging
import sys
import time
from collections import deque
from datetime import timedelta

from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

RATE_WINDOW = 30.  # seconds over which images per second are counted
# Name, label, format and unit, in the order of the display.
FIELDS = (
    ('loss', 'loss', '.4f', ''),
    ('psnr', 'PSNR', '.2f', ' dB'),
    ('reward', 'reward', '.2f', ' dB'),
    ('baseline', 'baseline', '.2f', ' dB'),
    ('entropy', 'entropy', '.2f', ' nats'),
    ('rate', 'speed', '.1f', ' images/s'),
)


class RunProgress:
    """Context manager that shows the progress of a search or a training on stderr.

    On a terminal it keeps a display at the bottom, above which everything else that is printed scrolls by; elsewhere it
    prints a line every ``line_freq`` iterations, without any control character. NO_COLOR is respected.

    Args:
        total_iter (int): Weight steps of the whole run.
        start_iter (int): Those done before, after a resume. Default: 0.
        line_freq (int): Iterations between two lines where there is no terminal. Default: 100.
        task (str): What is running. Default: 'search'.
    """

    def __init__(self, total_iter, start_iter=0, line_freq=100, task='search'):
        self.task = task
        self.total_iter = total_iter
        self.start_iter = self.current_iter = start_iter
        self.line_freq = line_freq
        self.values = {}
        self.best = None
        self._live = None
        self._filter = _HideIterationLines()
        self._printed_iter = None

    def __enter__(self):
        self._started = time.monotonic()
        self._seen = deque([(self._started, 0)])
        self._stderr = sys.stderr
        # FORCE_COLOR makes rich call any file a terminal: ask the file itself.
        if sys.stderr.isatty() and not (console := Console(stderr=True)).is_dumb_terminal:
            self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4,
                              redirect_stdout=sys.stdout.isatty())
            self._live.start()
        self._route_log()
        return self

    def __exit__(self, *_):
        display = sys.stderr
        if self._live:
            self._live.stop()
        elif self.current_iter not in (self.start_iter, self._printed_iter):
            self._print_line()
        for handler in _stream_handlers():
            handler.removeFilter(self._filter)
            if handler.stream is display:
                handler.setStream(self._stderr)

    def update(self, current_iter, num_images=0, best=None, **values):
        """Tell what has happened; what is not named stays as it was.

        Args:
            current_iter (int): Weight steps done.
            num_images (int): Training images since the last call. Default: 0.
            best (str): The best genotype of the last round and what it gained.
            values (float): Any of loss, psnr (dB), reward (dB), baseline (dB) and entropy (nats).
        """
        unknown = values.keys() - {name for name, *_ in FIELDS}
        if unknown:
            raise TypeError(f'update() got an unexpected value {min(unknown)!r}')
        self.current_iter = current_iter
        self.values.update(values)
        self.best = best or self.best
        self._count(num_images)
        self._route_log()
        if not self._live and current_iter % self.line_freq == 0 and current_iter != self._printed_iter:
            self._print_line()

    def _count(self, num_images):
        if not num_images:
            return
        now = time.monotonic()
        self._seen.append((now, num_images))
        while len(self._seen) > 2 and self._seen[0][0] < now - RATE_WINDOW:
            self._seen.popleft()
        # The first entry only marks when the others began.
        images = sum(count for _, count in list(self._seen)[1:])
        self.values['rate'] = images / max(now - self._seen[0][0], 1e-9)

    def _route_log(self):
        """Let BasicSR's log scroll by above the display; its handler may come to be only within the context."""
        for handler in _stream_handlers():
            handler.addFilter(self._filter)
            if handler.stream is self._stderr:
                handler.setStream(sys.stderr)

    @property
    def eta(self):
        """str: Time left at the mean speed so far, ``h:mm:ss``; a dash before the first iteration."""
        done = self.current_iter - self.start_iter
        if done <= 0:
            return '–'
        left = (time.monotonic() - self._started) / done * (self.total_iter - self.current_iter)
        return str(timedelta(seconds=max(round(left), 0)))

    def _shown(self):
        """list[tuple[str, str]]: Label and value of what is known."""
        return [(label, f'{self.values[name]:{form}}{unit}') for name, label, form, unit in FIELDS
                if name in self.values]

    def _print_line(self):
        self._printed_iter = self.current_iter
        parts = [f'{label} {value}' for label, value in self._shown()] + ([f'best {self.best}'] if self.best else [])
        print(f'{time.strftime("%Y-%m-%d %H:%M:%S")} {self.task} {self.current_iter:,}/{self.total_iter:,} '
              f'({self.current_iter / self.total_iter:.1%}), ETA {self.eta}: {", ".join(parts)}', file=sys.stderr,
              flush=True)

    def _render(self):
        head = Table.grid(padding=(0, 2), expand=True)
        for ratio in (None, 1, None, None):
            head.add_column(ratio=ratio, no_wrap=True)
        head.add_row(Text(self.task, style='bold'), ProgressBar(total=self.total_iter, completed=self.current_iter),
                     f'{self.current_iter:,}/{self.total_iter:,}', f'ETA {self.eta}')
        values = Columns([Text.assemble((f'{label} ', 'dim'), value) for label, value in self._shown()], padding=(0, 2))
        best = [Text.assemble(('best ', 'dim'), self.best)] if self.best else []
        return Group(head, values, *best)


class _HideIterationLines(logging.Filter):
    """Leaves out the lines of BasicSR's MessageLogger, which the display stands in for."""

    def filter(self, record):
        return '..][epoch:' not in record.getMessage()


def _stream_handlers():
    """list[logging.StreamHandler]: BasicSR's handlers that write to the console."""
    return [handler for handler in logging.getLogger('basicsr').handlers if type(handler) is logging.StreamHandler]
