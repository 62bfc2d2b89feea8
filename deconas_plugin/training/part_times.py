"""Where a run's time goes, by part."""
import json
import time
from contextlib import contextmanager
from pathlib import Path

from deconas_plugin.utils.atomic import save_text


class PartTimes:
    """Seconds spent in the parts of a run, kept in ``timing.json`` of its experiment folder.

    A part inside another counts for itself alone. A resumed run adds to what the file holds.

    Args:
        folder (str | Path): The experiment folder.
    """

    def __init__(self, folder):
        self.path = Path(folder, 'timing.json')
        self.seconds = json.loads(self.path.read_text(encoding='utf-8')) if self.path.is_file() else {}
        self._inside = []

    @contextmanager
    def measure(self, part):
        """Count the time of a block for a part (str)."""
        started = time.monotonic()
        self._inside.append(0.0)
        try:
            yield
        finally:
            spent = time.monotonic() - started
            own = spent - self._inside.pop()
            self.seconds[part] = self.seconds.get(part, 0.0) + own
            if self._inside:
                self._inside[-1] += spent

    def save(self):
        """Write the file."""
        save_text(json.dumps({part: round(seconds, 2) for part, seconds in self.seconds.items()}), self.path)
