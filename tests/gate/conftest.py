"""A clock that tests can move, and nothing else of time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], datetime]:
    """Let so much time pass (or, negative, run back): everything asks Django for the time."""
    real, passed = timezone.now, [timedelta()]
    monkeypatch.setattr(timezone, "now", lambda: real() + passed[0])

    def move(by: timedelta) -> datetime:
        passed[0] += by
        return timezone.now()

    return move
