"""Whom the gate tells: reviewers of what waits for them, proposers of what happened, on-call of kills and stops.

Each within the recording that does it; `access.notify` knows who is meant by a kind.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.urls import reverse

from access import notify
from access.limits import Touched
from approvals.models import ChangeRequest, Emergency
from approvals.workflow.reach import touched_by_request
from audit.recording import Recording
from flags.models import RolloutPlan
from flags.subjects import Subject


def tell(record: Recording, kind: str, request: ChangeRequest, **options: Any) -> None:
    """What happened to a request: its proposer, unless `to` or the kind says who else."""
    about = {"change": request.change_id, "title": request.title, **options.pop("about", {})}
    options.setdefault("to", [request.proposer])
    notify.tell(record, f"request.{kind}", request.project, about=about, link=settle(request), **options)


def settle(request: ChangeRequest) -> str:
    """Whoever was told that it waits for their review need not hear of it any more; returns its page's path."""
    link = reverse("admin:request", args=[request.project.key, request.number])
    notify.settle("request.waiting", link)
    return link


def tell_plan(record: Recording, kind: str, plan: RolloutPlan, problem: str = "", **options: Any) -> None:
    """What a rollout plan came to: those whom the kind says, and whom `to` names."""
    about = {"flag": plan.flag.key, "environment": plan.environment.key, "problem": problem}
    touched = touched_by_request(plan.change_request)
    project = plan.flag.project
    notify.tell(
        record, f"rollout.{kind}", project, about=about, link=settle_plan(plan), touched=touched, **options
    )


def tell_waiting(record: Recording, plan: RolloutPlan, proposers: Collection[str]) -> None:
    """Reviewers, where a plan waits for their go-ahead, which no proposer of it gives."""
    if plan.state == RolloutPlan.State.WAITING:
        tell_plan(record, "waiting", plan, without=proposers)


def settle_plan(plan: RolloutPlan) -> str:
    """Whoever was told that it waits need not hear of it any more; returns its page's path."""
    link = reverse("admin:plan", args=[plan.flag.project.key, plan.number])
    notify.settle("rollout.waiting", link)
    return link


def tell_debt(record: Recording, emergency: Emergency, touched: Collection[Touched]) -> None:
    """Those who may review what was done at once; of a kill, everybody else who may kill there."""
    project, link = emergency.project, _debt(emergency)
    if emergency.request is not None:
        about = {"change": emergency.request.change_id, "title": emergency.request.title}
        notify.tell(record, "revert.waiting", project, about=about, link=link, touched=touched)
        return
    subject = Subject.parse(emergency.subject)
    about = {"flag": subject.key, "environment": subject.environment}
    told = notify.tell(record, "kill.waiting", project, about=about, link=link, touched=touched)
    link = reverse("admin:flag", args=[project.key, subject.key])
    notify.tell(record, "flag.killed", project, about=about, link=link, touched=touched, without=told)


def tell_overdue(record: Recording, emergency: Emergency) -> None:
    """Everybody who may review it, however limited: nobody has."""
    about = {
        "debt": str(emergency),
        "problem": f"It was to be reviewed by {emergency.due_at:%Y-%m-%d %H:%M} UTC, and nobody has.",
    }
    without = [emergency.killed_by]
    notify.tell(
        record, "review.overdue", emergency.project, about=about, link=_debt(emergency), without=without
    )


def settle_debt(emergency: Emergency) -> None:
    """It is reviewed: nobody waits for that any more."""
    for kind in ("kill.waiting", "revert.waiting", "review.overdue"):
        notify.settle(kind, _debt(emergency))


def _debt(emergency: Emergency) -> str:
    """Where its review is given."""
    return f"{reverse('admin:request-list', args=[emergency.project.key])}#debt-{emergency.pk}"
