"""What a change does, operation by operation, in words and as documents: for reviews, API and ledger pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from approvals.governing_words import governing_words
from flags import wording
from flags.models import Environment
from flags.subjects import GOVERNING, Kind, Subject

# What the subjects of a change are counted and shown by.
_COUNTED: Mapping[Kind, str] = {
    "definition": "flag",
    "configuration": "flag",
    "expectations": "flag",
    "segment": "segment",
    "environment": "environment",
    "policy": "policy",
    "member": "member",
}
_WAIT = re.compile(r"\b(\d{1,12}) s after")


@dataclass(frozen=True, slots=True)
class Effect:
    """One operation of a change. `label`: carried out later under the same approval (a stage, an expiry)."""

    subject: Subject
    place: str
    sentences: tuple[str, ...]
    before: Any
    after: Any
    label: str = ""

    @property
    def text(self) -> str:
        return str(self.subject)

    @property
    def when(self) -> str:
        """The label with its seconds in words: `stage 2, 2 d after stage 1`."""
        return _WAIT.sub(lambda found: f"{wording.duration(int(found[1]))} after", self.label)


@dataclass(frozen=True, slots=True)
class Group:
    """All that a change does to one flag, or to one segment."""

    kind: str
    key: str
    effects: tuple[Effect, ...]


def sentences_of(subject: Subject, place: str, before: Any, after: Any) -> tuple[str, ...]:
    """What replacing `before` by `after` does, in words; a document nobody can read says just that."""
    try:
        if subject.kind == "configuration":
            return tuple(wording.effects(place, before, after))
        if subject.kind == "segment":
            return tuple(wording.segment_effects(subject.key, before, after))
        if subject.kind in GOVERNING:
            return governing_words(subject, before, after)
        if subject.kind == "expectations":
            return tuple(wording.expectation_effects(subject.key, before, after))
        return tuple(wording.definition_effects(subject.key, before, after))
    except (AttributeError, KeyError, IndexError, TypeError, ValueError, ZeroDivisionError):
        return (f"{subject.key}: changed; see the documents",)


def effects_of(change: Mapping[str, Any], environments: Iterable[Environment]) -> list[Effect]:
    """The change's operations in order."""
    names = {environment.key: environment.name for environment in environments}
    found = []
    for operation in change["operations"]:
        subject = Subject.parse(operation["subject"])
        place = names.get(subject.environment, subject.environment)
        before = operation.get("before", (operation.get("before_any") or [None])[-1])
        after = operation["after"]
        sentences = sentences_of(subject, place, before, after)
        found.append(Effect(subject, place, sentences, before, after, operation.get("label", "")))
    return found


def grouped(effects: Iterable[Effect]) -> list[Group]:
    """By flag and segment, in the order in which the change first names them; a definition comes first."""
    found: dict[tuple[str, str], list[Effect]] = {}
    for effect in effects:
        kind = _COUNTED[effect.subject.kind]
        found.setdefault((kind, effect.subject.key), []).append(effect)
    return [
        Group(kind, key, tuple(sorted(each, key=lambda effect: effect.subject.writing_rank)))
        for (kind, key), each in found.items()
    ]


def extent(change: Mapping[str, Any]) -> str:
    """How much a change is about, in numbers: `2 flags and 1 segment, in 3 environments`."""
    subjects = {Subject.parse(operation["subject"]) for operation in change["operations"]}
    keys = {(_COUNTED[each.kind], each.key) for each in subjects}
    words = sorted({word for word, _key in keys}, key=list(_COUNTED.values()).index)
    parts = [_count(sum(1 for word, _key in keys if word == each), each) for each in words]
    what = " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else parts[0]
    environments = {each.environment for each in subjects} - {""}
    return f"{what}, in {_count(len(environments), 'environment')}" if environments else what


def _count(number: int, word: str) -> str:
    if number != 1:
        word = "policies" if word == "policy" else f"{word}s"
    return f"{number} {word}"
