"""Export as a bundle that anyone can check offline: recorded, then written from what the record says.

The event `ledger.v1.exported` is the export: who, what was selected, and where in the log. The bundle follows
from it and from the first checkpoint after it, whoever writes it, however often.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from audit import bundle, bundle_directory
from audit.actor import Actor
from audit.checkpoints import sign_current
from audit.ledger import current_log
from audit.models import Checkpoint, Event
from audit.recording import recording
from audit.selection import Selection

EXPORTED = "ledger.v1.exported"


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was recorded: its event, the checkpoint over it, and what it carries."""

    event: Event
    checkpoint: Checkpoint
    selection: Selection

    def members(self) -> bundle.Members:
        """The files of the bundle, one after the other, each in pieces. See `bundle.members`."""
        return bundle.members(self.checkpoint, self.selection)


def record_export(actor: Actor, selection: Selection) -> Export:
    """Record the export and sign the checkpoint that it carries. Nothing is written yet.

    Raises `SelectionError`, or `LedgerError` when the log cannot append or was changed.
    """
    log = current_log()
    if selection.log == log.origin:
        selection = replace(selection, log="")
    selection.check(selection.checkpoint_of_earlier_log().log if selection.log else log)
    with recording(actor) as record:
        pending = record.event(EXPORTED, data=selection.as_data())
    return recorded(Event.objects.get(pk=pending.id))


def recorded(event: Event) -> Export:
    """The export that an `EXPORTED` event is, under the first checkpoint that was signed after it."""
    selection = Selection.from_data(json.loads(event.line)["data"])
    checkpoint = event.log.checkpoints.filter(size__gt=event.index).order_by("size").first()
    if selection.log:
        return Export(event, selection.checkpoint_of_earlier_log(), selection)
    return Export(event, checkpoint or sign_current(), selection)


def export_bundle(actor: Actor, directory: Path, selection: Selection | None = None) -> Checkpoint:
    """Write a bundle to `directory`, which must not exist; return its checkpoint. The default is everything.

    The export itself is recorded first, so that the bundle contains it. Raises `SelectionError`,
    FileExistsError or OSError (then nothing is left behind), or `LedgerError` when the stored events do not
    hash to the signed head.
    """
    if directory.exists():
        raise FileExistsError(f"{directory} exists already; name a directory that does not.")
    export = record_export(actor, selection or Selection())
    bundle_directory.write(directory, export.members())
    return export.checkpoint
