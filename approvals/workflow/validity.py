"""What may stand there at all, and whose policies gate it: asked when proposing, and again when applying."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.utils import timezone

from approvals import planned
from approvals.errors import InvalidError
from approvals.inverse import is_end, is_way_back
from approvals.workflow import subjects
from approvals.workflow.archiving import archived_flags, blockers
from countersign.document import DocumentError
from flags import documents, lifecycle
from flags.models import KEY, Environment, Project
from flags.reads import Reads
from flags.subjects import GOVERNING, Subject

Operation = dict[str, Any]


def validate(project: Project, operations: Sequence[Operation], reads: Reads | None = None) -> None:
    """Refuse documents that break the evaluation specification, alone or together with what else is served.

    Operations without a label take effect together, the way back and the end too, after them; each other labelled one
    at a time of its own.
    """
    reads = reads or Reads()
    now = [operation for operation in operations if "label" not in operation]
    _validate_together(project, now, reads)
    _check_lifetimes(now)
    for belongs in (is_way_back, is_end):
        if back := [operation for operation in operations if belongs(operation)]:
            _validate_together(project, [*now, *back], reads)
    for operation in operations:
        if "label" in operation and not is_way_back(operation) and not is_end(operation):
            _validate_together(project, [*now, operation], reads)


def _check_lifetimes(operations: Iterable[Operation]) -> None:
    """Refuse a new or edited definition that does not say how long the flag lives."""
    try:
        for operation in operations:
            if Subject.parse(operation["subject"]).kind == "definition":
                lifecycle.check_lifetime(operation["after"], timezone.now(), operation["before"])
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error


def created_flags(operations: Iterable[Any]) -> set[str]:
    """Keys of flags whose definition is among these operations, which nobody may have checked yet.

    A configuration of such a flag can come with it.
    """
    texts = (str(each.get("subject")).split("/") for each in operations if isinstance(each, Mapping))
    return {parts[3] for parts in texts if len(parts) == 4 and parts[2] == "flag"}


def _validate_together(project: Project, operations: Sequence[Operation], reads: Reads) -> None:
    definitions: dict[str, Any] = {}
    expectations: dict[str, Any] = {}
    segments: dict[str, Any] = {}
    configurations: dict[str, dict[str, Any]] = {}
    try:
        for operation in operations:
            subject, after = Subject.parse(operation["subject"]), operation["after"]
            if subject.kind in GOVERNING:
                subjects.check_governing(project, subject, after)
                continue
            if subject.kind == "configuration":
                configurations.setdefault(subject.environment, {})[subject.key] = after
                continue
            if subject.kind == "expectations":
                expectations[subject.key] = after
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
        _check_archived(project, definitions, configurations, reads)
        for key, document in expectations.items():
            documents.check_expectations(project, key, document, definitions)
        for environment in reads.rows(project.environments.all()):
            changed = configurations.get(environment.key, {})
            if changed or definitions:
                documents.check_environment(environment, changed, definitions, segments, reads)
            documents.check_segments_fit(environment, changed, segments, reads)
    except DocumentError as error:
        raise InvalidError(error.member, error.reason) from error


def _check_archived(
    project: Project,
    definitions: dict[str, Any],
    configurations: dict[str, dict[str, Any]],
    reads: Reads,
) -> None:
    """Refuse to archive what is in use, and to change what an archived flag does."""
    keys = {*definitions, *(key for documents in configurations.values() for key in documents)}
    archived = archived_flags(project, keys, reads)
    for key in sorted(keys):
        now = bool(definitions[key].get("archived")) if key in definitions else key in archived
        if now and key in archived:
            raise DocumentError("archived", f"{key} is archived; restore it first, then change it")
        if now and (reasons := blockers(project, key, configurations)):
            raise DocumentError("archived", f"{key} cannot be archived. {' '.join(reasons)}")


def _check_key(project: Project, subject: Subject, *, is_new: bool) -> None:
    """Refuse a key that the specification, or for a new flag the project's pattern, does not allow."""
    if not re.fullmatch(KEY, subject.key):
        raise DocumentError(
            "key", f"{subject.key!r} is no key; use letters, digits, dots, underscores, hyphens"
        )
    pattern = project.flag_key_pattern
    if is_new and subject.kind == "definition" and pattern and not re.fullmatch(pattern, subject.key):
        raise DocumentError("key", f"{subject.key!r} does not match this project's pattern {pattern}")


def environments_of(
    project: Project, operations: Sequence[Operation], reads: Reads | None = None
) -> list[Environment]:
    """The environments that a change reaches, now or by what it takes from their future, in order of promotion."""
    reads = reads or Reads()
    reached: dict[int, Environment] = {}
    configured: set[Subject] = set()
    for operation in operations:
        subject = Subject.parse(operation["subject"])
        if subject in configured:
            continue  # a stage of many, or a way back: it is where the one before it was
        if subject.kind == "configuration":
            configured.add(subject)
        before = operation.get("before", (operation.get("before_any") or [None])[0])
        for environment in subjects.reached(project, subject, before, operation["after"], reads):
            reached[environment.pk] = environment
        for environment in planned.kept_on(project, operation):
            reached[environment.pk] = environment
    return sorted(reached.values(), key=lambda environment: (environment.position, environment.key))
