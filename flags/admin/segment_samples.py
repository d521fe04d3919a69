"""Who of some contexts is in a segment: those that the project's expectations speak of, and one that is typed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from countersign.context import Predicate
from countersign.segments import read_segment
from flags.documents import Document
from flags.models import Expectations, Project

LATEST = 100
MOST_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Sampled:
    """A context, in the words of whoever expects something for it, and whether the segment has it."""

    sentence: str
    context: str
    before: bool
    after: bool

    @property
    def changes(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Samples:
    """How many of how many contexts are in, and the first of them one by one; those that change come first."""

    rows: tuple[Sampled, ...]
    count: int
    before: int
    after: int


Contexts = Mapping[str, tuple[str, Mapping[str, Any]]]


def expected_contexts(project: Project) -> Contexts:
    """Contexts that the latest expectations speak of, each once, with the sentence of one. One query."""
    rows = Expectations.objects.filter(flag__project=project).order_by("-changed_at", "pk")[:LATEST]
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for row in rows:
        for entry in row.document["expectations"]:
            found.setdefault(_text(entry["context"]), (entry["sentence"], entry["context"]))
    return found


def segment_samples(contexts: Contexts, before: Document | None, after: Document) -> Samples:
    """Who of the contexts is in the segment now, and would be. Raises DocumentError for an invalid `after`."""
    was, now = _predicate(before), _predicate(after)
    rows = [
        Sampled(sentence, text, was(context), now(context)) for text, (sentence, context) in contexts.items()
    ]
    first = sorted(rows, key=lambda row: not row.changes)[:MOST_SHOWN]
    return Samples(
        tuple(first), len(rows), _count(row.before for row in rows), _count(row.after for row in rows)
    )


def typed(sentence: str, context: Mapping[str, Any]) -> Contexts:
    """A context that somebody typed, as one of those above."""
    return {_text(context): (sentence, context)}


def _predicate(document: Document | None) -> Predicate:
    if document is None:
        return lambda context: False
    return read_segment({"version": 1, **document}, "", strict=True)


def _count(are_in: Iterable[bool]) -> int:
    return sum(are_in)


def _text(context: Mapping[str, Any]) -> str:
    return json.dumps(context, ensure_ascii=False, sort_keys=True)
