"""What may stand there at all, and whose policies gate it: asked when proposing, and again when applying."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from approvals import planned
from approvals.workflow import subjects
from approvals.workflow.errors import InvalidError
from countersign.document import DocumentError
from flags import documents
from flags.models import KEY, Environment, Project
from flags.subjects import GOVERNING, Subject

Operation = dict[str, Any]


def validate(project: Project, operations: Sequence[Operation]) -> None:
    """Refuse documents that break the evaluation specification, alone or together with what else is served.

    Operations without a label take effect together, each labelled one at a time of its own, after them.
    """
    now = [operation for operation in operations if "label" not in operation]
    _validate_together(project, now)
    for operation in operations:
        if "label" in operation:
            _validate_together(project, [*now, operation])


def _validate_together(project: Project, operations: Sequence[Operation]) -> None:
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
        for key, document in expectations.items():
            documents.check_expectations(project, key, document, definitions)
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


def environments_of(project: Project, operations: Sequence[Operation]) -> list[Environment]:
    """The environments that a change reaches, now or by what it takes from their future, in order of promotion."""
    reached: dict[int, Environment] = {}
    for operation in operations:
        before = operation.get("before", (operation.get("before_any") or [None])[0])
        for environment in subjects.reached(
            project, Subject.parse(operation["subject"]), before, operation["after"]
        ):
            reached[environment.pk] = environment
        for environment in planned.kept_on(project, operation):
            reached[environment.pk] = environment
    return sorted(reached.values(), key=lambda environment: (environment.position, environment.key))
