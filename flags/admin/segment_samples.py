"""Who of some contexts is in a segment: those that the project's expectations speak of, and one that is typed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from countersign.context import Predicate
from countersign.segments import read_segment
from flags.documents import Document
from flags.models import Expectations, Project

# Each is tried at every pause of whoever types.
LATEST = 100
MOST_TRIED = 500
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
    """How many of how many known contexts are in, and the first of them one by one, those that change first.

    `typed`: the one that somebody typed, which is not counted.
    """

    typed: Sampled | None
    rows: tuple[Sampled, ...]
    count: int
    before: int
    after: int


Contexts = Mapping[str, tuple[str, Mapping[str, Any]]]
"""By their JSON, each with a sentence."""


def expected_contexts(project: Project) -> Contexts:
    """Contexts that the latest expectations speak of, each once, with the sentence of one. One query."""
    rows = Expectations.objects.filter(flag__project=project).order_by("-changed_at", "pk")[:LATEST]
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for entry in (entry for row in rows for entry in row.document["expectations"]):
        found.setdefault(_text(entry["context"]), (entry["sentence"], entry["context"]))
        if len(found) == MOST_TRIED:
            break
    return found


def segment_samples(
    contexts: Contexts,
    before: Document | None,
    after: Document,
    *,
    typed: tuple[str, Mapping[str, Any]] | None = None,
) -> Samples:
    """Who of the contexts is in the segment now, and would be. Raises DocumentError for an invalid `after`."""
    was = _predicate(before)
    now = was if after == before else _predicate(after)

    def sampled(sentence: str, context: Mapping[str, Any]) -> Sampled:
        return Sampled(sentence, _text(context), was(context), now(context))

    rows = [sampled(*each) for each in contexts.values()]
    return Samples(
        sampled(*typed) if typed else None,
        tuple(sorted(rows, key=lambda row: not row.changes)[:MOST_SHOWN]),
        len(rows),
        sum(row.before for row in rows),
        sum(row.after for row in rows),
    )


def _predicate(document: Document | None) -> Predicate:
    if document is None:
        return lambda context: False
    return read_segment({"version": 1, **document}, "", strict=True)


def _text(context: Mapping[str, Any]) -> str:
    return json.dumps(context, ensure_ascii=False, sort_keys=True)
