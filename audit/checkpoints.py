"""Checkpoints: signed statements of the log's size and root."""

from __future__ import annotations

from django.db import transaction

from audit import tree
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Log, b64
from audit.signing import ledger_signer, signed_note


def sign_current() -> Checkpoint:
    """The checkpoint of the open log's head, signed now if there is none of this size.

    Raises `LedgerError` when the head does not continue the last checkpoint: then the log was changed.
    """
    with transaction.atomic():
        log = current_log(lock=True)
        existing = log.checkpoints.order_by("-size").first()
        if existing is not None and existing.size == log.size:
            if existing.frontier != log.frontier:
                raise LedgerError(_changed(log, existing))
            return existing
        refuse_inconsistent(log, existing)
        text = f"{log.origin}\n{log.size}\n{b64(log.root)}\n"
        return Checkpoint.objects.create(
            log=log, size=log.size, frontier=log.frontier, note=signed_note(text, ledger_signer())
        )


def refuse_inconsistent(log: Log, last: Checkpoint | None) -> None:
    """Raise `LedgerError` unless the head is the last checkpoint's tree plus the events since."""
    start = last.size if last else 0
    edge = [] if last is None else Log(frontier=last.frontier).edge
    leaves = (
        bytes(leaf)
        for leaf in log.events.filter(index__gte=start)
        .order_by("index")
        .values_list("leaf_hash", flat=True)
        .iterator(chunk_size=10_000)
    )
    grown, size = tree.grow(edge, start, leaves)
    if size != log.size or grown != log.edge:
        raise LedgerError(_changed(log, last))


def _changed(log: Log, last: Checkpoint | None) -> str:
    since = f"the checkpoint at {last.size}" if last else "its beginning"
    return (
        f"{log.origin}: the head at {log.size} does not continue {since}; nothing was signed. "
        "Compare the database with a backup and the last export."
    )
