"""What a new ledger does to open requests: nothing carries over, so they lapse and are proposed again."""

from __future__ import annotations

from django.db.models import QuerySet

from approvals.errors import StateError
from approvals.models import ChangeRequest
from approvals.workflow.request import reference
from approvals.workflow.telling import tell
from audit.actor import Actor
from audit.ledger import current_log
from audit.models import Event
from audit.recording import current, recording
from flags import rollouts
from flags.models import RolloutPlan

REASON = (
    "A new ledger was opened after a restore. What was proposed in the one before cannot be carried out "
    "under this one: propose it again."
)


def lapse_all(actor: Actor) -> tuple[int, int]:
    """Close every open request and end every unfinished rollout plan; how many of each.

    Not rejected: that would be a verdict on a proposal which the new ledger does not have. Only from the
    command line, as part of `manage.py recover`.
    """
    actor.require_command_line("closing every request")
    with recording(actor) as record:
        requests = list(unfinished_requests().select_for_update(no_key=True).order_by("pk"))
        for request in requests:
            request.state, request.scheduled_at = ChangeRequest.State.LAPSED, None
            request.problem = REASON
            request.save()
            record.event(
                "approvals.v1.change_request.lapsed",
                f"change/{request.change_id}",
                reference(request),
                project=request.project.key,
                change_id=request.change_id,
            )
            tell(record, "lapsed", request, about={"problem": REASON})
        plans = list(unfinished_plans().select_for_update(no_key=True).order_by("pk"))
        for plan in plans:
            rollouts.move(record, plan, state=RolloutPlan.State.ABORTED, problem=REASON)
    return len(requests), len(plans)


def unfinished_requests() -> QuerySet[ChangeRequest]:
    """The requests that would lapse."""
    return ChangeRequest.objects.filter(state__in=ChangeRequest.OPEN)


def unfinished_plans() -> QuerySet[RolloutPlan]:
    """The rollout plans that would end."""
    plans: QuerySet[RolloutPlan] = RolloutPlan.objects.filter(state__in=RolloutPlan.UNFINISHED)
    return plans


def require_this_ledger(request: ChangeRequest) -> None:
    """Raise `StateError` where the open ledger does not have the proposal: a reader could not follow it."""
    proposed = ("approvals.v1.change_request.proposed", request.change_id)
    if any((pending.type, pending.change_id) == proposed for pending in current().pending):
        return
    found = Event.objects.filter(type=proposed[0], change_id=request.change_id, log=current_log())
    if not found.exists():
        raise StateError(f"{request.change_id} was proposed in an earlier ledger. Propose it again.")
