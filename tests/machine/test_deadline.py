"""The limit on the wall clock."""
import time

import pytest

from deconas_plugin.machine.timing import Deadline


def test_a_deadline_counts_down_to_nothing(monkeypatch):
    now = [100.]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    deadline, never = Deadline(2), Deadline()
    assert deadline.minutes_left == 2 and not deadline.is_over
    now[0] += 90
    assert deadline.minutes_left == pytest.approx(0.5) and not deadline.is_over
    now[0] += 31
    assert deadline.minutes_left == 0 and deadline.is_over
    assert Deadline(2, started=90).is_over and Deadline(2, started=200).minutes_left == pytest.approx(99 / 60)
    assert never.minutes_left is None and not never.is_over
