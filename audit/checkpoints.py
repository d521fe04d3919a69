"""Checkpoints: signed statements of the log's size and root."""

from __future__ import annotations

from django.db import transaction

from audit import tiles, tree
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Log, Tile, b64
from audit.signing import ledger_signer, signed_note


def sign_current() -> Checkpoint:
    """The checkpoint of the open log's head, signed now if there is none of this size.

    Raises `LedgerError` when the head does not continue the last checkpoint: then the log was changed.
    """
    with transaction.atomic():
        log = current_log(lock=True)
        existing = log.checkpoints.order_by("-size").first()
        # Past what is signed here: tiles of all complete subtrees go into the database with the checkpoint.
        Tile.objects.bulk_create(checked_tiles(log, existing))
        if existing is not None and existing.size == log.size:
            return existing
        text = f"{log.origin}\n{log.size}\n{b64(log.root)}\n"
        return Checkpoint.objects.create(
            log=log, size=log.size, frontier=log.frontier, note=signed_note(text, ledger_signer())
        )


def checked_tiles(log: Log, last: Checkpoint | None) -> list[Tile]:
    """The tiles that are not stored yet, if the head is the last checkpoint's tree plus the events since.

    Raises `LedgerError` if it is not, or if the stored tiles are not the beginning of that tree.
    """
    signed = last.size if last else 0
    edge = [] if last is None else Log(frontier=last.frontier).edge
    start = tiles.covered(log)
    new, completed = tiles.collector(log)
    try:
        grown, size = tree.edge(tiles.stored_nodes(log), 0, start), start
    except LookupError as error:
        raise LedgerError(_changed(log, last)) from error
    grown, size = tree.grow(grown, size, tiles.leaves(log, start, signed), completed)
    if (size, grown) != (signed, edge):
        raise LedgerError(_changed(log, last))
    grown, size = tree.grow(grown, size, tiles.leaves(log, signed, log.size), completed)
    if (size, grown) != (log.size, log.edge) or log.events.filter(index__gte=size).exists():
        raise LedgerError(_changed(log, last))
    return new


def _changed(log: Log, last: Checkpoint | None) -> str:
    since = f"the checkpoint at {last.size}" if last else "its beginning"
    return (
        f"{log.origin}: the head at {log.size} does not continue {since}; nothing was signed. "
        "Compare the database with a backup and the last export."
    )
