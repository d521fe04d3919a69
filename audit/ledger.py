"""Appending to the ledger and reading its head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Subquery
from django.utils import timezone

from audit import keys, tree
from audit.errors import LedgerError as LedgerError
from audit.jcs import canonical
from audit.models import Disclosure, Event, Log, b64
from audit.signing import host_signers, renamed, snapshots_name

if TYPE_CHECKING:
    from audit.recording import PendingEvent

EVENT_LIMIT = 65_535  # bytes of a line


def origin() -> str:
    """The identity of the first log of this installation."""
    return f"{settings.ORIGIN}/ledger"


def timestamp(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def current_log(*, lock: bool = False) -> Log:
    """The open log. Raises `LedgerError` when there is none yet, or another was opened while it was waited for."""
    logs = Log.objects.select_for_update(no_key=True) if lock else Log.objects
    log = logs.order_by("-pk").first()
    if log is None:
        raise LedgerError("There is no ledger yet: run `manage.py migrate`, which opens it.")
    # Whoever waited for the lock has the row that was the newest before; another one may be open since.
    waits = lock and connection.features.has_select_for_update
    if waits and Log.objects.filter(pk__gt=log.pk).exists():
        raise LedgerError(
            "A new ledger was opened meanwhile, after a restore; nothing was written. Do it again."
        )
    return log


def open_log(**_: Any) -> Log:
    """Open the ledger if there is none; its first event names the log key. Runs after `migrate`."""
    with transaction.atomic():
        keys.establish(snapshots_name())
        existing = Log.objects.order_by("-pk").first()
        if existing is None:
            return open_next(origin())
        keys.establish(existing.origin, created=_log_key(existing))
        return existing


def open_next(name: str, continues: dict[str, Any] | None = None) -> Log:
    """Open a log, which is the current one from now on. Must run in a transaction.

    `continues` names the end of the log before it (ledger-bundle, section 6, a restored system).
    """
    from audit.recording import PendingEvent

    Log.objects.create(origin=name)
    keys.establish(name)
    data: dict[str, Any] = {"origin": name, "log_key": keys.signers(name)[0].vkey}
    if continues is not None:
        data["continues"] = continues
    append([PendingEvent(uuid4(), "ledger.v1.created", "", data)])
    return current_log()


def trusted_log() -> dict[str, Any]:
    """Origin and all keys of each log, as an auditor's trust file has them (ledger-bundle, section 9)."""
    logs = [{"origin": log.origin, "log": keys_ever(log.origin)} for log in Log.objects.order_by("pk")]
    return logs[0] if len(logs) == 1 else {"logs": logs}


def keys_ever(name: str) -> list[str]:
    """The vkeys that a log ever had: as events say, and those that this host signs it with.

    The keys of later logs too: bundles that are made of an earlier one are signed by them. Not the rows that
    say which keys sign now: whoever can write those must not make auditors trust a key.
    """
    vkeys = {signer.vkey for signer in host_signers(name)}
    for log in Log.objects.filter(pk__gte=Subquery(Log.objects.filter(origin=name).values("pk"))):
        vkeys.add(renamed(_log_key(log), name))
        # The project is named (none) for the index, which begins with it.
        changes = log.events.filter(project="", type="ledger.v1.log_key.changed")
        for line in changes.values_list("line", flat=True):
            vkeys.update(renamed(vkey, name) for vkey in json.loads(line)["data"]["keys"])
    return sorted(vkeys)


def _log_key(log: Log) -> str:
    return str(json.loads(log.events.get(index=0).line)["data"]["log_key"])


def append(pending: Sequence[PendingEvent]) -> None:
    """Append events in order, under a row lock on the log. Must be the last act of its transaction.

    Raises `LedgerError` when there is no log, or an event is larger than 65,535 bytes.
    """
    # Before the lock, for which everybody waits: their events may follow, up to the commit.
    Disclosure.objects.bulk_create(
        Disclosure(event_id=event.id, name=name, salt=salt, value=value)
        for event in pending
        for name, (salt, value) in event.personal.items()
    )
    log = current_log(lock=True)
    now = max(timezone.now(), log.last_time) if log.last_time else timezone.now()
    rows, leaves = [], []
    for offset, event in enumerate(pending):
        index = log.size + offset
        line = canonical(
            {
                "specversion": "1.0",
                "id": str(event.id),
                "source": log.origin,
                "type": event.type,
                "sequence": f"{index:016d}",
                "time": timestamp(now),
                "datacontenttype": "application/json",
                "data": event.data,
                **({"subject": event.subject} if event.subject else {}),
            }
        )
        if len(line) > EVENT_LIMIT:
            raise LedgerError(
                f"{event.type} of {event.subject}: the event has {len(line)} bytes, more than {EVENT_LIMIT}; "
                "shorten the rationale or split the change."
            )
        leaf = tree.leaf_hash(line)
        leaves.append(leaf)
        rows.append(
            Event(
                id=event.id,
                log=log,
                index=index,
                time=now,
                type=event.type,
                subject=event.subject,
                actor=event.actor,
                project=event.project,
                change_id=event.change_id,
                line=line.decode(),
                leaf_hash=leaf,
            )
        )
    edge, size = tree.grow(log.edge, log.size, leaves)
    Event.objects.bulk_create(rows)
    log.frontier, log.size, log.last_time = [b64(node) for node in edge], size, now
    log.save(update_fields=["frontier", "size", "last_time"])
