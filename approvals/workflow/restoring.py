"""Restoring an earlier version at once: taking back all that came after it, each by its own approved way back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from access.permissions import require
from approvals.errors import ConflictError, StateError
from approvals.models import ChangeRequest, Emergency
from approvals.workflow import subjects
from approvals.workflow.reach import touched_by
from approvals.workflow.reverting import revert_at_once, why_not_at_once
from audit.actor import Actor
from audit.ledger import current_log
from audit.models import Event
from audit.recording import recording
from flags.models import Project
from flags.subjects import SERVED, Subject


def restore_at_once(
    actor: Actor, project: Project, event: Event, *, base: Mapping[str, int] | None = None
) -> list[Emergency]:
    """Bring back the version that an event put there, without a new approval; reviews are owed afterwards.

    What is carried out is what the reviewers of the requests since then approved as their ways back, the last one
    first, all of them or none. `base`: by its subject, the version seen; None: whatever stands. Raises
    `ForbiddenError`, `ConflictError`, or `StateError`, which says why not.
    """
    with recording(actor):
        require(actor, "flag.kill", project)
        subject = _subject(project, event)
        require(actor, "flag.kill", project, touched_by(project, [{"subject": event.subject, "after": {}}]))
        project.hold()
        version = subjects.read(project, subject, lock=True).version
        if base is not None and base.get(event.subject) != version:
            raise ConflictError(event.subject, base.get(event.subject), version)
        requests = _to_take_back(project, event)
        return [revert_at_once(actor, request) for request in requests]


def why_not_restored_at_once(project: Project, event: Event) -> str:
    """What `restore_at_once` would refuse with, whoever asks; empty where nothing stands in its way."""
    try:
        _subject(project, event)
        _to_take_back(project, event)
    except StateError as error:
        return str(error)
    return ""


def _to_take_back(project: Project, event: Event) -> list[ChangeRequest]:
    """The requests that put there what came after an event, the last one first. Raises `StateError`."""
    found = []
    # Not further than to the first that cannot be: of what is older than a day nothing can.
    for request in _since(project, event):
        if reason := why_not_at_once(request):
            raise StateError(reason)
        found.append(request)
    if not found:
        name = Subject.parse(event.subject).words(begins=True)
        raise StateError(f"{name}: this version stands there now; there is nothing to restore.")
    return found


def _subject(project: Project, event: Event) -> Subject:
    try:
        subject = Subject.parse(event.subject)
    except ValueError:
        subject = None
    if subject is None or subject.kind not in SERVED or subject.project != project.key or not event.change_id:
        raise StateError(
            "This event put no version there under a change request; only such a version is restored at once."
        )
    return subject


def _since(project: Project, event: Event) -> Iterator[ChangeRequest]:
    """The requests since, where each is of this subject alone. Raises `StateError` at one that is not."""
    name = Subject.parse(event.subject).words(begins=True)
    if event.log_id != current_log().pk:
        raise StateError("That was under an earlier ledger. Ask for the version; it is reviewed.")
    later = Event.objects.filter(subject=event.subject, log=event.log_id, index__gt=event.index)
    for each in later.order_by("-index"):
        named = json.loads(each.line)["data"].get("change_request")
        if named is None:
            raise StateError(f"{name} was killed since. Undoing a kill is an ordinary change; ask for it.")
        request = ChangeRequest.objects.get(project=project, pk=named["id"].removeprefix("CR-").split(".")[0])
        operations = request.change["operations"]
        if "label" in operations[named["operation"]]:
            raise StateError(
                f"{name} has changed since by what {named['id']} planned for later, or by going back. "
                "Ask for the version; it is reviewed."
            )
        if any("label" not in other and other["subject"] != event.subject for other in operations):
            raise StateError(
                f"{named['id']}, which changed it since, changed more than this. Take that back as a whole first, "
                "or ask for the version; it is reviewed."
            )
        yield request
