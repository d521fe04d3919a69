"""What a change touches, as far as a limited role asks: flags by kind, tag and importance, and where."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from access.limits import Touched
from approvals.models import ChangeRequest
from approvals.policies import touched_as, touched_flag, what_governs
from approvals.workflow.validity import environments_of
from flags.documents import configurations_with, segments_named
from flags.models import Environment, Flag, Project
from flags.reads import Reads
from flags.subjects import Subject


def touched_by(
    project: Project, operations: Sequence[Mapping[str, Any]], reads: Reads | None = None
) -> list[Touched]:
    """What the operations touch together. A definition counts as it was and as it will be.

    So nobody moves a flag out of somebody's reach, or into their own, by changing its tags.
    """
    reads = reads or Reads()
    subjects = [(Subject.parse(operation["subject"]), operation) for operation in operations]
    drafts = {
        subject.key: [each for each in (operation.get("before"), operation["after"]) if each]
        for subject, operation in subjects
        if subject.kind == "definition"
    }
    of_flags = ("configuration", "expectations")
    keys = {subject.key for subject, _ in subjects if subject.kind in of_flags} - set(drafts)
    rows = reads.rows(Flag.objects.filter(project=project, key__in=sorted(keys)))
    flags = {flag.key: flag for flag in rows}
    environments = reads.rows(project.environments.all())
    protected = {each.key for each in environments if each.protected}
    touched: list[Touched] = []

    def as_defined(environment: str | None, documents: Iterable[Mapping[str, Any]]) -> list[Touched]:
        return [touched_as(each, environment, protected=environment in protected) for each in documents]

    for subject, operation in subjects:
        if subject.kind in of_flags:
            found = drafts.get(subject.key) or [what_governs(flags[subject.key])]
        if subject.kind == "configuration":
            touched += as_defined(subject.environment, found)
        elif subject.kind == "expectations":
            named = {
                each["environment"]
                for document in (operation.get("before"), operation["after"])
                for each in (document or {}).get("expectations", ())
            }
            for where in named:
                touched += as_defined(where, found)
        elif subject.kind == "definition":
            reached: list[str | None] = [
                each.key for each in environments_of(project, [dict(operation)], reads)
            ]
            for key in reached or [None]:
                touched += as_defined(key, drafts[subject.key])
        elif subject.kind == "segment":
            touched += _using(environments, subject.key, reads)
        elif subject.kind == "environment":
            touched.append(Touched(subject.key, protected=subject.key in protected))
        else:
            # Whoever reviews in some environments only does not review what governs them all.
            touched += [Touched(each.key, protected=each.protected) for each in environments]
    return touched


def touched_by_request(request: ChangeRequest) -> list[Touched]:
    """What a request touches, later stages and the way back included."""
    return touched_by(request.project, request.change["operations"])


def _using(environments: list[Environment], segment: str, reads: Reads) -> list[Touched]:
    """The flags whose rules name the segment; for one that none names, something without kind or tag."""
    return [
        touched_flag(row.flag, row.environment)
        for row in reads.rows(configurations_with("in_segment", environments))
        if segment in segments_named(row.document)
    ] or [Touched()]
