"""What freezes, expectations and advice say of a change: before it is asked for, and again when it is applied."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from access.roles import Role, label_of, roles_that_may
from approvals import inverse, planned
from approvals.advice import advice
from approvals.errors import InvalidError, StateError
from approvals.expectations import Outcome, outcomes
from approvals.freezes.covering import Frozen, Reached, concerning, freezing, next_open_slot
from approvals.models import ChangeRequest
from approvals.resulting import Resulting
from approvals.workflow import subjects
from approvals.workflow.reach import touched_by
from approvals.workflow.validity import Operation, created_flags, validate
from audit.actor import Actor
from flags.changes import NotFoundError
from flags.models import Environment, Project
from flags.reads import Reads
from flags.subjects import SERVED, Subject

BLOCK, WARN = "block", "warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check says: `block` refuses to apply, `warn` is for people to weigh."""

    check: str
    severity: str
    text: str
    # Who can do something about it, and what.
    next: str
    subject: str = ""
    # A JSON pointer into the document at the subject; empty: all of it.
    member: str = ""
    # The next moment at which a freeze would let it through; None: not a freeze, or none within a year.
    open_slot: datetime | None = None

    @property
    def blocks(self) -> bool:
        return self.severity == BLOCK


class BlockedError(StateError):
    """A check refuses; `findings` are those that do."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        said = " ".join(f"{each.text} {each.next}" for each in findings)
        super().__init__(f"Nothing was applied. {said}")
        self.findings = tuple(findings)

    @property
    def is_freeze(self) -> bool:
        """Whether nothing but a freeze is in the way: then it waits."""
        return all(each.check == "freeze" for each in self.findings)


def check(
    project: Project,
    operations: Sequence[Operation],
    *,
    actor: Actor | None,
    moment: datetime,
    reads: Reads | None = None,
) -> list[Finding]:
    """What freezes, expectations and advice say of valid operations that would take effect at a moment."""
    reads = reads or Reads()
    return sorted(
        [*_freezes(project, operations, actor, moment, reads), *expected(project, operations, reads)]
        + [
            Finding(each.check, WARN, each.text, each.next, each.subject, each.member)
            for each in advice(Resulting(project, operations, reads), operations)
        ],
        key=lambda each: not each.blocks,
    )


def require_nothing_blocks(actor: Actor, request: ChangeRequest, operations: Sequence[Operation]) -> None:
    """Raise `BlockedError` where a freeze or an expectation refuses what is about to be written.

    The way back (a revert, an abort, an expiry) makes things safer, so nothing here holds it up.
    """
    checked, reads = [operation for operation in operations if not makes_safer(operation)], Reads()
    said = [
        *_freezes(request.project, checked, actor, timezone.now(), reads),
        *expected(request.project, checked, reads),
    ]
    if blocking := [each for each in said if each.blocks]:
        raise BlockedError(blocking)


def takes_effect_at_once(operation: Mapping[str, Any]) -> bool:
    """Whether applying the request carries this operation out, and not a task later."""
    return "label" not in operation or planned.is_stage(operation, 1)


def makes_safer(operation: Mapping[str, Any]) -> bool:
    """Whether the operation undoes or turns off: a revert, an abort, a planned end, an expiry. Nothing holds it up."""
    label = str(operation.get("label", ""))
    return label == inverse.LABEL or label.startswith((f"{inverse.END} ", "expiry "))


def foresee(
    actor: Actor, project: Project, wanted: Sequence[Mapping[str, Any]], moment: datetime | None = None
) -> list[Finding]:
    """What the checks would say of operations (`subject`, `after`) that nobody has asked for yet.

    Empty for what cannot be: the gate says why when it is asked for. Reads only.
    """
    operations: list[Operation] = []
    created = created_flags(wanted)
    for each in wanted:
        subject = Subject.parse(each["subject"])
        try:
            before = subjects.read(project, subject, created=created).document
        except NotFoundError:
            return []
        operations.append({**each, "before": before})
    reads = Reads()
    if invalid(project, operations, reads):
        return []
    moment = max(timezone.now(), moment or timezone.now())
    return check(project, operations, actor=actor, moment=moment, reads=reads)


def invalid(project: Project, operations: Sequence[Operation], reads: Reads | None = None) -> Finding | None:
    try:
        validate(project, operations, reads)
    except InvalidError as error:
        return Finding(
            "validity", BLOCK, f"{error.member} {error.reason}.", "Edit the request.", member=error.member
        )
    return None


def _freezes(
    project: Project, operations: Sequence[Operation], actor: Actor | None, moment: datetime, reads: Reads
) -> Iterator[Finding]:
    reached = _reached(project, operations, reads)
    freezes = concerning(project, reached)
    stopping = freezing(freezes, reached, moment, actor)
    if not stopping:
        return
    slot = next_open_slot(
        [each for each in freezes if each.pk in {one.freeze.pk for one in stopping}], moment
    )
    # A slot that another freeze covers is none.
    slot = next_open_slot(freezes, slot) if slot else None
    is_later = moment > timezone.now()
    names = {each.key: each.name for each in reads.rows(project.environments.all())}
    for frozen in stopping:
        yield Finding(
            "freeze",
            WARN if is_later else BLOCK,
            _frozen(frozen, names, moment if is_later else None),
            _way_out(slot),
            open_slot=slot,
        )


def _frozen(frozen: Frozen, names: Mapping[str, str], planned_for: datetime | None) -> str:
    where = ", ".join(names.get(key, key) for key in frozen.environments)
    until = f"{frozen.window.end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    if planned_for:
        when = f"{planned_for.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return (
            f"At {when}, when this is to be applied, {where} is frozen until {until}: "
            f"{frozen.freeze.reason} ({frozen.freeze.key}). It will wait."
        )
    return f"{where} is frozen until {until}: {frozen.freeze.reason} ({frozen.freeze.key})."


def _way_out(slot: datetime | None) -> str:
    managers = " or ".join(
        sorted(label_of(role) for role in roles_that_may("freeze.manage") if role in Role.values)
    )
    when = (
        f"The next open slot is {slot.astimezone(UTC):%Y-%m-%d %H:%M} UTC: schedule it for then."
        if slot
        else "There is no open slot within a year."
    )
    return f"{when} Somebody with the role {managers} can lift the freeze; a kill works all the same."


def _reached(project: Project, operations: Sequence[Operation], reads: Reads) -> list[Reached]:
    served = [each for each in operations if Subject.parse(each["subject"]).kind in SERVED]
    if not served:
        return []
    places = {each.key: each for each in reads.rows(project.environments.all())}
    regions = {key: frozenset(each.regions) for key, each in places.items()}
    if len(served) == 1:
        # What only switches a flag in some regions leaves the others alone.
        subject = Subject.parse(served[0]["subject"])
        if switched := _switched_regions(served[0], places.get(subject.environment)):
            regions[subject.environment] = switched
    return [
        Reached(each.environment, regions[each.environment], each.tags)
        for each in touched_by(project, served, reads)
        if each.environment is not None
    ]


def _switched_regions(operation: Operation, place: Environment | None) -> frozenset[str]:
    before, after = operation.get("before"), operation["after"]
    if place is None or not before or {**before, "regions": 0} != {**after, "regions": 0}:
        return frozenset()
    old, new = before.get("regions", {}), after.get("regions", {})
    return frozenset(name for name in place.regions if old.get(name, True) != new.get(name, True))


def expected(project: Project, operations: Sequence[Operation], reads: Reads) -> Iterator[Finding]:
    if not operations:
        return
    failing = [each for each in outcomes(Resulting(project, operations, reads)) if not each.holds]
    if not failing:
        return
    standing = {
        (each.flag, _key(each)): each.got
        for each in outcomes(Resulting(project, reads=reads), sorted({each.flag for each in failing}))
    }
    for each in failing:
        # What fails already, and just so, is not this change's doing: after a kill nothing could be changed.
        is_old = standing.get((each.flag, _key(each)), _NOT_EXPECTED) == each.got
        entry = each.entry
        path = " → ".join(step.words.rstrip(".") for step in each.steps[-3:])
        yield Finding(
            "expectation",
            WARN if is_old else BLOCK,
            f"“{entry['sentence']}” would fail{' (as it does now)' if is_old else ''}: in {each.environment.name}"
            f"{', region ' + entry['region'] if entry.get('region') else ''}, "
            f"{_context(entry['context'])} is expected to get {_variant(entry['variant'])} of {each.flag}, "
            f"and would get {_variant(each.got)}. {each.sentence.replace('*', '')}"
            + (f" The way there: {path.replace('*', '')}." if path else ""),
            f"Change what is proposed, or {each.flag}'s expectations in the same request.",
            str(Subject("expectations", project.key, each.flag)),
        )


_NOT_EXPECTED = object()


def _key(outcome: Outcome) -> str:
    entry = outcome.entry
    return repr((outcome.environment.key, entry.get("region"), entry["context"], entry["variant"]))


def _context(context: Mapping[str, Any]) -> str:
    text = json.dumps(context, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 200 else f"{text[:199]}…"


def _variant(name: str | None) -> str:
    return name if name is not None else "the caller's default"
