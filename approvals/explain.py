"""Is it on, for whom, and why: one evaluation, with the rule, the segments and the changes behind it.

The SDK's own evaluator answers, over the lines that the next snapshot would have: an explanation that
evaluated for itself could be wrong just where it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from approvals.models import ChangeRequest, Emergency, Review
from approvals.resulting import Resulting
from countersign import evaluate
from countersign.constraints import Scope, by_conditions, read_conditions
from countersign.context import Predicate
from countersign.result import Result
from countersign.segments import nobody, read_segment
from countersign.snapshot import Snapshot
from flags import wording
from flags.compile import body_of
from flags.documents import segment_line, segments_named
from flags.models import Environment, Flag, FlagConfiguration, Project, Segment
from flags.subjects import Subject

_CHANGE = re.compile(r"CR-([1-9][0-9]{0,15})(?:\.[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Behind:
    """The change request that put a version there, with who answers for it."""

    change_id: str
    number: int
    title: str
    rationale: str
    ticket: str
    proposer: str
    approvers: tuple[str, ...]
    applied_at: datetime | None


@dataclass(frozen=True, slots=True)
class Condition:
    """One constraint of a rule, and whether it holds for the context."""

    words: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the evaluation (specification, section 2) that was come to, and whether it decided."""

    name: str
    words: str
    decided: bool
    rule: str = ""
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentUsed:
    """A segment that settled a rule: whether the context is in it, and where its version comes from."""

    key: str
    version: int
    contains: bool
    change_id: str
    behind: Behind | None


@dataclass(frozen=True, slots=True)
class Needed:
    """A prerequisite: what it must serve, and what it serves."""

    flag: str
    variants: tuple[str, ...]
    served: str | None
    satisfied: bool
    change_id: str
    behind: Behind | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a flag answers for a context in an environment, and why."""

    flag: Flag
    environment: Environment
    # None: nobody has configured it here, so it is in no snapshot.
    configuration: FlagConfiguration | None
    result: Result
    sentence: str
    behind: Behind | None = None
    # Where the flag is killed: by whom, and whether it was reviewed since.
    kill: Emergency | None = None
    steps: tuple[Step, ...] = ()
    segments: tuple[SegmentUsed, ...] = ()
    prerequisites: tuple[Needed, ...] = ()

    @property
    def on(self) -> bool:
        """Switched on here: enabled and not killed. Whether this context gets something is another matter."""
        return self.configuration is not None and wording.is_on(self.configuration.document)


def explain(
    flag: Flag, environment: Environment, context: Mapping[str, Any], region: str | None = None
) -> Explanation:
    """What the flag answers for the context as things stand, and why.

    `region`: of the client's static context, as in the SDK; None where it has none. The caller has checked
    that whoever asks may see the project. Nothing of the context is kept.
    """
    rows = Resulting(environment.project).with_prerequisites(environment, [flag.key])
    snapshot = unsigned(environment, rows.values())
    result = evaluate(snapshot, flag.key, context, region=region)
    row = rows.get(flag.key)
    if row is None:
        sentence = f"{flag.key} has never been set in {environment.name}: callers get their default."
        return Explanation(flag, environment, None, result, sentence)
    named = set().union(*(segments_named(each.document) for each in rows.values()))
    segments = {each.key: each for each in Segment.objects.filter(project=environment.project, key__in=named)}
    tracer = _Tracer(row.document, result, context, segments)
    tracer.trace()
    needed = [
        (
            each["flag"],
            tuple(each["variants"]),
            evaluate(snapshot, each["flag"], context, region=region).variant,
        )
        for each in row.document.get("prerequisites", ())
    ]
    changed = {key: each.change_id for key, each in rows.items()}
    behind = changes_behind(
        environment.project,
        [row.change_id, *(changed.get(key, "") for key, _, _ in needed)]
        + [segments[key].change_id for key in tracer.used if key in segments],
    )
    return Explanation(
        flag,
        environment,
        row,
        result,
        sentence_of(row.document, result),
        behind.get(row.change_id),
        _kill(environment, flag.key) if row.document.get("killed") else None,
        tuple(tracer.steps),
        tuple(
            SegmentUsed(
                key,
                segments[key].version,
                contains,
                segments[key].change_id,
                behind.get(segments[key].change_id),
            )
            if key in segments
            else SegmentUsed(key, 0, False, "", None)
            for key, contains in tracer.used.items()
        ),
        tuple(
            Needed(
                key,
                variants,
                served,
                served in variants,
                changed.get(key, ""),
                behind.get(changed.get(key, "")),
            )
            for key, variants, served in needed
        ),
    )


def steps_of(
    document: Mapping[str, Any],
    result: Result,
    context: Mapping[str, Any],
    segments: Mapping[str, Segment],
) -> tuple[Step, ...]:
    """The way of an answer through a configuration, up to the step that decided."""
    tracer = _Tracer(document, result, context, segments)
    tracer.trace()
    return tuple(tracer.steps)


def unsigned(
    environment: Environment,
    rows: Iterable[FlagConfiguration],
    drafts: Mapping[str, Segment] | None = None,
) -> Snapshot:
    """These lines as a snapshot at the version that stands; never published, so nobody signs it.

    `drafts`: segments, by key, in place of the project's own.
    """
    head = {
        "origin": "",
        "environment": environment.path,
        "version": str(environment.revision),
        "created": "",
        "size": "0",
        "root": "",
        "hash": "",
    }
    return Snapshot(body_of(rows, environment.project_id, drafts or {}), 0, "", head)


@dataclass(slots=True)
class _Tracer:
    """Follows the evaluator's answer through the document: every step up to the one that decided."""

    document: Mapping[str, Any]
    result: Result
    context: Mapping[str, Any]
    segments: Mapping[str, Segment]
    steps: list[Step] = field(default_factory=list)
    # By key, whether the context is in it: the segments that settled a rule, in the order of the rules.
    used: dict[str, bool] = field(default_factory=dict)
    _predicates: dict[str, Predicate] = field(default_factory=dict)

    def trace(self) -> None:
        """Fill `steps` and `used`."""
        cause, document = self.result.metadata.get("cause"), self.document
        if self.result.error_code is not None:
            self._step("error", self.result.error_message or "", True)
            return
        if document.get("killed"):
            self._step("killed", "The flag is killed here.", True)
            return
        self._step("killed", "The flag is not killed.", False)
        if cause == "disabled":
            self._step("enabled", "The flag is switched off here.", True)
            return
        self._step("enabled", "The flag is switched on.", False)
        if document.get("regions"):
            if cause == "region":
                self._step("region", "The flag is off in this region.", True)
                return
            self._step("region", "The flag is not off in this region.", False)
        if document.get("prerequisites"):
            if cause == "prerequisite":
                self._step("prerequisite", "A flag that it needs does not serve what it must.", True)
                return
            self._step("prerequisite", "The flags that it needs serve what they must.", False)
        if document.get("targets"):
            if cause == "target":
                self._step("target", "The targeting key is listed by name.", True)
                return
            self._step("target", "The targeting key is not listed by name.", False)
        for rule in document.get("rules", ()):
            if self._rule(rule):
                return
        self._step("default", f"Everyone else: {wording.share(document['default'])}.", True)

    def _step(self, name: str, words: str, decided: bool) -> None:
        self.steps.append(Step(name, words, decided))

    def _rule(self, rule: Mapping[str, Any]) -> bool:
        """Whether the rule decided."""
        decided = bool(self.result.metadata.get("rule") == rule["id"])
        conditions = []
        for constraint in rule.get("constraints", ()):
            read = read_conditions([constraint], "", Scope(strict=False, segment=self._segment))
            holds = by_conditions(read, all_hold=True, otherwise=False)(self.context)
            conditions.append(Condition(wording.constraint_words(constraint), holds))
            if constraint["operator"] == "in_segment":
                self._use(constraint["values"])
            if not holds:
                break  # what comes after it changes nothing
        words = wording.rule(rule)
        if not decided and all(condition.holds for condition in conditions):
            words += "; its split has nothing for this context"
        self.steps.append(Step("rule", words, decided, rule["id"], tuple(conditions)))
        return decided

    def _use(self, names: Sequence[str]) -> None:
        found = {name: self._segment(name, "")(self.context) for name in names}
        containing = {name: True for name, contains in found.items() if contains}
        self.used |= containing or found

    def _segment(self, name: str, at: str) -> Predicate:
        if name not in self._predicates:
            segment = self.segments.get(name)
            self._predicates[name] = (
                read_segment(segment_line(segment), f"segments.{name}", strict=False) if segment else nobody
            )
        return self._predicates[name]


def sentence_of(document: Mapping[str, Any], result: Result) -> str:
    """The answer in words: `It gets *on*, by rule r1 (segment beta get *on*).`"""
    if result.error_code is not None:
        return f"It gets the caller's default: {result.error_message}."
    what = f"*{result.variant}*" if result.variant is not None else "the caller's default"
    cause = result.metadata["cause"]
    because = {
        "killed": "because the flag is killed",
        "disabled": "because the flag is off",
        "region": "because the flag is off in its region",
        "prerequisite": "because a flag that this one needs does not serve what it must",
        "target": "because its targeting key is listed by name",
        "default": "by the default, which holds where nothing else does",
    }
    if cause == "rule":
        rule = next(each for each in document["rules"] if each["id"] == result.metadata["rule"])
        return f"It gets {what}, by rule {rule['id']}: {wording.rule(rule)}."
    return f"It gets {what}, {because[cause]}."


def changes_behind(project: Project, change_ids: Iterable[str]) -> dict[str, Behind]:
    """By change id, the requests of the project behind these changes. Two queries."""
    numbers = {id: int(found[1]) for id in change_ids if (found := _CHANGE.fullmatch(id))}
    requests = ChangeRequest.objects.filter(project=project, pk__in=set(numbers.values()))
    rows = {row.pk: row for row in requests.prefetch_related("reviews")}
    return {
        id: Behind(
            id,
            number,
            rows[number].title,
            rows[number].rationale,
            rows[number].ticket,
            rows[number].proposer,
            tuple(
                sorted(
                    review.reviewer
                    for review in rows[number].reviews.all()
                    if review.change_id == id and review.verdict == Review.Verdict.APPROVED
                )
            ),
            rows[number].applied_at,
        )
        for id, number in numbers.items()
        if number in rows
    }


def _kill(environment: Environment, key: str) -> Emergency | None:
    subject = Subject("configuration", environment.project.key, key, environment.key)
    kill: Emergency | None = (
        Emergency.objects.filter(project=environment.project, subject=str(subject)).order_by("-pk").first()
    )
    return kill
