"""`recording(actor)`: the only way to write what is tracked. All or nothing, the ledger last.

    with recording(actor) as record:
        record.event("flags.v1.flag.created", subject, before=None, after=document)
        flag.save()

Inside another recording it joins it; only the outermost one appends, as the last act of its transaction.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from audit import blobs, ledger
from audit.actor import Actor
from audit.jcs import canonical

_ABSENT: Any = object()
logger = logging.getLogger(__name__)


class UnrecordedWriteError(RuntimeError):
    """A tracked row was about to be written without an actor and an event; nothing was written."""


@dataclass(slots=True)
class PendingEvent:
    """An event that will be appended when the outermost recording ends."""

    id: uuid.UUID
    type: str
    subject: str
    data: dict[str, Any]
    actor: str = ""
    project: str = ""
    change_id: str = ""
    # name → (salt, value) of personal data, disclosed beside the event
    personal: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(slots=True)
class Recording:
    """What one actor does in one transaction."""

    actor: Actor
    pending: list[PendingEvent]

    def event(
        self,
        type: str,
        subject: str = "",
        data: Mapping[str, Any] | None = None,
        *,
        before: Any = _ABSENT,
        after: Any = _ABSENT,
        project: str = "",
        change_id: str = "",
    ) -> PendingEvent:
        """Declare an event of this actor; large documents are stored by digest.

        `project` (default: the one in the subject) and `change_id` are columns to search by, not part of
        the event. `data` has further members of the event's data.
        """
        whole: dict[str, Any] = {"actor": self.actor.document, **(data or {})}
        if before is not _ABSENT:
            blobs.keep(before, after)
            whole["before"], whole["after"] = blobs.event_value(before), blobs.event_value(after)
        personal = {name: (_salt(), value) for name, value in self.actor.personal.items() if value}
        if personal:
            whole["personal"] = {
                name: _commitment(salt, name, value) for name, (salt, value) in personal.items()
            }
        if not project and subject.startswith("project/"):
            project = subject.split("/")[1]
        pending = PendingEvent(
            uuid.uuid4(), type, subject, whole, self.actor.id, project, change_id, personal
        )
        self.pending.append(pending)
        return pending

    def event_for(self, subject: str) -> uuid.UUID:
        """The id of the newest event declared for `subject`. Raises `UnrecordedWriteError` without one."""
        for pending in reversed(self.pending):
            if pending.subject == subject:
                return pending.id
        raise UnrecordedWriteError(
            f"{subject}: no event was declared for it in this recording; declare one before saving."
        )


_open: ContextVar[Recording | None] = ContextVar("countersign_recording", default=None)


def current() -> Recording:
    """The recording that is open here. Raises `UnrecordedWriteError` where none is."""
    record = _open.get()
    if record is None:
        raise UnrecordedWriteError(
            "This row is tracked: write it through its verb, inside `with audit.recording(actor)`."
        )
    return record


def pending() -> list[PendingEvent]:
    """What the recording that is open here will append; nothing where none is open."""
    record = _open.get()
    return [] if record is None else record.pending


@contextmanager
def recording(actor: Actor) -> Iterator[Recording]:
    """One durable transaction of `actor`, whose events are appended to the ledger as its last act.

    Raises whatever stops the append (`ledger.LedgerError`, a database error): then nothing was written.
    """
    outer = _open.get()
    if outer is not None:
        inner = Recording(actor, outer.pending)
        token = _open.set(inner)
        try:
            with transaction.atomic():
                mark = len(inner.pending)
                try:
                    yield inner
                except BaseException:
                    del inner.pending[mark:]  # its rows are rolled back, so its events never happened
                    raise
        finally:
            _open.reset(token)
        return
    with transaction.atomic(durable=True):
        record = Recording(actor, [])
        token = _open.set(record)
        try:
            yield record
        finally:
            _open.reset(token)
        if record.pending:
            ledger.append(record.pending)
    # After the commit, and by pseudonym: what leads from a line of the proxy's log to the ledger.
    for event in record.pending:
        logger.info("%s %s by %s, request %s", event.type, event.id, event.actor, actor.request_id or "-")


def _salt() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).decode("ascii").rstrip("=")


def _commitment(salt: str, name: str, value: str) -> str:
    """b64u(SHA-256(JCS([salt, name, value]))): ledger-bundle section 6, personal data."""
    raw = hashlib.sha256(canonical([salt, name, value])).digest()
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")
