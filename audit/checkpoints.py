"""Checkpoints: signed statements of the log's size and root. The newest is also kept outside the database,
so that a database which was restored from a backup is not taken for the one that was signed last."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from django.conf import settings
from django.db import transaction

from audit import keys, tiles, tree
from audit.ledger import LedgerError, current_log
from audit.models import Checkpoint, Log, Tile, b64
from audit.secret_files import held, replace_secret
from audit.signing import signed_note
from countersign.bundle.checkpoint import Checkpoint as Head
from countersign.bundle.refusal import RuleError
from countersign.notes import NoteError, read_note

logger = logging.getLogger(__name__)


def sign_current() -> Checkpoint:
    """The checkpoint of the open log's head, signed now if there is none of this size.

    Raises `LedgerError` when the head does not continue the last checkpoint, of the database or of this host:
    then the log was changed, or restored from a backup.
    """
    with transaction.atomic():
        log = current_log(lock=True)
        refuse_restored(log)
        checkpoint = log.checkpoints.order_by("-size").first()
        # Past what is signed here: tiles of all complete subtrees go into the database with the checkpoint.
        Tile.objects.bulk_create(checked_tiles(log, checkpoint))
        if checkpoint is None or checkpoint.size < log.size:
            text = f"{log.origin}\n{log.size}\n{b64(log.root)}\n"
            checkpoint = Checkpoint.objects.create(
                log=log,
                size=log.size,
                frontier=log.frontier,
                note=signed_note(text, keys.signers(log.origin)),
            )
    _keep(checkpoint)
    return checkpoint


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


def refuse_restored(log: Log) -> None:
    """Raise `LedgerError` when this host signed a checkpoint that the log does not contain."""
    kept = kept_checkpoint()
    head = None if kept is None else head_of(kept)
    if head is not None and not contains(log, head):
        raise LedgerError(
            f"{log.origin}: this host signed {head.origin} at {head.size} events, and the ledger, with "
            f"{log.size}, does not contain that: it was restored from an older backup, or this is another "
            "database; nothing was signed. `manage.py recover` says what is behind and how it goes on."
        )


def contains(log: Log, head: Head) -> bool:
    """Whether `head` is one of this log at its size, or of an earlier log, which this one continues."""
    if head.origin != log.origin:
        created = json.loads(log.events.get(index=0).line)["data"]
        continued = created.get("continues", {}).get("origin")
        return head.origin == continued or Log.objects.filter(origin=head.origin).exists()
    if head.size > log.size:
        return False
    known = log.checkpoints.filter(size=head.size).first()
    if known is not None:
        return Log(frontier=known.frontier).root == head.root
    edge, size = tree.grow([], 0, tiles.leaves(log, 0, head.size))
    return size == head.size and tree.root(edge) == head.root


def kept_checkpoint() -> str | None:
    """The note of the newest checkpoint that this host signed; None where it signed none."""
    try:
        return _file().read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def head_of(note: str) -> Head | None:
    """What a checkpoint's note says, its signatures unchecked; None where it cannot be read."""
    try:
        return Head.parse(read_note(note.encode()).text)
    except (NoteError, RuleError, UnicodeEncodeError) as error:
        logger.error("%s is no checkpoint and counts for nothing: %s", _file(), error)
        return None


def _keep(checkpoint: Checkpoint) -> None:
    if kept_checkpoint() == checkpoint.note:
        return
    try:
        with held(_file()):
            if not _is_newer(kept_checkpoint(), checkpoint):
                replace_secret(_file(), checkpoint.note)
    except OSError:
        logger.exception("%s could not be written; it is tried again at the next checkpoint", _file())


def _is_newer(note: str | None, checkpoint: Checkpoint) -> bool:
    """Whether `note` is of a later checkpoint: another process signed it, and was faster to keep it."""
    head = None if note is None else head_of(note)
    if head is None:
        return False
    if head.origin != checkpoint.log.origin:
        return Log.objects.filter(origin=head.origin, pk__gt=checkpoint.log_id).exists()
    return head.size > checkpoint.size


def _file() -> Path:
    return Path(settings.DATA_DIR) / "last-known-good" / "checkpoint"


def _changed(log: Log, last: Checkpoint | None) -> str:
    since = f"the checkpoint at {last.size}" if last else "its beginning"
    return (
        f"{log.origin}: the head at {log.size} does not continue {since}; nothing was signed. "
        "Compare the database with a backup and the last export."
    )
