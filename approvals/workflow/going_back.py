"""What goes back by itself under the approval it had: unless somebody confirms it, or at its planned end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.utils import timezone

from access.permissions import require
from approvals.errors import GateError, StateError
from approvals.inverse import is_end, is_way_back
from approvals.models import ChangeRequest
from approvals.workflow.applying import carry_out_together
from approvals.workflow.reach import touched_by_request
from approvals.workflow.request import locked, reference
from approvals.workflow.reverting import REVERTED
from approvals.workflow.telling import tell
from audit.actor import Actor
from audit.recording import Recording, recording

Operation = dict[str, Any]


def confirm(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Keep an applied request that would go back by itself. Whoever may apply it, its proposer included.

    Raises `ForbiddenError`, or `StateError` where nothing waits to be confirmed.
    """
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.apply", request.project, touched_by_request(request))
        if request.confirm_by is None:
            raise StateError(f"{request.change_id} does not wait to be confirmed.")
        request.confirm_by = None
        request.save()
        _record(record, request, "approvals.v1.change_request.confirmed")
    return request


def take_back_unconfirmed(actor: Actor, request: ChangeRequest) -> None:
    """Take back a request that nobody confirmed in time. Does nothing when somebody was faster.

    Where what stands there is not what was applied, it stays, and `problem` says why.
    """
    with recording(actor) as record:
        request = locked(request)
        if request.confirm_by is None or request.confirm_by > timezone.now():
            return
        request.confirm_by = request.ends_at = None
        _go_back(record, request, is_way_back, "It was not confirmed in time")


def end(actor: Actor, request: ChangeRequest) -> None:
    """Take back a request at its planned end; as `take_back_unconfirmed`."""
    with recording(actor) as record:
        request = locked(request)
        if request.state != ChangeRequest.State.APPLIED or request.ends_at is None:
            return
        if request.ends_at > timezone.now():
            return
        request.ends_at = request.confirm_by = None
        _go_back(record, request, is_end, "Its planned end came")


def _go_back(
    record: Recording, request: ChangeRequest, belongs: Callable[[Operation], bool], why: str
) -> None:
    numbers = [number for number, each in enumerate(request.change["operations"]) if belongs(each)]
    try:
        with recording(record.actor):
            require(record.actor, "change.apply", request.project, touched_by_request(request))
            request.project.hold()
            carry_out_together(record, request, numbers)
            _record(record, request, REVERTED)
    except GateError as error:
        request.problem = said = f"{why}, but it was not taken back: {error}"
    else:
        request.problem, said = "", f"{why}, and it was taken back."
    request.save()
    tell(record, "went_back", request, about={"problem": said}, touched=touched_by_request(request))


def _record(record: Recording, request: ChangeRequest, kind: str) -> None:
    record.event(
        kind,
        f"change/{request.change_id}",
        reference(request),
        project=request.project.key,
        change_id=request.change_id,
    )
