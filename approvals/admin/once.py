"""A double click is one change: the same thing asked for again by the same person is not asked for twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from approvals import drafting, workflow
from approvals.models import ChangeRequest
from approvals.workflow.standing import standings
from audit.actor import Actor
from audit.jcs import canonical
from audit.recording import recording
from flags.documents import read_moment
from flags.models import Project

# How long after it was applied the same change counts as a second click, not as a second wish.
MOMENT = timedelta(seconds=30)


def change_once(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], **options: Any
) -> ChangeRequest:
    """`workflow.change`, or the request by which this actor asked for exactly this already.

    The project's row is locked around looking and asking, so that two clicks at once cannot both ask. What was
    asked for is no draft any more.
    """
    with recording(actor):
        project.hold()
        made = _asked_before(actor, project, operations, options) or workflow.change(
            actor, project, operations, **options
        )
        drafting.edits_of(actor, project).filter(
            subject__in=[each["subject"] for each in operations]
        ).delete()
        return made


def _asked_before(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], options: Mapping[str, Any]
) -> ChangeRequest | None:
    wanted = {operation["subject"]: canonical(operation["after"]) for operation in operations}
    mine = ChangeRequest.objects.filter(project=project, proposer=actor.id)
    recent = mine.filter(state=ChangeRequest.State.APPLIED, applied_at__gte=timezone.now() - MOMENT)
    for request in [*mine.filter(state__in=ChangeRequest.OPEN)[:200], *recent[:20]]:
        made = {
            operation["subject"]: canonical(operation["after"])
            for operation in request.change["operations"]
            if "label" not in operation
        }
        if (
            made == wanted
            and _is_same_wish(request, options)
            and (request.is_open or _still_stands(project, request))
        ):
            return request
    return None


def _is_same_wish(request: ChangeRequest, options: Mapping[str, Any]) -> bool:
    """Whether the request was made with the same texts and times."""
    texts = all(
        str(request.change[name]) == str(options.get(name, "")).strip()
        for name in ("title", "rationale", "ticket")
    )
    times = (
        request.change.get("confirm_within") == options.get("confirm_within")
        and read_moment(request.change.get("not_before")) == options.get("not_before")
        and request.ends_at == options.get("ends_at")
    )
    if "scheduled_at" in options:
        return texts and times and request.scheduled_at == options["scheduled_at"]
    # As soon as it may be: at once, or kept by a freeze.
    is_soon = request.scheduled_at is not None and request.scheduled_at <= timezone.now()
    return texts and times and (is_soon or bool(request.problem))


def _still_stands(project: Project, request: ChangeRequest) -> bool:
    """Whether nothing changed since the request was applied: else asking again means something."""
    standing = standings(project, request.change["base"])
    return all(
        standing[subject].version == version + 1 for subject, version in request.change["base"].items()
    )
