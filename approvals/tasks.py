"""Scheduled work of the gate. Every task finds its own work in the rows, so downtime costs time only."""

import logging

from celery import shared_task
from django.utils import timezone

from access.permissions import system_actor
from approvals import expiry, rollouts, workflow
from approvals.models import ChangeRequest, Emergency
from flags.models import RolloutPlan

logger = logging.getLogger(__name__)


@shared_task
def carry_out_due() -> None:
    """Do what is due: approved requests, what goes back by itself, the next stages of rollout plans."""
    now = timezone.now()
    actor = system_actor("scheduler")
    due = ChangeRequest.objects.filter(state=ChangeRequest.State.APPROVED, scheduled_at__lte=now)
    for request in due.order_by("scheduled_at"):
        _go_on(f"{request.change_id}", workflow.apply_or_explain, actor, request)
    applied = ChangeRequest.objects.filter(state=ChangeRequest.State.APPLIED)
    for request in applied.filter(confirm_by__lte=now):
        _go_on(f"{request.change_id}", workflow.take_back_unconfirmed, actor, request)
    for request in applied.filter(ends_at__lte=now):
        _go_on(f"{request.change_id}", workflow.end, actor, request)
    for plan in RolloutPlan.objects.filter(state=RolloutPlan.State.RUNNING, next_at__lte=now):
        _go_on(str(plan), rollouts.advance, actor, plan)


@shared_task
def expire_flags() -> None:
    """Handle the flags whose expiry has passed."""
    actor = system_actor("scheduler")
    for flag in expiry.due(timezone.now()):
        _go_on(flag.key, expiry.expire, actor, flag)


@shared_task
def escalate_overdue_reviews() -> None:
    """Tell, at the deadline and daily after it, of kills and reverts at once that nobody has reviewed."""
    actor = system_actor("scheduler")
    for emergency in Emergency.objects.filter(reviewed_at=None, due_at__lte=timezone.now()):
        _go_on(str(emergency), workflow.escalate, actor, emergency)


def _go_on(what: str, verb, *arguments) -> None:  # type: ignore[no-untyped-def]
    """Run a verb; one thing that fails must not keep the others waiting. It is found again next time."""
    try:
        verb(*arguments)
    except Exception:
        logger.exception("%s could not be carried out now; it will be tried again", what)
