"""The verbs of a rollout plan: propose it as a whole, carry out the next stage, pause, resume, abort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from access.holders import eligible
from access.permissions import require
from approvals import planned, workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, InvalidError, StateError
from approvals.workflow.telling import settle_plan, tell_plan, tell_waiting
from audit.actor import Actor
from audit.recording import recording
from countersign.document import DocumentError
from flags import rollouts
from flags.models import Environment, Flag, FlagConfiguration, RolloutPlan
from flags.stages import read_stages, read_window

State = RolloutPlan.State


def propose_plan(
    actor: Actor,
    flag: Flag,
    environment: Environment,
    stages: Sequence[Mapping[str, Any]],
    *,
    title: str,
    rationale: str = "",
    ticket: str = "",
    base: Mapping[str, int] | None = None,
    window: Mapping[str, Any] | None = None,
) -> ChangeRequest:
    """Propose a plan: `stages` and `window` as `flags.stages` reads them.

    The flag must be configured there already: its document is what the stages start from and return to.
    `base`: by its subject, the version of it that the proposer saw; None: what stands now.
    Raises `ForbiddenError`, `InvalidError`, `ConflictError`, `StateError`.
    """
    try:
        read, hours = read_stages(stages), read_window(window)
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error
    with recording(actor) as record:
        require(actor, "change.propose", flag.project)
        flag.project.hold()  # of two proposals at once the second sees the plan of the first
        configuration = FlagConfiguration.objects.filter(flag=flag, environment=environment).first()
        if configuration is None:
            raise InvalidError(
                "flag", f"{flag.key} is not configured in {environment.key}; configure it first, off"
            )
        subject, version = configuration.ledger_subject, configuration.version
        if base is not None and base.get(subject) != version:
            raise ConflictError(subject, base.get(subject), version)
        if RolloutPlan.objects.filter(
            flag=flag, environment=environment, state__in=RolloutPlan.UNFINISHED
        ).exists():
            raise StateError(
                f"{flag.key} has a rollout plan in {environment.key} already; abort that one first."
            )
        try:
            operations = planned.stage_operations(flag, environment, configuration.document, read, hours)
        except DocumentError as error:
            raise InvalidError(error.member, error.reason) from error
        request = workflow.propose(
            actor,
            flag.project,
            [],
            title=title,
            rationale=rationale,
            ticket=ticket,
            scheduled_at=timezone.now(),
            labelled=operations,
        )
        request.plan = rollouts.create(record, flag, environment, stages, request.number, window)
        request.save()
    return request


def advance(actor: Actor, plan: RolloutPlan) -> None:
    """Carry out the next stage of a running plan that is due; a plan that meets somebody's change pauses.

    Does nothing when another task was faster. A task that comes too late for the window waits for the next.
    """
    with recording(actor) as record:
        plan = RolloutPlan.objects.select_for_update(no_key=True).get(pk=plan.pk)
        now = timezone.now()
        if plan.state != State.RUNNING or plan.next_at is None or plan.next_at > now:
            return
        if (opens := rollouts.next_open(plan, now)) > now:
            rollouts.move(record, plan, next_at=opens)
            return
        try:
            _carry_out_stage(actor, plan, plan.done + 1)
        except (ConflictError, InvalidError, StateError) as error:
            rollouts.move(record, plan, state=State.PAUSED, problem=str(error))
            tell_plan(record, "stopped", plan, str(error), to=[plan.change_request.proposer])
            return
        rollouts.stage_done(record, plan)
        tell_waiting(record, plan, workflow.proposers(plan.change_request))


def _carry_out_stage(actor: Actor, plan: RolloutPlan, stage: int) -> None:
    request = plan.change_request
    number = next(
        index
        for index, operation in enumerate(request.change["operations"])
        if planned.is_stage(operation, stage)
    )
    workflow.carry_out(actor, request, number)


def give_go_ahead(actor: Actor, plan: RolloutPlan) -> None:
    """Let the stage that waits for it begin, at its time. A reviewer's word: not the proposer's own."""
    with recording(actor) as record:
        plan = _locked(actor, plan, "change.approve", State.WAITING)
        request = plan.change_request
        touched = workflow.touched_by_request(request)
        if actor.id in workflow.proposers(request):
            raise StateError("You proposed this plan; somebody else says that it may go on.")
        if not eligible({actor.id}, "change.approve", request.project, touched):
            raise StateError("Only people say that a plan may go on; a service account does not.")
        earliest = max(plan.next_at or timezone.now(), timezone.now())
        rollouts.move(
            record, plan, state=State.RUNNING, next_at=rollouts.next_open(plan, earliest), problem=""
        )


def jump(actor: Actor, plan: RolloutPlan, stage: int) -> None:
    """Carry out a later stage (counted from 1) now, and leave out those before it.

    Not past a stage that waits for a go-ahead. Raises what carrying it out raises; then nothing changed.
    """
    with recording(actor) as record:
        plan = _locked(actor, plan, "change.schedule", State.RUNNING, State.PAUSED, State.WAITING)
        if not plan.done < stage <= len(plan.stages):
            raise InvalidError("stage", f"must be one from {plan.done + 1} to {len(plan.stages)}")
        if any(each.go_ahead for each in read_stages(plan.stages)[plan.done : stage]):
            raise StateError(f"Stage {stage} is not before a reviewer's go-ahead; nobody jumps past that.")
        not_before = read_stages(plan.stages)[stage - 1].not_before
        earliest = rollouts.next_open(plan, max(timezone.now(), not_before or timezone.now()))
        if earliest > timezone.now():
            raise StateError(
                f"Stage {stage} was approved for {earliest:%Y-%m-%d %H:%M} UTC at the earliest; jump to it then."
            )
        _carry_out_stage(actor, plan, stage)
        rollouts.stage_done(record, plan, stage)
        tell_waiting(record, plan, workflow.proposers(plan.change_request))


def pause(actor: Actor, plan: RolloutPlan) -> None:
    """Stop carrying out stages until somebody resumes the plan."""
    with recording(actor) as record:
        plan = _locked(actor, plan, "rollout.pause", State.RUNNING, State.WAITING)
        rollouts.move(record, plan, state=State.PAUSED, problem="paused by hand")


def resume(actor: Actor, plan: RolloutPlan) -> None:
    """Go on; the next stage is due when it was, or now where that has passed, within its window and go-ahead."""
    with recording(actor) as record:
        plan = _locked(actor, plan, "rollout.pause", State.PAUSED)
        coming = read_stages(plan.stages)[plan.done]
        state = State.WAITING if coming.go_ahead else State.RUNNING
        earliest = max(timezone.now(), plan.next_at or timezone.now())
        rollouts.move(record, plan, state=state, next_at=rollouts.next_open(plan, earliest), problem="")
        tell_waiting(record, plan, workflow.proposers(plan.change_request))


def abort(actor: Actor, plan: RolloutPlan) -> None:
    """End the plan and go back to what stood before it, under the same approval.

    Where that is refused (somebody has changed the configuration since; its reviewers may not review any
    more), what stands there stays, and the plan says why.
    """
    with recording(actor) as record:
        plan = _locked(actor, plan, "rollout.pause", State.RUNNING, State.WAITING, State.PAUSED)
        request = plan.change_request
        number = next(
            index for index, op in enumerate(request.change["operations"]) if op.get("label") == "revert"
        )
        problem = "aborted by hand"
        try:
            workflow.carry_out(actor, request, number)
        except (ConflictError, InvalidError, StateError) as error:
            # It ends all the same: what may not go back must not go on either.
            problem = f"aborted by hand; not restored: {error}"
        rollouts.move(record, plan, state=State.ABORTED, problem=problem)


def _locked(actor: Actor, plan: RolloutPlan, verb: str, *states: str) -> RolloutPlan:
    plan = RolloutPlan.objects.select_for_update(no_key=True).get(pk=plan.pk)
    require(actor, verb, plan.flag.project, workflow.touched_by_request(plan.change_request))
    if plan.state not in states:
        raise StateError(f"The plan is {plan.get_state_display().lower()}; this is not possible any more.")
    settle_plan(plan)
    return plan
