"""The verbs of the gate. Each owns permission, mutation and audit; admin, API and tasks call these.

A change goes `propose` → `approve` (as often as its policies ask) → `apply`. An environment that asks for
nothing goes the same way, in one step (`change`). Only this module calls `flags.changes`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from access.permissions import eligible, require
from approvals import planned, policies
from approvals.models import CarriedOut, ChangeRequest, Emergency, Review
from audit import blobs
from audit.actor import Actor
from audit.jcs import canonical, digest
from audit.ledger import timestamp
from audit.models import Event
from audit.recording import Recording, current, recording
from countersign.document import DocumentError
from flags import changes, documents, rollouts
from flags.models import KEY, Environment, Project, RolloutPlan
from flags.subjects import Subject

State = ChangeRequest.State
Operation = dict[str, Any]
# Bytes of a change in its event, whose own members need the rest of the 65,535.
_LARGEST_CHANGE = 60_000
_TYPES = {
    "configuration": "flags.v1.configuration.updated",
    "definition": "flags.v1.flag.updated",
    "segment": "flags.v1.segment.updated",
}


class GateError(Exception):
    """The gate refuses; the text names the thing, the reason and the next step."""


class InvalidError(GateError):
    """What was proposed cannot be: `member` says where."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member}: {reason}")
        self.member, self.reason = member, reason


class StateError(GateError):
    """The request is not in a state for this verb, e.g. it has been applied already."""


class ConflictError(GateError):
    """Something else changed meanwhile; `subject`, the version expected and the one found."""

    def __init__(self, subject: str, expected: int, found: int) -> None:
        super().__init__(
            f"{subject} is at version {found}, this change was made for version {expected}. "
            "Nothing was overwritten: look at what changed, then edit or withdraw the request."
        )
        self.subject, self.expected, self.found = subject, expected, found


# --- proposing -----------------------------------------------------------------------------------


def propose(
    actor: Actor,
    project: Project,
    operations: Sequence[Mapping[str, Any]],
    *,
    title: str,
    rationale: str = "",
    ticket: str = "",
    base: Mapping[str, int] | None = None,
    not_before: datetime | None = None,
    scheduled_at: datetime | None = None,
    labelled: Sequence[Operation] = (),
) -> ChangeRequest:
    """Store a change request with what would change, and record its proposal.

    `operations`: `{"subject", "after"}` each, of different subjects. `base`: the version of each subject
    that the proposer saw; left out, what stands now. `not_before`: the approval holds from then on.
    `scheduled_at`: our task applies it then (with `not_before`: not before that), or as soon as it is
    approved afterwards; None: when somebody does. `labelled`: further operations carried out later under
    the same approval (stages, expiry, revert).

    Raises `ForbiddenError`, `InvalidError` (also for what the policies ask for), `ConflictError`.
    """
    with recording(actor) as record:
        require(actor, "change.propose", project)
        request = ChangeRequest(project=project, proposer=actor.id, change={}, required_approvals=0)
        request.save()  # for its number, which is part of what is reviewed
        _draft(
            record, request, operations, title, rationale, ticket, base, not_before, scheduled_at, labelled
        )
    return request


def revise(
    actor: Actor,
    request: ChangeRequest,
    operations: Sequence[Mapping[str, Any]],
    *,
    title: str,
    rationale: str = "",
    ticket: str = "",
    base: Mapping[str, int] | None = None,
    not_before: datetime | None = None,
    scheduled_at: datetime | None = None,
) -> ChangeRequest:
    """Replace an open request by a new revision, with an id and digest of its own.

    Approvals of the revision before do not carry over. Only the proposer may.
    """
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.propose", request.project)
        if request.proposer != actor.id:
            raise StateError(f"{request.change_id} is somebody else's; propose a change of your own.")
        _require_open(request)
        if request.plan_id:
            raise StateError(f"{request.change_id} is a rollout plan; withdraw it and propose another one.")
        _record_verdict(record, request, "rejected")
        request.revision += 1
        request.state, request.problem = State.IN_REVIEW, ""
        _draft(record, request, operations, title, rationale, ticket, base, not_before, scheduled_at, ())
    return request


def change(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], **options: Any
) -> ChangeRequest:
    """Propose, and apply at once where the policies ask for no approval and no later time was named.

    One transaction: an unprotected environment has the same door, but no half-open one.
    """
    with recording(actor):
        options.setdefault("scheduled_at", timezone.now())
        request = propose(actor, project, operations, **options)
        if request.state == State.APPROVED and _is_due(request):
            return apply(actor, request)
    return request


def _draft(
    record: Recording,
    request: ChangeRequest,
    operations: Sequence[Mapping[str, Any]],
    title: str,
    rationale: str,
    ticket: str,
    base: Mapping[str, int] | None,
    not_before: datetime | None,
    scheduled_at: datetime | None,
    labelled: Sequence[Operation],
) -> None:
    project = request.project
    texts = {
        "title": _checked_text("title", title, 200),
        "rationale": _checked_text("rationale", rationale, 4_000),
        "ticket": _checked_text("ticket", ticket, 200),
    }
    if not operations and not labelled:
        raise InvalidError("operations", "is empty; name at least one change")
    whole, versions = _operations(project, operations, base)
    for operation in [*labelled, *planned.expiry_operations(project, whole)]:
        versions.setdefault(
            operation["subject"], changes.read(project, Subject.parse(operation["subject"])).version
        )
        whole.append(operation)
    _validate(project, whole)
    environments = _environments(project, whole)
    needs = policies.requirements(environments)
    where = ", ".join(environment.name for environment in environments)
    if not texts["title"]:
        raise InvalidError("title", "is empty; say in a few words what this changes")
    if needs.rationale and not texts["rationale"]:
        raise InvalidError("rationale", f"is empty; {where} asks why, for those who review and audit")
    if needs.ticket and not texts["ticket"]:
        raise InvalidError("ticket", f"is empty; {where} asks for a ticket")
    request.change = {
        "id": request.change_id,
        **texts,
        "required_approvals": needs.approvals,
        "base": versions,
        "operations": whole,
    }
    if not_before is not None:
        request.change["not_before"] = timestamp(not_before)
        if scheduled_at is not None:
            scheduled_at = max(scheduled_at, not_before)
    shown = blobs.event_change(request.change)
    if (size := len(canonical(shown))) > _LARGEST_CHANGE:
        raise InvalidError(
            "operations", f"take {size} bytes in the ledger, more than {_LARGEST_CHANGE}; split the request"
        )
    request.title, request.digest = texts["title"], digest(shown)
    request.required_approvals, request.scheduled_at = needs.approvals, scheduled_at
    request.state = State.APPROVED if needs.approvals == 0 else State.IN_REVIEW
    request.save()
    request.environments.set(environments)
    blobs.keep_change(request.change)
    record.event(
        "approvals.v1.change_request.proposed",
        f"change/{request.change_id}",
        {"change": shown},
        project=project.key,
        change_id=request.change_id,
    )


def _operations(
    project: Project, operations: Sequence[Mapping[str, Any]], base: Mapping[str, int] | None
) -> tuple[list[Operation], dict[str, int]]:
    """The operations with `before` and `type`, and the versions they are based on."""
    whole: list[Operation] = []
    versions: dict[str, int] = {}
    for index, given in enumerate(operations):
        member = f"operations[{index}]"
        if not isinstance(given, Mapping):
            raise InvalidError(member, "must be an object of `subject` and `after`")
        unknown = sorted(set(given) - {"subject", "after"})
        if unknown:
            raise InvalidError(f"{member}.{unknown[0]}", "is unknown; an operation has `subject` and `after`")
        _refuse_unstorable(f"{member}.subject", given.get("subject"))
        try:
            subject = Subject.parse(str(given.get("subject")))
        except ValueError as error:
            raise InvalidError(f"{member}.subject", f"{error}") from error
        if subject.project != project.key:
            raise InvalidError(f"{member}.subject", f"is not in the project {project.key}")
        text = str(subject)
        if text in versions:
            raise InvalidError(f"{member}.subject", "is changed by another operation of this request already")
        after = given.get("after")
        if not isinstance(after, dict):
            raise InvalidError(
                f"{member}.after", "must be an object: the whole document that should stand there"
            )
        _refuse_unstorable(f"{member}.after", after)
        if subject.kind == "definition":
            after = documents.normal_definition(after)
        try:
            state = changes.read(project, subject)
        except changes.NotFoundError as error:
            raise InvalidError(f"{member}.subject", str(error)) from error
        if base is not None and text in base and base[text] != state.version:
            raise ConflictError(text, base[text], state.version)
        if _same(state.document, after):
            raise InvalidError(f"{member}.after", "is what stands there already; there is nothing to change")
        kind = _TYPES[subject.kind]
        if state.version == 0 and subject.kind != "configuration":
            kind = kind.replace(".updated", ".created")
        versions[text] = state.version
        whole.append({"subject": text, "type": kind, "before": state.document, "after": after})
    for text in base or ():
        if text not in versions:
            raise InvalidError(f"base.{text}", "is the subject of no operation of this request; leave it out")
    return whole, versions


def _validate(project: Project, operations: Sequence[Operation]) -> None:
    """Refuse documents that break the evaluation specification, alone or together with what else is served.

    Operations without a label take effect together, each labelled one at a time of its own.
    """
    _validate_together(project, [operation for operation in operations if "label" not in operation])
    for operation in operations:
        if "label" in operation:
            _validate_together(project, [operation])


def _validate_together(project: Project, operations: Sequence[Operation]) -> None:
    definitions: dict[str, Any] = {}
    segments: dict[str, Any] = {}
    configurations: dict[str, dict[str, Any]] = {}
    try:
        for operation in operations:
            subject, after = Subject.parse(operation["subject"]), operation["after"]
            if subject.kind == "configuration":
                configurations.setdefault(subject.environment, {})[subject.key] = after
                continue
            _check_key(project, subject, is_new=operation["before"] is None)
            if subject.kind == "segment":
                documents.check_segment(subject.key, after)
                segments[subject.key] = after
            else:
                documents.check_definition(subject.key, after)
                if operation["before"] is not None and operation["before"]["type"] != after["type"]:
                    raise DocumentError("type", "cannot change: callers ask for it by type; make a new flag")
                definitions[subject.key] = after
        for environment in Environment.objects.filter(project=project):
            changed = configurations.get(environment.key, {})
            if changed or definitions:
                documents.check_environment(environment, changed, definitions, segments)
            documents.check_segments_fit(environment, changed, segments)
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error


def _check_key(project: Project, subject: Subject, *, is_new: bool) -> None:
    """Refuse a key that the specification, or for a new flag the project's pattern, does not allow."""
    if not re.fullmatch(KEY, subject.key):
        raise DocumentError(
            "key", f"{subject.key!r} is no key; use letters, digits, dots, underscores, hyphens"
        )
    pattern = project.flag_key_pattern
    if is_new and subject.kind == "definition" and pattern and not re.fullmatch(pattern, subject.key):
        raise DocumentError("key", f"{subject.key!r} does not match this project's pattern {pattern}")


def _environments(project: Project, operations: Sequence[Operation]) -> list[Environment]:
    """The environments that a change reaches, in order of promotion."""
    reached: dict[int, Environment] = {}
    for operation in operations:
        before = operation.get("before", (operation.get("before_any") or [None])[0])
        for environment in changes.environments_reached(
            project, Subject.parse(operation["subject"]), before, operation["after"]
        ):
            reached[environment.pk] = environment
    return sorted(reached.values(), key=lambda environment: (environment.position, environment.key))


# --- reviewing -----------------------------------------------------------------------------------


def approve(actor: Actor, request: ChangeRequest, *, digest: str, comment: str = "") -> ChangeRequest:
    """Approve exactly what was seen: `digest` is that of the revision shown to the reviewer.

    When the last approval arrives and the request is due, it is applied in a transaction of its own; if
    that fails the approval stands and `problem` says why. Nobody approves their own change.
    """
    comment = _checked_text("comment", comment, 4_000)
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.approve", request.project)
        if actor.id == request.proposer:
            raise StateError(f"{request.change_id} is your own change; somebody else has to approve it.")
        _require_reviewable(actor, "change.approve", request, digest)
        _record_verdict(record, request, "approved", comment)
        if request.state == State.IN_REVIEW and len(_approvers(request)) >= request.required_approvals:
            request.state = State.APPROVED
        request.save()
    if request.state == State.APPROVED and _is_due(request):
        return apply_or_explain(actor, request)
    return request


def reject(actor: Actor, request: ChangeRequest, *, digest: str, comment: str = "") -> ChangeRequest:
    """Reject a revision: nothing of it will be carried out any more."""
    comment = _checked_text("comment", comment, 4_000)
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.reject", request.project)
        if actor.id == request.proposer:
            raise StateError(f"{request.change_id} is your own change; withdraw it.")
        _require_reviewable(actor, "change.reject", request, digest)
        _record_verdict(record, request, "rejected", comment)
        _close(record, request, State.REJECTED)
    return request


def withdraw(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Take one's own request back; in the ledger, a rejection by its proposer."""
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.propose", request.project)
        if actor.id != request.proposer:
            raise StateError(f"{request.change_id} is somebody else's; a reviewer can reject it.")
        _require_open(request)
        _record_verdict(record, request, "rejected")
        _close(record, request, State.WITHDRAWN)
    return request


def comment(actor: Actor, request: ChangeRequest, text: str) -> Review:
    """Say something about a request. Comments are not part of the evidence."""
    require(actor, "change.comment", request.project)
    text = _checked_text("comment", text, 4_000)
    if not text:
        raise InvalidError("comment", "is empty")
    return Review.objects.create(
        request=request,
        change_id=request.change_id,
        digest=request.digest,
        reviewer=actor.id,
        verdict=Review.Verdict.COMMENTED,
        comment=text,
    )


def schedule(actor: Actor, request: ChangeRequest, at: datetime | None) -> ChangeRequest:
    """Say when our task applies the request; None: when somebody does."""
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.schedule", request.project)
        _require_open(request)
        if at is not None and at < timezone.now():
            raise InvalidError("scheduled_at", "is in the past; apply the request, or name a later time")
        not_before = request.change.get("not_before", "")
        if at is not None and timestamp(at) < not_before:
            raise InvalidError("scheduled_at", f"is before {not_before}, from when the approval holds")
        before = _schedule_document(request)
        request.scheduled_at = at
        record.event(
            "approvals.v1.change_request.scheduled",
            f"change/{request.change_id}",
            {"scheduled_before": before, "scheduled_after": _schedule_document(request)},
            project=request.project.key,
            change_id=request.change_id,
        )
        request.save()
    return request


# --- applying ------------------------------------------------------------------------------------


def apply(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Carry out an approved request, all of it or nothing, in one transaction.

    Policy, reviewers' standing, time and base versions are checked again. Raises `StateError`,
    `ConflictError`, `InvalidError`, `ForbiddenError` or the ledger's error; then nothing changed.
    """
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.apply", request.project)
        if request.state == State.APPLIED:
            raise StateError(f"{request.change_id} has been applied already.")
        _require_open(request)
        _hold(request.project)
        _require_approved(request)
        numbers = [
            number
            for number, operation in enumerate(request.change["operations"])
            if "label" not in operation or planned.is_stage(operation, 1)
        ]
        _carry_out(record, request, numbers)
        request.state, request.applied_at, request.problem = State.APPLIED, timezone.now(), ""
        request.save()
        _record_applied(record, request)
        if request.plan is not None:
            rollouts.stage_done(record, request.plan)
    return request


def apply_or_explain(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    """Apply; where the gate refuses, keep its reason on the request instead of raising it."""
    try:
        return apply(actor, request)
    except GateError as error:
        ChangeRequest.objects.filter(pk=request.pk, state__in=ChangeRequest.OPEN).update(
            problem=str(error), scheduled_at=None
        )
        request.refresh_from_db()
        return request


def carry_out(actor: Actor, request: ChangeRequest, number: int) -> None:
    """Carry out one labelled operation (a stage, an expiry, a revert) of an applied request.

    Raises `ConflictError` when the current value is none of the admissible ones, `StateError` when it was
    carried out before.
    """
    with recording(actor) as record:
        request = _locked(request)
        require(actor, "change.apply", request.project)
        if request.state != State.APPLIED:
            raise StateError(f"{request.change_id} is {request.get_state_display().lower()}, not applied.")
        _hold(request.project)
        _require_approved(request)
        _carry_out(record, request, [number])
        _record_applied(record, request)


def _carry_out(record: Recording, request: ChangeRequest, numbers: Sequence[int]) -> None:
    """Write these operations of a request, all or nothing, after comparing what stands there."""
    project = request.project
    operations: dict[int, Operation] = {number: request.change["operations"][number] for number in numbers}
    for number, operation in operations.items():
        state = changes.read(project, Subject.parse(operation["subject"]), lock=True)
        expected = request.change["base"][operation["subject"]]
        admissible = operation["before_any"] if "before_any" in operation else [operation["before"]]
        is_stale = "label" not in operation and state.version != expected
        if is_stale or not any(_same(state.document, value) for value in admissible):
            raise ConflictError(operation["subject"], expected, state.version)
        done = request.carried_out.filter(change_id=request.change_id, operation=number)
        if not operation.get("repeat") and done.exists():
            raise StateError(f"Operation {number} of {request.change_id} was carried out already.")
    _validate(project, list(operations.values()))
    for number, operation in operations.items():
        named = {"id": request.change_id, "digest": request.digest, "operation": number}
        event, _ = changes.write(record, project, operation, request.change_id, {"change_request": named})
        if not operation.get("repeat"):
            CarriedOut.objects.create(
                request=request, change_id=request.change_id, operation=number, event_id=event.id
            )


def _require_approved(request: ChangeRequest) -> None:
    """Check again, at the moment of applying, what the approval rests on."""
    if digest(blobs.event_change(request.change)) != request.digest:
        raise StateError(
            f"{request.change_id} is not what was reviewed: its content does not match its digest. "
            "Nothing was applied; tell an auditor."
        )
    needs = policies.requirements(_environments(request.project, request.change["operations"]))
    needed = max(needs.approvals, request.change["required_approvals"])
    approvers = _approvers(request)
    if len(approvers) < needed:
        raise StateError(
            f"{request.change_id} has {len(approvers)} of {needed} approvals by people who may review now; "
            "ask a reviewer of the project."
        )
    if request.change["required_approvals"] < needs.approvals:
        raise StateError(
            f"{request.change_id} was proposed when fewer approvals were needed "
            f"({request.change['required_approvals']}, now {needs.approvals}); "
            "edit it so that it is reviewed under the present policy."
        )
    not_before = request.change.get("not_before")
    if not_before and timestamp(timezone.now()) < not_before:
        raise StateError(f"{request.change_id} may not be applied before {not_before}; schedule it.")


def _approvers(request: ChangeRequest) -> set[str]:
    """Who approved this revision, as recorded in the ledger, and may still review here."""
    rows = _verdicts(request).filter(verdict=Review.Verdict.APPROVED, digest=request.digest)
    named = {review.reviewer for review in rows if _is_recorded(review)}
    return eligible(named - {request.proposer}, "change.approve", request.project)


def _is_recorded(review: Review) -> bool:
    """Whether the ledger holds, or this transaction will append, the approval that the row claims."""
    approved = ("approvals.v1.change_request.approved", review.reviewer, review.change_id)
    if review.event_id is None:
        return False
    pending = {event.id: event for event in current().pending}.get(review.event_id)
    event = pending or Event.objects.filter(pk=review.event_id).first()
    return event is not None and (event.type, event.actor, event.change_id) == approved


# --- emergencies ---------------------------------------------------------------------------------


def kill(actor: Actor, subject: Subject, project: Project) -> Emergency:
    """Turn a flag off in one environment, at once and without review; the review is owed afterwards.

    Raises `ForbiddenError`, or `StateError` when there is nothing to kill.
    """
    with recording(actor) as record:
        require(actor, "flag.kill", project)
        if subject.kind != "configuration" or subject.project != project.key:
            raise StateError(f"{subject} is no flag's configuration in an environment of {project.key}.")
        _hold(project)
        try:
            state = changes.read(project, subject, lock=True)
        except changes.NotFoundError as error:
            raise StateError(str(error)) from error
        if state.document is None:
            raise StateError(
                f"{subject.key} is not configured there: nothing is served that could be killed."
            )
        if state.document.get("killed"):
            raise StateError(f"{subject.key} is killed in {subject.environment} already.")
        operation = {
            "subject": str(subject),
            "type": "flags.v1.configuration.killed",
            "after": {**state.document, "killed": True},
        }
        event, _ = changes.write(record, project, operation, "")
        return Emergency.objects.create(
            project=project,
            subject=str(subject),
            event_id=event.id,
            killed_by=actor.id,
            digest=digest(event.data),
        )


def review_emergency(actor: Actor, emergency: Emergency) -> Emergency:
    """Review a kill afterwards. Nobody reviews their own."""
    with recording(actor) as record:
        emergency = Emergency.objects.select_for_update().get(pk=emergency.pk)
        require(actor, "emergency.review", emergency.project)
        if actor.id == emergency.killed_by:
            raise StateError("You killed it; somebody else has to review that.")
        if emergency.reviewed_by:
            raise StateError("This kill has been reviewed already.")
        record.event(
            "approvals.v1.emergency.reviewed",
            data={"event": str(emergency.event_id), "digest": emergency.digest},
            project=emergency.project.key,
        )
        emergency.reviewed_by, emergency.reviewed_at = actor.id, timezone.now()
        emergency.save()
    return emergency


# --- shared parts --------------------------------------------------------------------------------


def _hold(project: Project) -> None:
    """Let one change of a project in at a time.

    Two cannot lock each other out then, whatever rows they touch, and no policy, segment or configuration
    changes between the check of what is needed and the write.
    """
    Project.objects.select_for_update().get(pk=project.pk)


def _locked(request: ChangeRequest) -> ChangeRequest:
    return ChangeRequest.objects.select_for_update().get(pk=request.pk)


def _require_open(request: ChangeRequest) -> None:
    if not request.is_open:
        raise StateError(f"{request.change_id} is {request.get_state_display().lower()}; it is closed.")


def _require_reviewable(actor: Actor, verb: str, request: ChangeRequest, seen: str) -> None:
    """Refuse a verdict by a service account, on a closed request, on another revision, or a second one."""
    if not eligible({actor.id}, verb, request.project):
        raise StateError("Only people review changes; a service account does not count as a reviewer.")
    _require_open(request)
    _require_seen(request, seen)
    if _verdicts(request).filter(reviewer=actor.id).exists():
        raise StateError(f"You have reviewed {request.change_id} already.")


def _require_seen(request: ChangeRequest, seen: str) -> None:
    if seen != request.digest:
        raise StateError(
            f"{request.change_id} is not what you saw: it was edited meanwhile. "
            "Load it again and review that."
        )


def _verdicts(request: ChangeRequest) -> Any:
    return request.reviews.filter(change_id=request.change_id).exclude(verdict=Review.Verdict.COMMENTED)


def _record_verdict(record: Recording, request: ChangeRequest, verdict: str, comment: str = "") -> None:
    event = record.event(
        f"approvals.v1.change_request.{verdict}",
        f"change/{request.change_id}",
        _named(request),
        project=request.project.key,
        change_id=request.change_id,
    )
    try:
        with transaction.atomic():
            Review.objects.create(
                request=request,
                change_id=request.change_id,
                digest=request.digest,
                reviewer=record.actor.id,
                verdict=verdict,
                comment=comment,
                event_id=event.id,
            )
    except IntegrityError as error:
        raise StateError(f"You have reviewed {request.change_id} already.") from error


def _record_applied(record: Recording, request: ChangeRequest) -> None:
    record.event(
        "approvals.v1.change_request.applied",
        f"change/{request.change_id}",
        _named(request),
        project=request.project.key,
        change_id=request.change_id,
    )


def _named(request: ChangeRequest) -> dict[str, str]:
    return {"change_id": request.change_id, "digest": request.digest}


def _close(record: Recording, request: ChangeRequest, state: str) -> None:
    request.state, request.scheduled_at = state, None
    request.save()
    if request.plan is not None:
        rollouts.move(record, request.plan, state=RolloutPlan.State.ABORTED)


def _is_due(request: ChangeRequest) -> bool:
    not_before = request.change.get("not_before")
    return (
        request.scheduled_at is not None
        and request.scheduled_at <= timezone.now()
        and (not not_before or not_before <= timestamp(timezone.now()))
    )


def _refuse_unstorable(member: str, value: Any) -> None:
    try:
        documents.refuse_unstorable(member, value)
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error


def _checked_text(member: str, text: str, limit: int) -> str:
    text = text.strip()
    if len(text) > limit:
        raise InvalidError(member, f"is longer than {limit} characters; shorten it")
    _refuse_unstorable(member, text)
    return text


def _same(one: Any, other: Any) -> bool:
    return canonical(one) == canonical(other)


def _schedule_document(request: ChangeRequest) -> str | None:
    return timestamp(request.scheduled_at) if request.scheduled_at else None
