"""What a change touches, as far as a limited role asks: flags by kind, tag and importance, and where."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from access.limits import Touched
from approvals.models import ChangeRequest
from approvals.workflow.validity import environments_of
from flags.documents import configurations_with, segments_named
from flags.models import Environment, Flag, Project
from flags.subjects import Subject


def touched_by(project: Project, operations: Sequence[Mapping[str, Any]]) -> list[Touched]:
    """What the operations touch together. A definition counts as it was and as it will be.

    So nobody moves a flag out of somebody's reach, or into their own, by changing its tags.
    """
    subjects = [(Subject.parse(operation["subject"]), operation) for operation in operations]
    drafts = {
        subject.key: [each for each in (operation.get("before"), operation["after"]) if each]
        for subject, operation in subjects
        if subject.kind == "definition"
    }
    of_flags = ("configuration", "expectations")
    keys = {subject.key for subject, _ in subjects if subject.kind in of_flags} - set(drafts)
    flags = {flag.key: flag for flag in Flag.objects.filter(project=project, key__in=keys)}
    protected = set(Environment.objects.filter(project=project, protected=True).values_list("key", flat=True))
    touched: list[Touched] = []
    for subject, operation in subjects:
        if subject.kind == "configuration":
            found = drafts.get(subject.key) or [_as_document(flags[subject.key])]
            touched += [_touched(subject.environment, document, protected) for document in found]
        elif subject.kind == "expectations":
            found = drafts.get(subject.key) or [_as_document(flags[subject.key])]
            named = {
                each["environment"]
                for document in (operation.get("before"), operation["after"])
                for each in (document or {}).get("expectations", ())
            }
            touched += [_touched(where, document, protected) for where in named for document in found]
        elif subject.kind == "definition":
            reached = environments_of(project, [dict(operation)])
            for document in drafts[subject.key]:
                touched += [_touched(environment.key, document, protected) for environment in reached] or [
                    _touched(None, document, protected)
                ]
        elif subject.kind == "segment":
            touched += _using(project, subject.key, protected)
        elif subject.kind == "environment":
            touched.append(Touched(subject.key, protected=subject.key in protected))
        else:
            # Whoever reviews in some environments only does not review what governs them all.
            touched += [
                Touched(each.key, protected=each.protected)
                for each in Environment.objects.filter(project=project)
            ]
    return touched


def touched_by_request(request: ChangeRequest) -> list[Touched]:
    """What a request touches, later stages and the way back included."""
    return touched_by(request.project, request.change["operations"])


def _using(project: Project, segment: str, protected: Collection[str]) -> list[Touched]:
    """The flags whose rules name the segment; for one that none names, something without kind or tag."""
    environments: Iterable[Environment] = Environment.objects.filter(project=project)
    return [
        _touched(row.environment.key, _as_document(row.flag), protected)
        for row in configurations_with("in_segment", environments)
        if segment in segments_named(row.document)
    ] or [Touched()]


def _as_document(flag: Flag) -> dict[str, Any]:
    return {"kind": flag.kind, "tags": flag.tags, "critical": flag.critical}


def _touched(environment: str | None, definition: Mapping[str, Any], protected: Collection[str]) -> Touched:
    return Touched(
        environment,
        str(definition.get("kind", "")),
        frozenset(definition.get("tags", ())),
        bool(definition.get("critical", False)),
        environment in protected,
    )
