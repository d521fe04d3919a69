"""The verbs of a rollout plan: propose it as a whole, carry out the next stage, pause, resume, abort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils import timezone

from access.permissions import require
from approvals import planned, workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, InvalidError, StateError
from audit.actor import Actor
from audit.recording import recording
from flags import rollouts
from flags.models import Environment, Flag, FlagConfiguration, RolloutPlan

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
) -> ChangeRequest:
    """Propose a plan: `stages` of `{"weights": [[variant, integer]…], "hold": seconds until the next}`.

    The flag must be configured there already: its document is what the stages start from and return to.
    `base`: by its subject, the version of it that the proposer saw; None: what stands now.
    Raises `ForbiddenError`, `InvalidError`, `ConflictError`, `StateError`.
    """
    _check_stages(stages)
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
        busy = (State.PROPOSED, State.RUNNING, State.PAUSED)
        if RolloutPlan.objects.filter(flag=flag, environment=environment, state__in=busy).exists():
            raise StateError(
                f"{flag.key} has a rollout plan in {environment.key} already; abort that one first."
            )
        operations = planned.stage_operations(flag, environment, configuration.document, stages)
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
        request.plan = rollouts.create(record, flag, environment, stages, request.number)
        request.save()
    return request


def advance(actor: Actor, plan: RolloutPlan) -> None:
    """Carry out the next stage of a running plan that is due; a plan that meets somebody's change pauses.

    Does nothing when another task was faster.
    """
    with recording(actor) as record:
        plan = RolloutPlan.objects.select_for_update(no_key=True).get(pk=plan.pk)
        if plan.state != State.RUNNING or plan.next_at is None or plan.next_at > timezone.now():
            return
        request = plan.change_request
        number = next(
            index
            for index, operation in enumerate(request.change["operations"])
            if planned.is_stage(operation, plan.done + 1)
        )
        try:
            workflow.carry_out(actor, request, number)
        except (ConflictError, InvalidError, StateError) as error:
            rollouts.move(record, plan, state=State.PAUSED, problem=str(error))
            return
        rollouts.stage_done(record, plan)


def pause(actor: Actor, plan: RolloutPlan) -> None:
    """Stop carrying out stages until somebody resumes the plan."""
    with recording(actor) as record:
        plan = _locked(actor, plan, "rollout.pause", State.RUNNING)
        rollouts.move(record, plan, state=State.PAUSED, problem="paused by hand")


def resume(actor: Actor, plan: RolloutPlan) -> None:
    """Go on; the next stage is due now."""
    with recording(actor) as record:
        plan = _locked(actor, plan, "rollout.pause", State.PAUSED)
        plan.next_at = timezone.now()
        rollouts.move(record, plan, state=State.RUNNING, problem="")


def abort(actor: Actor, plan: RolloutPlan) -> None:
    """End the plan and go back to what stood before it, under the same approval.

    Where that is refused (somebody has changed the configuration since; its reviewers may not review any
    more), what stands there stays, and the plan says why.
    """
    with recording(actor) as record:
        plan = _locked(actor, plan, "rollout.pause", State.RUNNING, State.PAUSED)
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
    return plan


def _check_stages(stages: Sequence[Mapping[str, Any]]) -> None:
    if not stages or len(stages) > 50:
        raise InvalidError("stages", "must be 1 to 50 stages")
    for index, stage in enumerate(stages):
        member = f"stages[{index}]"
        if not isinstance(stage, Mapping) or set(stage) != {"weights", "hold"}:
            raise InvalidError(member, "must be an object of `weights` and `hold`")
        hold, weights = stage["hold"], stage["weights"]
        if isinstance(hold, bool) or not isinstance(hold, int) or not 0 <= hold <= 366 * 86_400:
            raise InvalidError(f"{member}.hold", "must be whole seconds, at most a year")
        if not isinstance(weights, list) or not all(
            isinstance(w, list | tuple) and len(w) == 2 for w in weights
        ):
            raise InvalidError(f"{member}.weights", "must be a list of [variant, weight]")
