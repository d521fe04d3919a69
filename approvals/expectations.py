"""Expectations: a flag's own tests, evaluated by the SDK on the snapshot that would result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from approvals.explain import Step, sentence_of, steps_of, unsigned
from approvals.resulting import Resulting
from countersign import evaluate
from countersign.result import Result
from flags.documents import segments_named
from flags.models import Environment, FlagConfiguration


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one expectation: what was served instead, and the way to that answer."""

    flag: str
    environment: Environment
    # As it stands in the document.
    entry: Mapping[str, Any]
    got: str | None
    sentence: str
    steps: tuple[Step, ...]

    @property
    def holds(self) -> bool:
        return bool(self.got == self.entry["variant"])


def outcomes(state: Resulting, flags: Sequence[str] | None = None) -> Iterator[Outcome]:
    """What becomes of the expectations of these flags; None: of all that the operations could affect."""
    expected = state.expectations(flags)
    if flags is not None:
        expected = {key: expected[key] for key in flags if key in expected}
    for environment in state.environments:
        here = {
            key: [entry for entry in entries if entry["environment"] == environment.key]
            for key, entries in expected.items()
        }
        here = {key: entries for key, entries in here.items() if entries}
        if here and flags is None:
            affected = state.affected(environment)
            here = {key: entries for key, entries in here.items() if key in affected}
        if here:
            yield from _evaluated(state, environment, here)


def _evaluated(
    state: Resulting, environment: Environment, expected: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Iterator[Outcome]:
    rows = state.with_prerequisites(environment, expected)
    named = set().union(*(segments_named(row.document) for row in rows.values()))
    segments = state.segments(named)
    snapshot = unsigned(environment, rows.values(), segments)
    for key, entries in sorted(expected.items()):
        for entry in entries:
            result = evaluate(snapshot, key, entry["context"], region=entry.get("region"))
            steps: tuple[Step, ...] = ()
            row = rows.get(key)
            if row is not None and result.variant != entry["variant"]:
                steps = steps_of(row.document, result, entry["context"], segments)
            yield Outcome(
                key, environment, entry, result.variant, _sentence(key, environment, row, result), steps
            )


def _sentence(key: str, environment: Environment, row: FlagConfiguration | None, result: Result) -> str:
    if row is None:
        return f"{key} is not configured in {environment.name}: callers get their default."
    return sentence_of(row.document, result)
