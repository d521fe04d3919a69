"""What stands at subjects now, read to show or compare it: without locks, for many subjects at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from approvals.workflow.subjects import standing
from flags.documents import Document, definition_document
from flags.models import Expectations, Flag, FlagConfiguration, Project, Segment
from flags.subjects import GOVERNING, Subject


@dataclass(frozen=True, slots=True)
class Standing:
    """The document at a subject (None: nothing yet), its version, and the change that put it there."""

    document: Document | None = None
    version: int = 0
    change_id: str = ""


def standings(project: Project, subjects: Iterable[str]) -> dict[str, Standing]:
    """By subject, what stands there; a query for each kind that is served, and two for each that governs."""
    parsed = {text: Subject.parse(text) for text in subjects}
    keys = {kind: {each.key for each in parsed.values() if each.kind == kind} for kind in _KINDS}
    found: dict[str, Standing] = {}
    if keys["configuration"]:
        rows = FlagConfiguration.objects.filter(flag__project=project, flag__key__in=keys["configuration"])
        for row in rows.select_related("flag", "environment"):
            subject = Subject("configuration", project.key, row.flag.key, row.environment.key)
            found[str(subject)] = Standing(row.document, row.version, row.change_id)
    if keys["definition"]:
        for flag in Flag.objects.filter(project=project, key__in=keys["definition"]):
            subject = Subject("definition", project.key, flag.key)
            found[str(subject)] = Standing(definition_document(flag), flag.version)
    if keys["segment"]:
        for segment in Segment.objects.filter(project=project, key__in=keys["segment"]):
            subject = Subject("segment", project.key, segment.key)
            found[str(subject)] = Standing(segment.document, segment.version, segment.change_id)
    for text, governed in parsed.items():
        if governed.kind in GOVERNING:
            state = standing(project, governed)
            found[text] = Standing(state.document, state.version)
    if keys["expectations"]:
        tests = Expectations.objects.filter(flag__project=project, flag__key__in=keys["expectations"])
        for row in tests.select_related("flag"):
            subject = Subject("expectations", project.key, row.flag.key)
            found[str(subject)] = Standing(row.document, row.version, row.change_id)
    return {text: found.get(text, Standing()) for text in parsed}


_KINDS = ("configuration", "definition", "segment", "expectations")
