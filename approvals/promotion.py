"""Promotion: what a flag does in one environment is asked for in the next, with what cannot go along said first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from access.permissions import require
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, StateError
from approvals.workflow.request import same
from audit.actor import Actor
from audit.recording import recording
from flags import wording
from flags.documents import Document, configurations_with, segments_named
from flags.models import Environment, Flag, FlagConfiguration, Segment
from flags.subjects import Subject


@dataclass(frozen=True, slots=True)
class Promotion:
    """What would be asked for in `target`, and what is to be known about it, a sentence each."""

    flag: Flag
    source: Environment
    target: Environment
    before: Document | None
    after: Document
    # The version that stands in `target`; 0: none yet.
    version: int
    travels: tuple[str, ...]
    # What does not go along, or means something else there.
    stays: tuple[str, ...]
    # Why it cannot be asked for at all.
    blockers: tuple[str, ...]

    @property
    def subject(self) -> str:
        return str(Subject("configuration", self.target.project.key, self.flag.key, self.target.key))

    @property
    def effects(self) -> list[str]:
        return wording.effects(self.target.name, self.before, self.after)


def next_environment(source: Environment) -> Environment | None:
    """The environment after this one in the order of promotion."""
    rows = Environment.objects.filter(project_id=source.project_id).select_related("project")
    following: Environment | None = (
        rows.filter(position__gt=source.position).order_by("position", "key").first()
    )
    return following


def promotion_of(flag: Flag, source: Environment, target: Environment | None = None) -> Promotion:
    """What promoting would ask for; `target` None: the next environment.

    Raises `StateError` where there is nothing to promote, or nowhere to.
    """
    target = target or next_environment(source)
    if target is None:
        raise StateError(f"{source.name} is the last environment in the order of promotion.")
    if target.pk == source.pk:
        raise StateError(f"{source.name} is where it comes from; choose another environment.")
    rows = FlagConfiguration.objects.filter(flag=flag, environment__in=[source, target])
    standing = {row.environment_id: row for row in rows}
    if source.pk not in standing:
        raise StateError(f"{flag.key} was never set in {source.name}, so there is nothing to promote.")
    given: Document = standing[source.pk].document
    there = standing.get(target.pk)
    before: Document | None = there.document if there else None
    after = {name: value for name, value in given.items() if name not in ("killed", "regions")}
    stays: list[str] = []
    if regions := _regions(given, before, source, target, stays):
        after["regions"] = regions
    if given.get("killed"):
        stays.append(f"It is killed in {source.name}; a kill does not travel.")
    if before and before.get("killed"):
        after["killed"] = True
        stays.append(f"It is killed in {target.name} and stays so; undoing that is a change of its own.")
    stays += _bucketing(after, source, target)
    blockers = _prerequisites(flag, after, target, stays)
    travels = _travels(after)
    blockers += _segments(after, target, travels)
    if before is not None and same(before, after):
        blockers.append(f"{target.name} does this already.")
    return Promotion(
        flag,
        source,
        target,
        before,
        after,
        there.version if there else 0,
        tuple(travels),
        tuple(stays),
        tuple(blockers),
    )


def promote(
    actor: Actor,
    flag: Flag,
    source: Environment,
    target: Environment | None = None,
    *,
    title: str = "",
    base: Mapping[str, int] | None = None,
    **options: Any,
) -> ChangeRequest:
    """Ask in `target`, the next environment, for what the flag does in `source`.

    `base`: by its subject, the version there that was seen; None: what stands now. Raises `StateError` where
    something keeps it from travelling, `ConflictError`, and what `workflow.change` raises.
    """
    with recording(actor):
        require(actor, "change.propose", flag.project)
        flag.project.hold()
        found = promotion_of(flag, source, target)
        if base is not None and base.get(found.subject) != found.version:
            raise ConflictError(found.subject, base.get(found.subject), found.version)
        if found.blockers:
            raise StateError(f"{flag.key} cannot be promoted. {' '.join(found.blockers)}")
        return workflow.change(
            actor,
            flag.project,
            [{"subject": found.subject, "after": found.after}],
            title=title or f"Promote {flag.key} from {source.name} to {found.target.name}"[:200],
            base={found.subject: found.version},
            **options,
        )


def _regions(
    given: Document, before: Document | None, source: Environment, target: Environment, stays: list[str]
) -> dict[str, bool]:
    """The region switches there: its own, and those from here that it has too."""
    mine: dict[str, bool] = given.get("regions") or {}
    kept: dict[str, bool] = (before or {}).get("regions") or {}
    unknown = sorted(set(mine) - set(target.regions))
    if unknown:
        stays.append(
            f"{', '.join(unknown)}: no region of {target.name}, so its switch stays in {source.name}."
        )
    own = sorted(set(kept) - set(mine))
    if own:
        stays.append(f"{', '.join(own)}: the switch of this region stays as it is in {target.name}.")
    return {**kept, **{name: on for name, on in mine.items() if name in target.regions}}


def _bucketing(after: Document, source: Environment, target: Environment) -> list[str]:
    serves = [after.get("default", {}), *(rule["serve"] for rule in after.get("rules", ()))]
    hashes = {serve["split"].get("hash", "murmur3") for serve in serves if "split" in serve}
    other = sorted(hashes - {target.bucketing})
    if not other:
        return []
    return [
        f"Its splits keep the hash {', '.join(other)}, so who gets what is as in {source.name}; new splits in "
        f"{target.name} use {target.bucketing}."
    ]


def _prerequisites(flag: Flag, after: Document, target: Environment, stays: list[str]) -> list[str]:
    """What keeps it from travelling; what is merely off there is added to `stays`."""
    wanted = [entry["flag"] for entry in after.get("prerequisites", ())]
    rows = FlagConfiguration.objects.filter(
        environment=target, flag__key__in=wanted, flag__archived=False
    ).select_related("flag")
    there = {row.flag.key: row.document for row in rows}
    for key in wanted:
        if key in there and not wording.is_on(there[key]):
            stays.append(
                f"{key}, which it needs, is off in {target.name}: until that is on, everyone there gets what "
                f"{flag.key} serves when it is off."
            )
    return [
        f"It needs {key}, which was never set in {target.name}; promote that first."
        for key in wanted
        if key not in there
    ]


def _segments(after: Document, target: Environment, travels: list[str]) -> list[str]:
    """Segments are the project's: they need no copy, but may be used there for the first time."""
    named = segments_named(after)
    known = set(
        Segment.objects.filter(project_id=target.project_id, key__in=named).values_list("key", flat=True)
    )
    used = _segments_used(configurations_with("in_segment", [target]))
    if new := sorted((named & known) - used):
        travels.append(
            f"Used in {target.name} for the first time: {', '.join(new)}. Segments are the same in every "
            "environment; from then on a change of one is reviewed as there."
        )
    return [f"There is no segment {key} any more; take it out of the rules." for key in sorted(named - known)]


def _segments_used(rows: Iterable[FlagConfiguration]) -> set[str]:
    return {name for row in rows for name in segments_named(row.document)}


def _travels(after: Document) -> list[str]:
    found = [f"Switched {'on' if after.get('enabled') else 'off'}."]
    if targets := after.get("targets"):
        count = sum(len(keys) for keys in targets.values())
        found.append(f"{count} named {'key' if count == 1 else 'keys'}.")
    if rules := after.get("rules"):
        found.append(f"{len(rules)} {'rule' if len(rules) == 1 else 'rules'}.")
    found.append(f"The default: {wording.share(after['default'])}.")
    if needed := after.get("prerequisites"):
        found.append(f"What it needs: {', '.join(entry['flag'] for entry in needed)}.")
    return found
