"""Going back: the inverse of an applied request, and any earlier version, each asked for as a request."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from access.permissions import require
from approvals import planned, report, workflow
from approvals.inverse import can_go_back, document_before
from approvals.models import ChangeRequest
from approvals.workflow import StateError
from approvals.workflow.request import same
from approvals.workflow.standing import Standing, standings
from audit.actor import Actor
from audit.models import Event
from audit.recording import recording
from flags.models import Project, RolloutPlan
from flags.subjects import Subject

Operation = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Inverse:
    """What would take an applied request back, and whether that still applies cleanly."""

    # `{"subject", "after"}`, the last write of the request first.
    operations: tuple[Operation, ...] = ()
    # Why it does not apply cleanly, a sentence each.
    obstacles: tuple[str, ...] = ()
    # What stays although it is taken back, a sentence each.
    stays: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        return bool(self.operations) and not self.obstacles


def inverse_of(request: ChangeRequest) -> Inverse:
    """The inverse of one request; see `inverses_of`."""
    return inverses_of([request])[request.pk]


def inverses_of(requests: Iterable[ChangeRequest]) -> dict[int, Inverse]:
    """By primary key, the inverses of requests as things stand now. Three queries for each project."""
    requests = list(requests)
    applied = [row for row in requests if row.state == ChangeRequest.State.APPLIED]
    standing: dict[str, Standing] = {}
    for project in {row.project for row in applied}:
        of_it = [row for row in applied if row.project_id == project.pk]
        standing |= standings(project, {subject for row in of_it for subject in row.change["base"]})
    found = {row.pk: _inverse(row, standing) for row in applied}
    nothing = Inverse(obstacles=("It was not applied; there is nothing to take back.",))
    return {row.pk: found.get(row.pk, nothing) for row in requests}


def _inverse(request: ChangeRequest, standing: Mapping[str, Standing]) -> Inverse:
    if request.plan is not None and request.plan.state not in (
        RolloutPlan.State.DONE,
        RolloutPlan.State.ABORTED,
    ):
        return Inverse(obstacles=("Its rollout plan has not ended; abort that, which goes back by itself.",))
    operations, obstacles, stays = [], [], []
    for first, last in reversed(_done(request)):
        text = first["subject"]
        subject, now = Subject.parse(text), standing[text]
        whole = first if first is last else {**last, "before": first["before"]}
        back = document_before(whole)
        if not can_go_back(whole):
            stays.append(f"{subject.words(begins=True)} stays: nothing of that kind is removed.")
        elif same(now.document, back):
            stays.append(f"{subject.words(begins=True)} is as it was before already.")
        elif (now.document or {}).get("killed") and not (last["after"] or {}).get("killed"):
            obstacles.append(f"{subject.words(begins=True)} was killed since.")
        elif not same(now.document, last["after"]):
            by = f" by {now.change_id}" if now.change_id else ""
            obstacles.append(f"{subject.words(begins=True)} was changed since{by}.")
        else:
            operations.append({"subject": text, "after": back})
    return Inverse(tuple(operations), tuple(obstacles), tuple(stays))


def _done(request: ChangeRequest) -> list[tuple[Operation, Operation]]:
    """Per subject, in order, the first and the last operation that the request carried out."""
    operations: Sequence[Operation] = request.change["operations"]
    if request.plan is None:
        return [(each, each) for each in operations if "label" not in each]
    stages = [
        each
        for number in range(1, request.plan.done + 1)
        for each in operations
        if planned.is_stage(each, number)
    ]
    return [(stages[0], stages[-1])] if stages else []


def propose_revert(
    actor: Actor, request: ChangeRequest, *, rationale: str = "", ticket: str = "", **options: Any
) -> ChangeRequest:
    """Ask for what stood before an applied request; applied at once where nobody has to approve it.

    Raises `StateError` where that does not apply cleanly any more, and what `workflow.change` raises.
    """
    with recording(actor):
        require(actor, "change.propose", request.project)
        request.project.hold()
        request.refresh_from_db()
        found = inverse_of(request)
        if not found.is_clean:
            reasons = " ".join(found.obstacles or found.stays)
            raise StateError(
                f"{request.change_id} cannot be taken back as it is. {reasons} "
                "Restore an earlier version from the history instead."
            )
        made = workflow.change(
            actor,
            request.project,
            found.operations,
            title=f"Revert {request.change_id}: {request.title}"[:200],
            rationale=rationale,
            ticket=ticket,
            **options,
        )
        made.reverts = request
        made.save(update_fields=["reverts"])
    return made


def propose_restore(
    actor: Actor, project: Project, event: Event, *, title: str = "", **options: Any
) -> ChangeRequest:
    """Ask for the version of a configuration, definition or segment that an event put there.

    Raises `StateError` for an event that put no document there, and what `workflow.change` raises.
    """
    require(actor, "change.propose", project)
    after = version_put_by(event)
    subject = Subject.parse(event.subject)
    if subject.project != project.key:
        raise StateError(f"This event put no version in {project.key}; choose another.")
    when = event.time.astimezone(UTC)
    return workflow.change(
        actor,
        project,
        [{"subject": event.subject, "after": after}],
        title=title or _restore_title(subject, when),
        **options,
    )


def version_put_by(event: Event) -> dict[str, Any]:
    """The document that an event put at its subject. Raises `StateError` for an event that put none there."""
    try:
        Subject.parse(event.subject)
    except ValueError as error:
        raise StateError("This event is about no flag, configuration or segment; choose another.") from error
    after = report.whole(json.loads(event.line)["data"].get("after"))
    if not isinstance(after, dict):
        raise StateError("This event put no version there; choose another.")
    return after


def _restore_title(subject: Subject, when: datetime) -> str:
    return f"Restore {subject.words()} as of {when:%Y-%m-%d %H:%M} UTC"[:200]
