"""What people say to a request: approve, reject, withdraw, and when it is to be applied."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone

from access.holders import eligible
from access.machines import keepers_of
from access.permissions import may, require
from approvals.errors import InvalidError, StateError
from approvals.models import ChangeRequest
from approvals.workflow.applying import apply_or_explain
from approvals.workflow.basis import Basis, beneficiaries
from approvals.workflow.reach import touched_by_request
from approvals.workflow.request import (
    checked_text,
    is_due,
    locked,
    record_verdict,
    require_open,
    verdicts,
)
from approvals.workflow.telling import settle, tell
from audit.actor import Actor
from audit.ledger import timestamp
from audit.recording import Recording, recording
from flags import rollouts
from flags.models import RolloutPlan

State = ChangeRequest.State


def approve(actor: Actor, request: ChangeRequest, *, digest: str, comment: str = "") -> ChangeRequest:
    """Approve exactly what was seen: `digest` is that of the revision shown to the reviewer.

    When the last approval arrives and the request is due, it is applied in a transaction of its own; if
    that fails the approval stands and `problem` says why. Nobody approves their own change.
    """
    comment = checked_text("comment", comment, 4_000)
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.approve", request.project, touched_by_request(request))
        if actor.id == request.proposer:
            raise StateError(f"{request.change_id} is your own change; somebody else has to approve it.")
        if actor.id in keepers_of(request.proposer):
            raise StateError(
                f"{request.change_id} was proposed by a service account whose token you made; "
                "somebody else has to approve it."
            )
        if actor.id in beneficiaries(request.change["operations"]):
            raise StateError(f"{request.change_id} is about your own roles; somebody else has to approve it.")
        _require_reviewable(actor, "change.approve", request, digest)
        record_verdict(record, request, "approved", comment)
        if request.state == State.IN_REVIEW and not Basis(request).missing:
            request.state = State.APPROVED
            tell(record, "approved", request)
        request.save()
    # Who may not carry it out, or comes with a token that does not reach so far, leaves it to our task.
    may_apply = may(actor, "change.apply", request.project, touched_by_request(request))
    if request.state == State.APPROVED and is_due(request) and may_apply:
        return apply_or_explain(actor, request)
    return request


def reject(actor: Actor, request: ChangeRequest, *, digest: str, comment: str = "") -> ChangeRequest:
    """Reject a revision: nothing of it will be carried out any more."""
    comment = checked_text("comment", comment, 4_000)
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.reject", request.project, touched_by_request(request))
        if actor.id == request.proposer:
            raise StateError(f"{request.change_id} is your own change; withdraw it.")
        _require_reviewable(actor, "change.reject", request, digest)
        record_verdict(record, request, "rejected", comment)
        _close(record, request, State.REJECTED)
        tell(record, "rejected", request, about={"comment": comment})
    return request


def withdraw(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Take one's own request back; in the ledger, a rejection by its proposer."""
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.propose", request.project)
        if actor.id != request.proposer:
            raise StateError(f"{request.change_id} is somebody else's; a reviewer can reject it.")
        require_open(request)
        record_verdict(record, request, "rejected")
        _close(record, request, State.WITHDRAWN)
    return request


def schedule(actor: Actor, request: ChangeRequest, at: datetime | None) -> ChangeRequest:
    """Say when our task applies the request; None: when somebody does."""
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.schedule", request.project, touched_by_request(request))
        require_open(request)
        if at is not None and at < timezone.now():
            raise InvalidError("scheduled_at", "is in the past; apply the request, or name a later time")
        not_before = request.change.get("not_before", "")
        if at is not None and timestamp(at) < not_before:
            raise InvalidError("scheduled_at", f"is before {not_before}, from when the approval holds")
        if at is not None and request.ends_at is not None and at >= request.ends_at:
            raise InvalidError(
                "scheduled_at", f"is not before {timestamp(request.ends_at)}, when it ends as planned"
            )
        before = _schedule_document(request)
        # Why it was not applied before says nothing about the next time.
        request.scheduled_at, request.problem = at, ""
        record.event(
            "approvals.v1.change_request.scheduled",
            f"change/{request.change_id}",
            {"scheduled_before": before, "scheduled_after": _schedule_document(request)},
            project=request.project.key,
            change_id=request.change_id,
        )
        request.save()
    return request


def _require_reviewable(actor: Actor, verb: str, request: ChangeRequest, seen: str) -> None:
    """Refuse a verdict by a service account, on a closed request, on another revision, or a second one."""
    if not eligible({actor.id}, verb, request.project, touched_by_request(request)):
        raise StateError("Only people review changes; a service account does not count as a reviewer.")
    require_open(request)
    _require_seen(request, seen)
    if verdicts(request).filter(reviewer=actor.id).exists():
        raise StateError(f"You have reviewed {request.change_id} already.")


def _require_seen(request: ChangeRequest, seen: str) -> None:
    if seen != request.digest:
        raise StateError(
            f"{request.change_id} is not what you saw: it was edited meanwhile. "
            "Load it again and review that."
        )


def _close(record: Recording, request: ChangeRequest, state: str) -> None:
    request.state, request.scheduled_at = state, None
    request.save()
    settle(request)
    if request.plan is not None:
        rollouts.move(record, request.plan, state=RolloutPlan.State.ABORTED)


def _schedule_document(request: ChangeRequest) -> str | None:
    return timestamp(request.scheduled_at) if request.scheduled_at else None
