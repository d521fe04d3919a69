"""What a change does, operation by operation, in words and as documents: for reviews, API and ledger pages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from approvals.governing_words import governing_words
from flags import wording
from flags.models import Environment
from flags.subjects import GOVERNING, Subject

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
