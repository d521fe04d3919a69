"""The one writer of what environments serve. Only `approvals.workflow` calls it, inside a recording."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from audit.history import version_of
from audit.recording import PendingEvent, Recording
from flags.documents import (
    SERVED_MEMBERS,
    Document,
    definition_document,
    environments_using,
    fill_definition,
)
from flags.models import Environment, Expectations, Flag, FlagConfiguration, Project, Segment
from flags.reads import Reads
from flags.revisions import raise_revisions
from flags.settings import fill_settings
from flags.subjects import Subject

Row = Flag | FlagConfiguration | Segment | Environment | Expectations


class NotFoundError(LookupError):
    """The project, environment, flag or segment of a subject does not exist."""


@dataclass(frozen=True, slots=True)
class State:
    """What stands at a subject now: its document (None: nothing yet) and its version (0: none yet)."""

    document: Document | None
    version: int


def read(project: Project, subject: Subject, *, lock: bool = False, created: Collection[str] = ()) -> State:
    """The state at a subject. `lock` holds the row until the transaction ends (SQLite: the transaction does).

    `created`: keys of flags that the same change makes, so that nothing about them stands anywhere yet.
    Raises `NotFoundError` when the flag or environment of a configuration does not exist.
    """
    if subject.kind in ("configuration", "expectations") and subject.key in created:
        if subject.kind == "configuration":
            _environment(project, subject.environment)
        if not Flag.objects.filter(project=project, key=subject.key).exists():
            return State(None, 0)
    row = _row(project, subject, lock=lock)
    if row is None:
        return State(None, 0)
    if isinstance(row, Environment):
        return State(row.document, version_of(row))
    document = definition_document(row) if isinstance(row, Flag) else row.document
    return State(document, row.version)


def write(
    record: Recording,
    project: Project,
    operation: dict[str, Any],
    change_id: str,
    data: Mapping[str, Any] | None = None,
) -> tuple[PendingEvent, list[Environment]]:
    """Carry out one operation: row, history, event, and the revision of each environment it reaches.

    Returns the event and those environments. The caller has compared `before`; validity was checked.
    """
    subject = Subject.parse(operation["subject"])
    before, after = read(project, subject, lock=True), operation["after"]
    reached = environments_reached(project, subject, before.document, after)
    event = record.event(
        operation["type"],
        str(subject),
        data,
        before=before.document,
        after=after,
        change_id=change_id,
    )
    row = _row(project, subject) or _new_row(project, subject)
    if isinstance(row, Environment):
        fill_settings(row, after)
        row.save()
        return event, reached
    if isinstance(row, Flag):
        fill_definition(row, after)
    else:
        row.document, row.change_id, row.changed_at = after, change_id, timezone.now()
    row.version = before.version + 1
    row.save()
    if subject.kind != "expectations":  # which no snapshot has
        raise_revisions(reached)
    return event, reached


def environments_reached(
    project: Project,
    subject: Subject,
    before: Document | None,
    after: Document | None,
    reads: Reads | None = None,
) -> list[Environment]:
    """The environments that `after` at `subject` is about, in order of promotion.

    They serve something else then; or it is their settings, by which everything else there is held. Of
    expectations, those that one is taken from or altered in: an additional one asks for more, not for less.
    """
    if subject.kind in ("configuration", "environment"):
        return [_environment(project, subject.environment or subject.key, reads)]
    if subject.kind == "segment":
        return environments_using(subject.key, project.pk)
    if subject.kind == "expectations":
        kept = (after or {}).get("expectations", ())
        gone = [each for each in (before or {}).get("expectations", ()) if each not in kept]
        return [_environment(project, key, reads) for key in sorted({each["environment"] for each in gone})]
    if not serves_else(before, after):
        return []
    return list(
        Environment.objects.filter(
            configurations__flag__project=project, configurations__flag__key=subject.key
        )
    )


def serves_else(before: Document | None, after: Document | None) -> bool:
    """Whether a definition that changes so changes what snapshots carry."""
    return before is not None and after is not None and _served(before) != _served(after)


def _served(definition: Document) -> Document:
    return {name: definition.get(name) for name in (*SERVED_MEMBERS, "archived")}


def _row(project: Project, subject: Subject, *, lock: bool = False) -> Row | None:
    rows: QuerySet[Any]
    if subject.kind == "segment":
        rows = Segment.objects.filter(project=project, key=subject.key)
    elif subject.kind == "environment":
        _environment(project, subject.key)  # made by `flags.catalogue`, never by a change
        rows = Environment.objects.filter(project=project, key=subject.key)
    elif subject.kind == "definition":
        rows = Flag.objects.filter(project=project, key=subject.key)
    elif subject.kind == "expectations":
        rows = Expectations.objects.filter(flag=_flag(project, subject.key))
    else:
        flag, environment = _flag(project, subject.key), _environment(project, subject.environment)
        rows = FlagConfiguration.objects.filter(flag=flag, environment=environment)
    row: Row | None = (rows.select_for_update(no_key=True) if lock else rows).first()
    return row


def _new_row(project: Project, subject: Subject) -> Row:
    if subject.kind == "segment":
        return Segment(project=project, key=subject.key)
    if subject.kind == "definition":
        return Flag(project=project, key=subject.key)
    if subject.kind == "expectations":
        return Expectations(flag=_flag(project, subject.key))
    return FlagConfiguration(
        flag=_flag(project, subject.key), environment=_environment(project, subject.environment)
    )


def _flag(project: Project, key: str) -> Flag:
    flag: Flag | None = Flag.objects.filter(project=project, key=key).select_related("project").first()
    if flag is None:
        raise NotFoundError(f"There is no flag {key} in {project.key}; create it first.")
    return flag


def _environment(project: Project, key: str, reads: Reads | None = None) -> Environment:
    environments: list[Environment] = (reads or Reads()).rows(project.environments.all())
    for environment in environments:
        if environment.key == key:
            return environment
    raise NotFoundError(f"There is no environment {key} in {project.key}.")
