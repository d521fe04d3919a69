"""Taking back at once what was applied lately, where policy allows, by the way back that was approved with it."""

from __future__ import annotations

from django.utils import timezone

from access.permissions import require
from approvals.errors import ConflictError, StateError
from approvals.inverse import is_way_back
from approvals.models import ChangeRequest, Emergency
from approvals.workflow.applying import carry_out_together
from approvals.workflow.basis import Basis
from approvals.workflow.emergencies import owe_review
from approvals.workflow.indirect import WITHIN
from approvals.workflow.reach import touched_by_request
from approvals.workflow.request import locked, reference
from approvals.workflow.telling import tell_debt
from audit.actor import Actor
from audit.recording import recording
from flags.subjects import Subject

REVERTED = "approvals.v1.change_request.reverted"


def revert_at_once(actor: Actor, request: ChangeRequest) -> Emergency:
    """Take an applied request back, all of it or nothing, without a new approval; a review is owed afterwards.

    What is carried out is exactly the way back that its reviewers approved. Raises `ForbiddenError`, or
    `StateError`, which says why not, also where something changed since.
    """
    with recording(actor) as record:
        request = locked(request)
        require(actor, "flag.kill", request.project, touched_by_request(request))
        request.project.hold()
        if reason := why_not_at_once(request):
            raise StateError(reason)
        numbers = [n for n, each in enumerate(request.change["operations"]) if is_way_back(each)]
        try:
            carry_out_together(record, request, numbers)
        except ConflictError as error:
            name = Subject.parse(error.subject).words(begins=True)
            raise StateError(
                f"{name} changed since {request.change_id} was applied, so it cannot be taken back as "
                "it was approved. Ask for a change, or kill the flag."
            ) from error
        # Neither confirmed nor ended any more: it is over.
        request.confirm_by = request.ends_at = None
        request.save()
        event = record.event(
            REVERTED,
            f"change/{request.change_id}",
            reference(request),
            project=request.project.key,
            change_id=request.change_id,
        )
        emergency = owe_review(request.project, f"change/{request.change_id}", event, request)
        tell_debt(record, emergency, touched_by_request(request))
    return emergency


def why_not_at_once(request: ChangeRequest, basis: Basis | None = None) -> str:
    """Why a request cannot be taken back without another review, as a sentence; empty where it can.

    `basis`: where more than this is asked.
    """
    name = request.change_id
    if request.state != ChangeRequest.State.APPLIED or request.applied_at is None:
        return f"{name} is {request.get_state_display().lower()}; only what was applied can be taken back."
    if not any(is_way_back(operation) for operation in request.change["operations"]):
        return (
            f"{name} was approved without its way back: its environments did not let on-call revert at once. "
            "Ask for the revert; it is reviewed."
        )
    if not (basis or Basis(request)).on_call_may_revert:
        return (
            "The policy of its environments does not let on-call revert at once any more. Ask for the revert."
        )
    if request.applied_at + WITHIN < timezone.now():
        hours = int(WITHIN.total_seconds() // 3600)
        return f"{name} was applied more than {hours} hours ago. Ask for the revert; it is reviewed."
    if request.taken_back.exists():
        return f"{name} was taken back already."
    return ""
