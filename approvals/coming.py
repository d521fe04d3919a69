"""What is about to happen in a project: one source for the timeline of the home page and for the calendar."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast

from approvals.freezes import windows
from approvals.models import ChangeRequest, FreezeWindow
from audit.ledger import timestamp
from flags.documents import read_moment
from flags.models import Flag, Project, RolloutPlan
from flags.rollouts import times

# Of each kind; a page that wants more asks for less time.
MOST = 200
_RUNNING = (RolloutPlan.State.RUNNING, RolloutPlan.State.WAITING)


class Kind(enum.StrEnum):
    """What happens."""

    FREEZE = "freeze"
    SCHEDULED = "scheduled"
    STAGE = "stage"
    CONFIRM = "confirm"
    END = "end"
    EXPIRY = "expiry"
    WAKE = "wake"


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that happens at a moment, or, for a freeze, from then `until`; and what it happens to."""

    at: datetime
    kind: Kind
    about: ChangeRequest | RolloutPlan | Flag | FreezeWindow
    until: datetime | None = None
    # Of a plan: which stage, counted from 1.
    stage: int = 0
    # Whether the moment is told, and somebody has said yes already; else it may be later, or never.
    is_sure: bool = True


def coming(project: Project, start: datetime, end: datetime) -> list[Coming]:
    """All that happens from `start` up to but not including `end`, in its order; of freezes what touches that.

    Six queries, whatever there is. The plans' and requests' `flag` and `environments` are there with them.
    """
    found = [*_requests(project, start, end), *_stages(project, start, end)]
    found += _flags(project, start, end)
    found += [
        Coming(window.start, Kind.FREEZE, freeze, window.end)
        for freeze in FreezeWindow.objects.filter(project=project)
        for window in windows(freeze, start, end)
    ]
    return sorted(found, key=lambda each: (each.at, list(Kind).index(each.kind)))


def _flags(project: Project, start: datetime, end: datetime) -> list[Coming]:
    flags = Flag.objects.filter(project=project, archived=False)
    expiring = flags.filter(expires_at__gte=start, expires_at__lt=end).order_by("expires_at", "key")
    # As `timestamp` writes it, so that texts sort as times.
    asleep = flags.alias(wakes_at=Cast(KT("hibernation__wake_at"), TextField()))
    waking = asleep.filter(wakes_at__gte=timestamp(start), wakes_at__lt=timestamp(end))
    found = [(flag.expires_at, Kind.EXPIRY, flag) for flag in expiring[:MOST]]
    for flag in waking.order_by("wakes_at", "key")[:MOST]:
        found.append((read_moment(flag.hibernation["wake_at"]), Kind.WAKE, flag))
    return [Coming(at, kind, flag) for at, kind, flag in found if at is not None]


def _requests(project: Project, start: datetime, end: datetime) -> list[Coming]:
    state = ChangeRequest.State
    within = {name: Q(**{f"{name}__gte": start, f"{name}__lt": end}) for name in _MOMENTS}
    scheduled = Q(state__in=ChangeRequest.OPEN, plan=None) & within["scheduled_at"]
    rows = (
        ChangeRequest.objects.filter(project=project)
        .filter(
            scheduled
            | (Q(state=state.APPLIED) & within["confirm_by"])
            | (Q(state__in=(*ChangeRequest.OPEN, state.APPLIED)) & within["ends_at"])
        )
        .prefetch_related("environments")
        .order_by("-pk")
    )
    found = []
    for row in rows[:MOST]:
        for name, kind in _MOMENTS.items():
            at = getattr(row, name)
            if at is None or not start <= at < end:
                continue
            if (kind is Kind.SCHEDULED and not row.is_open) or (kind is Kind.CONFIRM and row.is_open):
                continue
            found.append(Coming(at, kind, row, is_sure=row.state != state.IN_REVIEW))
    return found


_MOMENTS = {"scheduled_at": Kind.SCHEDULED, "confirm_by": Kind.CONFIRM, "ends_at": Kind.END}


def _stages(project: Project, start: datetime, end: datetime) -> list[Coming]:
    plans = RolloutPlan.objects.filter(
        environment__project=project, state__in=_RUNNING, next_at__lt=end
    ).select_related("flag", "environment")
    found = []
    for plan in plans.order_by("next_at")[:MOST]:
        is_running = plan.state == RolloutPlan.State.RUNNING
        for number, at in enumerate(times(plan), start=1):
            if number > plan.done and at is not None and start <= at < end:
                sure = is_running and number == plan.done + 1
                found.append(Coming(at, Kind.STAGE, plan, stage=number, is_sure=sure))
    return found
