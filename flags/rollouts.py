"""A rollout plan's bookkeeping: where it stands, recorded each time that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from audit.recording import Recording
from flags.models import Environment, Flag, RolloutPlan


def create(
    record: Recording, flag: Flag, environment: Environment, stages: Sequence[Mapping[str, Any]], number: int
) -> RolloutPlan:
    """A plan that waits for approval. `number` is that of the request that proposes it."""
    plan = RolloutPlan(flag=flag, environment=environment, stages=list(stages), number=number)
    record.event("flags.v1.rollout_plan.created", plan.ledger_subject, before=None, after=plan.document)
    plan.save()
    return plan


def move(record: Recording, plan: RolloutPlan, **members: Any) -> None:
    """Change state, progress or problem of a plan, under an event with both."""
    before = plan.document
    for name, value in members.items():
        setattr(plan, name, value)
    if plan.state != RolloutPlan.State.RUNNING:
        plan.next_at = None
    record.event("flags.v1.rollout_plan.updated", plan.ledger_subject, before=before, after=plan.document)
    plan.save()


def stage_done(record: Recording, plan: RolloutPlan) -> None:
    """Count a stage; the next is due after its hold time (seconds), after the last the plan is done."""
    done = plan.done + 1
    if done == len(plan.stages):
        move(record, plan, done=done, state=RolloutPlan.State.DONE, problem="")
        return
    hold = timedelta(seconds=plan.stages[done - 1]["hold"])
    move(
        record,
        plan,
        done=done,
        state=RolloutPlan.State.RUNNING,
        next_at=timezone.now() + hold,
        problem="",
    )
