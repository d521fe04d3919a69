"""Refused access, counted: in memory by requests, in rows by a thread, and in the ledger by a task, as sums.

So nobody fills the ledger from outside: however often somebody is refused, it hears once an hour and kind.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import Literal

from django.db.models import F

from access.models import Refusals
from audit.actor import Actor
from audit.recording import recording

Kind = Literal["forbidden", "unauthenticated", "throttled"]

MOST_ACTORS = 500
"""Actors of whom one process counts apart until it has told them; further ones count together."""
SAMPLE = 20
"""Actors that an event names, those with most refusals first."""

_counted: Counter[tuple[str, str]] = Counter()
_lock = threading.Lock()


def count(kind: Kind, actor: str = "") -> None:
    """Count a refusal, of `actor` (a pseudonym) where one is known. In memory only."""
    with _lock:
        known = (kind, actor) in _counted or len(_counted) < MOST_ACTORS
        _counted[kind, actor if known else ""] += 1


def keep() -> None:
    """Put what was counted in this process into rows, for the task. Not in a request."""
    with _lock:
        counted = dict(_counted)
        _counted.clear()
    for (kind, actor), number in counted.items():
        row, _ = Refusals.objects.get_or_create(kind=kind, actor=actor)
        Refusals.objects.filter(pk=row.pk).update(count=F("count") + number)


def tell(actor: Actor) -> int:
    """Tell the ledger, in one event for each kind; returns how many. May run twice and at once."""
    with recording(actor) as record:
        rows = list(Refusals.objects.select_for_update().filter(count__gt=0).order_by("-count", "pk"))
        kinds = sorted({row.kind for row in rows})
        for kind in kinds:
            of_kind = [row for row in rows if row.kind == kind]
            named = [row for row in of_kind if row.actor][:SAMPLE]
            record.event(
                "access.v1.refused",
                "access/refusals",
                {
                    "kind": kind,
                    "count": sum(row.count for row in of_kind),
                    "actors": [{"id": row.actor, "count": row.count} for row in named],
                },
            )
        # Whoever was refused meanwhile is counted on, not lost.
        for row in rows:
            Refusals.objects.filter(pk=row.pk).update(count=F("count") - row.count)
    return len(kinds)
