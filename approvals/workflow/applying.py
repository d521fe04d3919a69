"""Carrying out what was approved: the one place that writes it, after checking everything again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone

from access.permissions import known_actor, may, require
from access.roles import VERBS
from approvals.errors import ConflictError, GateError, InvalidError, StateError
from approvals.inverse import LABEL, is_over
from approvals.models import CarriedOut, ChangeRequest
from approvals.workflow import subjects
from approvals.workflow.basis import Basis, proposers, recorded_approvers
from approvals.workflow.checks import require_nothing_blocks, takes_effect_at_once
from approvals.workflow.lapsing import require_this_ledger
from approvals.workflow.needs import needs_of, unserved
from approvals.workflow.reach import touched_by_request
from approvals.workflow.request import locked, reference, require_open, same
from approvals.workflow.telling import tell, tell_waiting
from approvals.workflow.validity import Operation, created_flags, validate
from audit import blobs
from audit.actor import Actor
from audit.jcs import digest
from audit.ledger import timestamp
from audit.recording import Recording, recording
from countersign.document import DocumentError
from flags import rollouts
from flags.subjects import GOVERNING, Subject

State = ChangeRequest.State


def apply(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Carry out an approved request, all of it or nothing, in one transaction.

    Policy, reviewers' standing, time, base versions, freezes and expectations are checked again. Raises `StateError`,
    `ConflictError`, `InvalidError`, `ForbiddenError` or the ledger's error; then nothing changed.
    """
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.apply", request.project, touched_by_request(request))
        if request.state == State.APPLIED:
            raise StateError(f"{request.change_id} has been applied already.")
        require_open(request)
        request.project.hold()
        _require_approved(request)
        _require_standing(request)
        numbers = [
            number
            for number, operation in enumerate(request.change["operations"])
            if takes_effect_at_once(operation)
        ]
        _require_served(request, numbers)
        _carry_out(record, request, numbers)
        request.state, request.applied_at, request.problem = State.APPLIED, timezone.now(), ""
        if (seconds := request.change.get("confirm_within")) is not None:
            request.confirm_by = request.applied_at + timedelta(seconds=seconds)
        request.save()
        _record_applied(record, request)
        tell(record, "applied", request)
        if request.plan is not None:
            rollouts.stage_done(record, request.plan)
            tell_waiting(record, request.plan, proposers(request))
    return request


def apply_or_explain(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Apply; where the gate refuses, keep its reason on the request instead of raising it."""
    try:
        return apply(actor, request)
    except GateError as error:
        # Not where it was edited meanwhile: the reason and the time would be another revision's.
        tried = ChangeRequest.objects.filter(pk=request.pk, revision=request.revision)
        news = tried.filter(state__in=ChangeRequest.OPEN).exclude(problem=str(error), scheduled_at=None)
        with recording(actor) as record:
            if news.update(problem=str(error), scheduled_at=None):
                tell(record, "failed", request, about={"problem": str(error)})
        request.refresh_from_db()
        return request


def carry_out(actor: Actor, request: ChangeRequest, number: int) -> None:
    """Carry out one labelled operation (a stage, an expiry, a revert) of an applied request.

    Raises `ConflictError` when the current value is none of the admissible ones, `StateError` when it was
    carried out before.
    """
    with recording(actor) as record:
        request = locked(request)
        require(actor, "change.apply", request.project, touched_by_request(request))
        if request.state != State.APPLIED:
            raise StateError(f"{request.change_id} is {request.get_state_display().lower()}, not applied.")
        request.project.hold()
        if request.change["operations"][number].get("label") == LABEL:
            _require_was_approved(request)
        else:
            _require_approved(request)
        _carry_out(record, request, [number])
        _record_applied(record, request)


def carry_out_together(record: Recording, request: ChangeRequest, numbers: Sequence[int]) -> None:
    """Carry out the way back of a locked, applied request: these labelled operations, as they were approved."""
    _require_was_approved(request)
    _carry_out(record, request, numbers)


def _carry_out(record: Recording, request: ChangeRequest, numbers: Sequence[int]) -> None:
    """Write these operations of a request, all or nothing, after comparing what stands there."""
    project = request.project
    operations: dict[int, Operation] = {number: request.change["operations"][number] for number in numbers}
    created = created_flags(operations.values())
    for number, operation in operations.items():
        state = subjects.read(project, Subject.parse(operation["subject"]), lock=True, created=created)
        expected = request.change["base"][operation["subject"]]
        admissible = operation["before_any"] if "before_any" in operation else [operation["before"]]
        is_stale = "label" not in operation and state.version != expected
        if is_stale or not any(same(state.document, value) for value in admissible):
            raise ConflictError(operation["subject"], expected, state.version)
        done = request.carried_out.filter(change_id=request.change_id, operation=number)
        if not operation.get("repeat") and done.exists():
            raise StateError(f"Operation {number} of {request.change_id} was carried out already.")
    validate(project, list(operations.values()))
    require_nothing_blocks(record.actor, request, list(operations.values()))
    # A flag before what it does somewhere, whatever order the request names them in.
    for number, operation in sorted(
        operations.items(), key=lambda pair: Subject.parse(pair[1]["subject"]).writing_rank
    ):
        named = {"id": request.change_id, "digest": request.digest, "operation": number}
        try:
            event = subjects.write(record, project, operation, request.change_id, {"change_request": named})
        except DocumentError as error:
            raise InvalidError(error.member, error.reason) from error
        if not operation.get("repeat"):
            CarriedOut.objects.create(
                request=request, change_id=request.change_id, operation=number, event_id=event.id
            )


def _record_applied(record: Recording, request: ChangeRequest) -> None:
    record.event(
        "approvals.v1.change_request.applied",
        f"change/{request.change_id}",
        reference(request),
        project=request.project.key,
        change_id=request.change_id,
    )


def _require_as_reviewed(request: ChangeRequest) -> None:
    require_this_ledger(request)
    if digest(blobs.event_change(request.change)) != request.digest:
        raise StateError(
            f"{request.change_id} is not what was reviewed: its content does not match its digest. "
            "Nothing was applied; tell an auditor."
        )


def _require_approved(request: ChangeRequest) -> None:
    """Check again, at the moment of applying, what the approval rests on."""
    _require_as_reviewed(request)
    if any(is_over(operation) for operation in request.change["operations"]) and request.applied_at is None:
        raise StateError(
            f"{request.change_id} was to end before now, so it is not applied any more; edit its end, or withdraw it."
        )
    basis = Basis(request)
    if basis.missing:
        raise StateError(
            f"{request.change_id} has {' and '.join(basis.missing)}; ask a reviewer of the project."
        )
    needs = basis.needs
    if request.change["required_approvals"] < needs.approvals:
        raise StateError(
            f"{request.change_id} was proposed when fewer approvals were needed "
            f"({request.change['required_approvals']}, now {needs.approvals}); "
            "edit it so that it is reviewed under the present policy."
        )
    not_before = request.change.get("not_before")
    if not_before and timestamp(timezone.now()) < not_before:
        raise StateError(f"{request.change_id} may not be applied before {not_before}; schedule it.")


def _require_was_approved(request: ChangeRequest) -> None:
    """Check what a way back rests on: that this was approved as promised when it was applied.

    Not who may review now, nor what policies ask for since: what makes things safe again does not fail because
    a reviewer left.
    """
    _require_as_reviewed(request)
    given = len(recorded_approvers(request) - proposers(request))
    if given < request.change["required_approvals"]:
        raise StateError(
            f"{request.change_id} has {given} of {request.change['required_approvals']} approvals in the ledger."
        )


def _require_standing(request: ChangeRequest) -> None:
    """Refuse what rests on its proposer alone, or governs, once they may not ask for it any more.

    Whoever leaves leaves nothing behind that happens by itself.
    """
    operations = request.change["operations"]
    subjects_of = [Subject.parse(operation["subject"]) for operation in operations]
    if request.change["required_approvals"] and not any(each.kind in GOVERNING for each in subjects_of):
        return
    proposer = known_actor(request.proposer)
    if proposer is None:
        raise StateError(
            f"{request.change_id} was proposed by somebody whose account is closed; propose it again."
        )
    touched = touched_by_request(request)
    for verb in sorted({subjects.VERBS[each.kind] for each in subjects_of}):
        if not may(proposer, verb, request.project, touched if VERBS[verb].limitable else ()):
            raise StateError(
                f"{request.change_id} was proposed by somebody who may not ask for it any more ({verb}); "
                "whoever may proposes it again."
            )


def _require_served(request: ChangeRequest, numbers: Sequence[int]) -> None:
    operations = [request.change["operations"][number] for number in numbers]
    needs = needs_of(request.project, operations)
    if waiting := unserved(request.project, needs, operations):
        raise StateError(f"{request.change_id} may not be applied yet: {'; '.join(waiting)}.")
