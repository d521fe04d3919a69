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
from flags.models import Expectations, Flag


def why_not(flag: Flag) -> list[str]:
    """What keeps the flag from being archived now, a sentence each."""
    return blockers(flag.project, flag.key)


def archive(actor: Actor, flag: Flag, *, title: str = "", **options: Any) -> ChangeRequest:
    """Ask that the flag leaves lists and snapshots; callers then get their own default.

    What it is expected to serve ends with it, in the same request: an archived flag serves nobody.
    Raises `InvalidError` with what keeps it, `StateError`, and what `workflow.change` raises.
    """
    require(actor, "change.propose", flag.project)
    if flag.archived:
        raise StateError(f"{flag.key} is archived already.")
    ended = [{"subject": row.ledger_subject, "after": {"expectations": []}} for row in expectations_of(flag)]
    return _change(actor, flag, True, ended, title or f"Archive {flag.key}", options)


def expectations_of(flag: Flag) -> list[Expectations]:
    """The row of the flag's expectations, where it has any."""
    rows = Expectations.objects.filter(flag=flag).select_related("flag__project")
    return [row for row in rows if row.document["expectations"]]


def unarchive(actor: Actor, flag: Flag, *, title: str = "", **options: Any) -> ChangeRequest:
    """Ask that an archived flag comes back, off everywhere, without expectations."""
    require(actor, "change.propose", flag.project)
    if not flag.archived:
        raise StateError(f"{flag.key} is not archived.")
    return _change(actor, flag, False, [], title or f"Restore {flag.key} from the archive", options)


def _change(
    actor: Actor,
    flag: Flag,
    archived: bool,
    others: list[dict[str, Any]],
    title: str,
    options: dict[str, Any],
) -> ChangeRequest:
    after = {**definition_document(flag), "archived": archived}
    operations = [{"subject": flag.ledger_subject, "after": after}, *others]
    return workflow.change(actor, flag.project, operations, title=title[:200], **options)
