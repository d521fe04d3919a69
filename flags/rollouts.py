"""A rollout plan's bookkeeping: where it stands, recorded each time that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from audit.recording import Recording
from flags.models import Environment, Flag, RolloutPlan
from flags.stages import read_stages, read_window

State = RolloutPlan.State


def create(
    record: Recording,
    flag: Flag,
    environment: Environment,
    stages: Sequence[Mapping[str, Any]],
    number: int,
    window: Mapping[str, Any] | None = None,
) -> RolloutPlan:
    """A plan that waits for approval. `number` is that of the request that proposes it."""
    plan = RolloutPlan(
        flag=flag, environment=environment, stages=list(stages), window=dict(window or {}), number=number
    )
    record.event("flags.v1.rollout_plan.created", plan.ledger_subject, before=None, after=plan.document)
    plan.save()
    return plan


def move(record: Recording, plan: RolloutPlan, **members: Any) -> None:
    """Change state, progress or problem of a plan, under an event with both."""
    before = plan.document
    for name, value in members.items():
        setattr(plan, name, value)
    # A plan that is paused keeps the time that its approval promised.
    if plan.state not in (State.RUNNING, State.WAITING, State.PAUSED):
        plan.next_at = None
    record.event("flags.v1.rollout_plan.updated", plan.ledger_subject, before=before, after=plan.document)
    plan.save()


def stage_done(record: Recording, plan: RolloutPlan, number: int | None = None) -> None:
    """Count stage `number` (None: the next) as done; the one after it is due after its hold time, or waits.

    After the last the plan is done.
    """
    done = number or plan.done + 1
    if done == len(plan.stages):
        move(record, plan, done=done, state=State.DONE, problem="")
        return
    stages = read_stages(plan.stages)
    coming, now = stages[done], timezone.now()
    earliest = now + timedelta(seconds=stages[done - 1].hold)
    if coming.not_before is not None:
        earliest = max(earliest, coming.not_before)
    state = State.WAITING if coming.go_ahead else State.RUNNING
    move(record, plan, done=done, state=state, next_at=next_open(plan, earliest), problem="")


def next_open(plan: RolloutPlan, moment: datetime) -> datetime:
    """The moment itself, or when the plan's window opens next."""
    window = read_window(plan.window)
    return moment if window is None else window.next_open(moment)


def times(plan: RolloutPlan, started: datetime | None = None) -> list[datetime | None]:
    """When each stage was or is to be carried out, as far as is known: past ones from the start, coming ones
    from the next, which `next_at` has; those after it are estimates, for each may wait longer."""
    found: list[datetime | None] = []
    at = started
    for number, stage in enumerate(read_stages(plan.stages), start=1):
        if number == plan.done + 1 and plan.next_at is not None:
            at = plan.next_at
        elif at is not None and number > plan.done + 1:
            at = next_open(plan, max(at, stage.not_before or at))
        found.append(at)
        at = at + timedelta(seconds=stage.hold) if at else None
    return found
