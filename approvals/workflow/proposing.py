"""Asking for a change: proposing, revising, and both steps in one where nobody has to approve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from access.limits import Touched
from access.permissions import require
from access.roles import VERBS
from approvals import inverse, planned, policies
from approvals.errors import ConflictError, InvalidError, StateError
from approvals.models import ChangeRequest
from approvals.workflow import subjects
from approvals.workflow.applying import apply
from approvals.workflow.basis import proposers
from approvals.workflow.checks import BlockedError, Finding
from approvals.workflow.findings import check_request
from approvals.workflow.needs import needs_of
from approvals.workflow.reach import touched_by
from approvals.workflow.request import (
    checked_text,
    is_due,
    locked,
    record_verdict,
    refuse_unstorable,
    require_open,
    same,
)
from approvals.workflow.telling import tell
from approvals.workflow.validity import Operation, created_flags, environments_of, validate
from audit import blobs
from audit.actor import Actor
from audit.jcs import canonical, digest
from audit.ledger import timestamp
from audit.recording import Recording, recording
from countersign.document import DocumentError
from flags.changes import NotFoundError
from flags.documents import read_moment
from flags.models import Environment, Project
from flags.subjects import Subject

State = ChangeRequest.State
# Bytes of a change in its event, whose own members need the rest of the 65,535.
_LARGEST_CHANGE = 60_000
# Seconds: what edges offer, and `confirm_within` may be.
SHORTEST_CONFIRMATION, LONGEST_CONFIRMATION = 60, 7 * 86_400


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
    confirm_within: int | None = None,
    ends_at: datetime | None = None,
    labelled: Sequence[Operation] = (),
) -> ChangeRequest:
    """Store a change request with what would change, and record its proposal.

    `operations`: `{"subject", "after"}` each, of different subjects. `base`: the version of each subject
    that the proposer saw, all of them; None: what stands now. `not_before`: the approval holds from then on.
    `scheduled_at`: our task applies it then (with `not_before`: not before that), or as soon as it is
    approved afterwards; None: when somebody does. `confirm_within`: seconds after which it is taken back unless
    somebody confirmed it. `ends_at`: when it is taken back as planned. `labelled`: further operations carried
    out later under the same approval (stages, expiry, revert).

    Raises `ForbiddenError`, `InvalidError` (also for what the policies ask for), `ConflictError`.
    """
    if scheduled_at is not None and scheduled_at < timezone.now() - timedelta(minutes=1):
        raise InvalidError("scheduled_at", "is in the past; name a later time, or leave it out")
    with recording(actor) as record:
        _require_may_ask(actor, project, operations)
        request = ChangeRequest(project=project, proposer=actor.id, change={}, required_approvals=0)
        request.save()  # for its number, which is part of what is reviewed
        times = Times(not_before, scheduled_at, confirm_within, ends_at)
        _draft(record, request, operations, title, rationale, ticket, base, times, labelled)
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
    confirm_within: int | None = None,
    ends_at: datetime | None = None,
) -> ChangeRequest:
    """Replace an open request by a new revision, with an id and digest of its own.

    Approvals of the revision before do not carry over. Only the proposer may.
    """
    with recording(actor) as record:
        request = locked(request)
        _require_may_ask(actor, request.project, operations)
        if request.proposer != actor.id:
            raise StateError(f"{request.change_id} is somebody else's; propose a change of your own.")
        require_open(request)
        if request.plan_id:
            raise StateError(f"{request.change_id} is a rollout plan; withdraw it and propose another one.")
        record_verdict(record, request, "rejected")
        request.revision += 1
        request.state, request.problem = State.IN_REVIEW, ""
        times = Times(not_before, scheduled_at, confirm_within, ends_at)
        _draft(record, request, operations, title, rationale, ticket, base, times, ())
    return request


def change(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], **options: Any
) -> ChangeRequest:
    """Propose, and apply at once where the policies ask for no approval and no later time was named.

    One transaction: an unprotected environment has the same door, but no half-open one. What falls into a
    freeze is kept, and waits; what another check refuses is not.
    """
    with recording(actor):
        options.setdefault("scheduled_at", timezone.now())
        request = propose(actor, project, operations, **options)
        if request.state == State.APPROVED and is_due(request):
            try:
                return apply(actor, request)
            except BlockedError as error:
                if not error.is_freeze:
                    raise
                request.problem, request.scheduled_at = str(error), None
                request.save()
    return request


def times_of(request: ChangeRequest) -> dict[str, Any]:
    """When a request holds, happens and goes back, as options of `revise`: an edit keeps what it does not name."""
    return {
        "not_before": read_moment(request.change.get("not_before")),
        "scheduled_at": request.scheduled_at,
        "confirm_within": request.change.get("confirm_within"),
        "ends_at": request.ends_at,
    }


@dataclass(frozen=True, slots=True)
class Times:
    """When a change holds, happens and goes back; see `propose`. Raises `InvalidError` naming the member."""

    not_before: datetime | None = None
    scheduled_at: datetime | None = None
    confirm_within: int | None = None
    ends_at: datetime | None = None

    def __post_init__(self) -> None:
        seconds = self.confirm_within
        if seconds is not None and not SHORTEST_CONFIRMATION <= seconds <= LONGEST_CONFIRMATION:
            raise InvalidError("confirm_within", "must be from a minute to a week, in seconds")
        begins = max(timezone.now(), self.not_before or timezone.now(), self.scheduled_at or timezone.now())
        if self.ends_at is not None and self.ends_at <= begins:
            raise InvalidError("ends_at", "is not after the change begins; name a later time")

    @property
    def due(self) -> datetime | None:
        """When our task applies it, not before the approval holds."""
        if self.scheduled_at is None or self.not_before is None:
            return self.scheduled_at
        return max(self.scheduled_at, self.not_before)

    @property
    def end(self) -> str:
        """The planned end as the ledger writes it; empty for none."""
        return timestamp(self.ends_at) if self.ends_at is not None else ""


class _UndoneError(Exception):
    """Takes a draft back with its transaction."""


def preview(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], **options: Any
) -> tuple[ChangeRequest, list[Environment], list[Finding]]:
    """What `change` would make of this, the environments that it would reach, and what the checks say.

    It is proposed and taken back in one transaction, so that it cannot tell anything else than `propose`, and
    nothing of it is kept. Its number is none that a request will have. Raises what `propose` raises.
    """
    options.setdefault("scheduled_at", timezone.now())
    try:
        with recording(actor):
            request = propose(actor, project, operations, **options)
            environments = list(request.environments.order_by("position", "key"))
            findings = check_request(request, actor)
            raise _UndoneError
    except _UndoneError:
        return request, environments, findings


def _require_may_ask(
    actor: Actor, project: Project, operations: Sequence[Mapping[str, Any]], touched: Sequence[Touched] = ()
) -> None:
    """Raise `ForbiddenError` unless the actor may ask for each of these. What is no subject is refused later."""
    verbs = {"change.propose"} if not operations else set()
    for operation in operations:
        try:
            verbs.add(subjects.VERBS[Subject.parse(str(operation["subject"])).kind])
        except (KeyError, TypeError, ValueError):
            verbs.add("change.propose")
    for verb in sorted(verbs):
        require(actor, verb, project, touched if VERBS[verb].limitable else ())


def _draft(
    record: Recording,
    request: ChangeRequest,
    operations: Sequence[Mapping[str, Any]],
    title: str,
    rationale: str,
    ticket: str,
    base: Mapping[str, int] | None,
    times: Times,
    labelled: Sequence[Operation],
) -> None:
    project = request.project
    texts = {
        "title": checked_text("title", title, 200),
        "rationale": checked_text("rationale", rationale, 4_000),
        "ticket": checked_text("ticket", ticket, 200),
    }
    if not operations and not labelled:
        raise InvalidError("operations", "is empty; name at least one change")
    whole, versions = _operations(project, operations, base)
    for operation in [*labelled, *planned.expiry_operations(project, whole)]:
        versions.setdefault(
            operation["subject"], subjects.read(project, Subject.parse(operation["subject"])).version
        )
        whole.append(operation)
    validate(project, whole)
    _require_may_ask(record.actor, project, whole, touched_by(project, whole))
    environments = environments_of(project, whole)
    whole += _ways_back(
        project, whole, times, asked=policies.on_call_may_revert(project, touched_by(project, whole))
    )
    needs = needs_of(project, whole)
    where = ", ".join(environment.name for environment in environments) or project.name
    if not texts["title"]:
        raise InvalidError("title", "is empty; say in a few words what this changes")
    if needs.rationale and not texts["rationale"]:
        raise InvalidError("rationale", f"is empty; {where} asks why, for those who review and audit")
    # Our own tasks have none to name.
    if needs.ticket and not texts["ticket"] and not record.actor.is_system:
        raise InvalidError("ticket", f"is empty; {where} asks for a ticket")
    if texts["ticket"] and not project.is_ticket(texts["ticket"]):
        raise InvalidError(
            "ticket", f"is no ticket of {project.name}: its pattern is {project.ticket_pattern}"
        )
    request.change = {
        "id": request.change_id,
        **texts,
        "required_approvals": needs.approvals,
        "base": versions,
        "operations": whole,
    }
    if times.not_before is not None:
        request.change["not_before"] = timestamp(times.not_before)
    if times.confirm_within is not None:
        request.change["confirm_within"] = times.confirm_within
    shown = blobs.event_change(request.change)
    if (size := len(canonical(shown))) > _LARGEST_CHANGE:
        raise InvalidError(
            "operations", f"take {size} bytes in the ledger, more than {_LARGEST_CHANGE}; split the request"
        )
    request.title, request.digest = texts["title"], digest(shown)
    request.required_approvals, request.scheduled_at = needs.approvals, times.due
    request.ends_at = times.ends_at
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
    if request.state == State.IN_REVIEW:
        tell(
            record, "waiting", request, touched=touched_by(project, whole), to=(), without=proposers(request)
        )


def _ways_back(project: Project, whole: Sequence[Operation], times: Times, *, asked: bool) -> list[Operation]:
    """The ways back to be approved with a change: to be taken when asked, unless confirmed, or at its end.

    `asked`: on-call may take one; left out where what stood before could not stand again. Whoever names a time
    is told instead: raises `InvalidError`.
    """
    now = [operation for operation in whole if "label" not in operation]
    back: list[Operation] = []
    for member, wanted, found in (
        ("", asked and times.confirm_within is None, inverse.way_back(now)),
        ("confirm_within", times.confirm_within is not None, inverse.way_back(now)),
        ("ends_at", times.ends_at is not None, inverse.planned_end(now, times.end)),
    ):
        if not wanted:
            continue
        stages = any(str(each.get("label", "")).startswith("stage ") for each in whole)
        if member and (stages or len(found) < len(now)):
            raise InvalidError(member, "cannot be: not all of this can go back by itself")
        try:
            validate(project, [*now, *found])
        except InvalidError as error:
            if member:
                raise InvalidError(member, f"cannot be, for what stood before: {error}") from error
            continue
        back += found
    return back


def _operations(
    project: Project, operations: Sequence[Mapping[str, Any]], base: Mapping[str, int] | None
) -> tuple[list[Operation], dict[str, int]]:
    """The operations with `before` and `type`, and the versions they are based on."""
    whole: list[Operation] = []
    versions: dict[str, int] = {}
    created = created_flags(operations)
    for index, given in enumerate(operations):
        member = f"operations[{index}]"
        if not isinstance(given, Mapping):
            raise InvalidError(member, "must be an object of `subject` and `after`")
        unknown = sorted(set(given) - {"subject", "after"})
        if unknown:
            raise InvalidError(f"{member}.{unknown[0]}", "is unknown; an operation has `subject` and `after`")
        refuse_unstorable(f"{member}.subject", given.get("subject"))
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
        if not isinstance(after, dict) and not (after is None and subject.kind in subjects.REMOVABLE):
            raise InvalidError(
                f"{member}.after", "must be an object: the whole document that should stand there"
            )
        refuse_unstorable(f"{member}.after", after)
        try:
            state = subjects.read(project, subject, created=created)
            after = after if after is None else subjects.normal(project, subject, after)
        except NotFoundError as error:
            raise InvalidError(f"{member}.subject", str(error)) from error
        except DocumentError as error:
            raise InvalidError(error.member, error.reason) from error
        if base is not None and text in base and base[text] != state.version:
            raise ConflictError(text, base[text], state.version)
        if same(state.document, after):
            raise InvalidError(f"{member}.after", "is what stands there already; there is nothing to change")
        kind = subjects.event_type(subject, state)
        versions[text] = state.version
        whole.append({"subject": text, "type": kind, "before": state.document, "after": after})
    for text in base or ():
        if text not in versions:
            raise InvalidError(f"base.{text}", "is the subject of no operation of this request; leave it out")
    for text, version in versions.items():
        if base is not None and text not in base:
            raise ConflictError(text, None, version)
    return whole, versions
