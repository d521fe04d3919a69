"""How far somebody got with the bundle of an export that they take: told to them, and no evidence of anything."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from audit.bundle import Members
from audit.export import Export
from audit.ledger import LedgerError
from audit.models import Taking

EVERY = 0.5  # seconds between two words of how far it is
SILENCE = timedelta(seconds=30)
"""After so long without word, nobody takes it any more."""


def taken(export: Export, person: str) -> Members:
    """The files of the bundle, of which the row says how many entries were taken, and how it ended."""
    row, _made = Taking.objects.update_or_create(
        event=export.event,
        person=person,
        defaults={
            "done": 0,
            "total": export.checkpoint.size - export.selection.first,
            "state": Taking.State.RUNNING,
            "problem": "",
            "updated_at": timezone.now(),
        },
    )
    try:
        for name, pieces in export.members():
            yield name, _watched(row, pieces, counted=name == "entries.ndjson")
    except LedgerError as error:
        _say(row, state=Taking.State.FAILED, problem=str(error))
        raise
    _say(row, state=Taking.State.WHOLE, done=row.total)


def _watched(row: Taking, pieces: Iterator[bytes], *, counted: bool) -> Iterator[bytes]:
    """The same pieces. They are asked for by whoever writes them, so what they raise is told here."""
    done, said = 0, time.monotonic()
    try:
        for piece in pieces:
            yield piece
            done += piece.count(b"\n")
            if counted and time.monotonic() - said >= EVERY:
                said = time.monotonic()
                _say(row, done=done)
    except LedgerError as error:
        _say(row, state=Taking.State.FAILED, problem=str(error))
        raise


def _say(row: Taking, **now: object) -> None:
    Taking.objects.filter(pk=row.pk).update(**now, updated_at=timezone.now())
