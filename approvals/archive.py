"""Archiving a flag that has done its work, and restoring it. Both are requests."""

from __future__ import annotations

from typing import Any

from access.permissions import require
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import StateError
from approvals.workflow.archiving import blockers
from audit.actor import Actor
from flags.documents import definition_document
from flags.models import Flag


def why_not(flag: Flag) -> list[str]:
    """What keeps the flag from being archived now, a sentence each."""
    return blockers(flag.project, flag.key)


def archive(actor: Actor, flag: Flag, *, title: str = "", **options: Any) -> ChangeRequest:
    """Ask that the flag leaves lists and snapshots; callers then get their own default.

    Raises `InvalidError` with what keeps it, `StateError`, and what `workflow.change` raises.
    """
    require(actor, "change.propose", flag.project)
    if flag.archived:
        raise StateError(f"{flag.key} is archived already.")
    return _change(actor, flag, True, title or f"Archive {flag.key}", options)


def unarchive(actor: Actor, flag: Flag, *, title: str = "", **options: Any) -> ChangeRequest:
    """Ask that an archived flag comes back, as it was: off everywhere."""
    require(actor, "change.propose", flag.project)
    if not flag.archived:
        raise StateError(f"{flag.key} is not archived.")
    return _change(actor, flag, False, title or f"Restore {flag.key} from the archive", options)


def _change(actor: Actor, flag: Flag, archived: bool, title: str, options: dict[str, Any]) -> ChangeRequest:
    after = {**definition_document(flag), "archived": archived}
    operations = [{"subject": flag.ledger_subject, "after": after}]
    return workflow.change(actor, flag.project, operations, title=title[:200], **options)
