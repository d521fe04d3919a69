"""The demo's time: so that its history is older than a minute."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

from django.utils import timezone

# How far the demo's history reaches back.
HISTORY = timedelta(days=92)


class Clock:
    """A clock that starts in the past and is moved ahead by hand."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def __call__(self) -> datetime:
        # Never ahead of the real time: the ledger's times do not go back, so later ones would wait for it.
        self._now = min(self._now + timedelta(seconds=3), datetime.now(UTC))
        return self._now

    def to(self, moment: datetime) -> None:
        """Jump ahead; never back, as the ledger's times never go back."""
        self._now = max(self._now, moment)

    def forward(self, **span: float) -> None:
        self._now += timedelta(**span)


@contextmanager
def clock_from(start: datetime) -> Iterator[Clock]:
    """Let everything in this block believe that it is `start`, and go on from there."""
    clock = Clock(start)
    with patch.object(timezone, "now", clock):
        yield clock
