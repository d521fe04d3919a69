"""Random environments and contexts: the SDK answers what the page says, read aloud by ``plain_evaluator``."""

from __future__ import annotations

import random
import tempfile
from collections import UserString
from pathlib import Path
from typing import Any

import plain_evaluator
from hypothesis import given
from hypothesis import strategies as st
from plain_evaluator import ADDRESSES, BLOCKS, NO_ADDRESSES, NO_TIMES, NO_VERSIONS, TIMES, VERSIONS
from signed_snapshots import body_of, signed

from countersign import Client, Snapshot
from countersign.document import validate_flag, validate_segment
from countersign.evaluation import evaluate
from countersign.murmur3 import murmur3_plain

SPELLINGS = [text for _, _, spellings in VERSIONS for text in spellings]
KEYS = ["f0", "f1", "f2", "f3"]
UNITS = ["u1", "u2", "u3", "ü"]
BOUNDS: list[Any] = [0, -0.0, 1, 1.0, 1.5, -3, 2**30, 2**53 - 1, 2.0**60, -(2.0**60)]
NUMBERS: list[Any] = [*BOUNDS, 2**30 - 1, 2**53, 2**53 + 1, 2**60 - 1, -(2**60) + 1, 1e300, 1.5000005]
TEXTS = ["", "a", "ab", "abc", "Ab", "b", "1", "true", "\U0001f600"]


class Anyhow(str):
    """A string that others equal, as a case-insensitive one; what counts are its characters."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return str(self).lower() == str(other).lower()

    def __hash__(self) -> int:
        return hash(str(self).lower())


class Dice:
    """Draws of one environment from one seed: quicker than a strategy for each part of it."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.pick, self.odds = self._random.choice, self._random.random

    def some(self, of: list, least: int = 1, most: int = 3) -> list:
        return self._random.sample(of, min(len(of), self._random.randint(least, most)))

    def constraint(self, *, in_segments: bool) -> dict:
        operator = self.pick(OPERATORS if in_segments else OPERATORS[1:])
        attribute = self.pick(["a", "b", "targetingKey", "region"])
        values: list = {
            "in_segment": lambda: self.some(["s0", "s1", "gone"]),
            "exists": list,
            "in": lambda: self.some([*TEXTS, *UNITS, True, False, *BOUNDS], 1, 5),
            "includes": lambda: self.some(TEXTS[1:]),
            **dict.fromkeys(("gt", "gte", "lt", "lte"), lambda: self.some(BOUNDS, 1, 1)),
            **dict.fromkeys(
                ("before", "after"), lambda: self.some([t for t in TIMES if t.endswith("Z")], 1, 1)
            ),
            "ip_in": lambda: self.some(list(BLOCKS)),
        }.get(
            operator,
            lambda: self.some(SPELLINGS if operator.startswith("semver") else [*TEXTS[1:], *UNITS]),
        )()
        made = {
            "attribute": "" if operator == "in_segment" else attribute,
            "operator": operator,
            "values": values,
        }
        made |= {"negate": True} if self.odds() < 0.3 else {}
        return made | ({"missing": True} if self.odds() < 0.3 else {})

    def constraints(self, *, in_segments: bool) -> list:
        return [self.constraint(in_segments=in_segments) for _ in range(self.pick([0, 1, 1, 1, 2, 3]))]

    def serve(self, *, nulls: bool) -> dict:
        if self.odds() < 0.5:
            return {"variant": self.pick(["on", "off", "blue"])}
        names = ["on", "off", "blue", *([None] if nulls else [])]
        weights = [[self.pick(names), self.pick([0, 1, 3, 1000])] for _ in range(self.pick([1, 2, 3]))]
        weights.append([self.pick(names), self.pick([1, 50_000])])
        by = self.pick(["targetingKey", "targetingKey", "a"])
        return {
            "split": {"by": by, "seed": self.pick(["", "s", "f0"]), "hash": "murmur3", "weights": weights}
        }

    def table_rule(self) -> dict:
        """A rule of the usual kind: some strings of one attribute have one variant."""
        attribute, values = self.pick(["a", "b", "targetingKey"]), self.some([*TEXTS, *UNITS], 1, 4)
        constraint = {"attribute": attribute, "operator": "in", "values": values}
        return {"constraints": [constraint], "serve": {"variant": self.pick(["on", "off", "blue"])}}

    def any_rule(self) -> dict:
        return {"constraints": self.constraints(in_segments=True), "serve": self.serve(nulls=True)}

    def flag(self) -> dict:
        units = self.some(UNITS, 2, 4)
        rule = self.pick([self.table_rule, self.any_rule])
        rules = [{"id": f"r{n}", **rule()} for n in range(self.pick([0, 1, 2, 4]))]
        needs = [
            {"flag": self.pick([*KEYS, "gone"]), "variants": self.some(["on", "off", "blue"])}
            for _ in range(self.pick([0, 0, 0, 1, 2]))
        ]
        return {
            "type": "string",
            "version": 7,
            "variants": {"on": "ON", "off": "OFF", "blue": "BLUE"},
            "off": self.pick(["on", "off", None]),
            "enabled": self.odds() < 0.9,
            "killed": self.odds() < 0.1,
            "regions": {name: self.odds() < 0.5 for name in self.some(["a", "eu", "1"], 0, 2)},
            "prerequisites": needs,
            "targets": {"on": units[:1], "blue": units[1:2]} if self.odds() < 0.4 else {},
            "rules": rules,
            "default": self.serve(nulls=False),
            "fail_safe": "off",
        }

    def segment(self) -> dict:
        rules = [self.constraints(in_segments=False) for _ in range(self.pick([0, 1, 2]))]
        included, excluded = self.some(UNITS, 0, 2), self.some(UNITS, 0, 2)
        return {"version": 1, "included": included, "excluded": excluded, "rules": rules}

    def value(self) -> Any:
        return self.pick(
            [
                *(self.pick(TEXTS), self.pick(UNITS), self.pick(NUMBERS), self.pick([True, False, None])),
                *(self.pick(SPELLINGS), self.pick(NO_VERSIONS), self.pick(list(TIMES)), self.pick(NO_TIMES)),
                *(
                    self.pick(sorted(ADDRESSES)),
                    self.pick(NO_ADDRESSES),
                    self.pick([10**400, float("nan"), {}]),
                ),
                *(self.some(TEXTS, 0, 3), [self.pick(TEXTS), self.pick([1, None, True])]),
            ]
        )

    def context(self) -> dict:
        context = {name: self.value() for name in ("a", "b") if self.odds() < 0.8}
        if self.odds() < 0.8:
            context["targetingKey"] = self.value() if self.odds() < 0.2 else self.pick(UNITS)
        if self.odds() < 0.4:
            context["region"] = self.pick(["a", "eu", "1", 1, None])
        return context


OPERATORS = [
    *(
        "in_segment",
        "in",
        "contains",
        "starts_with",
        "ends_with",
        "gt",
        "gte",
        "lt",
        "lte",
        "before",
        "after",
    ),
    *("semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte", "semver_caret", "semver_tilde"),
    *("ip_in", "includes", "exists"),
]


@given(st.integers(0, 2**64))
def test_the_sdk_answers_what_the_page_says(seed):
    dice = Dice(seed)
    flags = {key: dice.flag() for key in KEYS}
    segments = {"s0": dice.segment(), "s1": dice.segment()}
    for name, segment in segments.items():
        validate_segment(name, segment)
    for key, flag in flags.items():
        validate_flag(key, flag, segments={"s0", "s1", "gone"})
    snapshot = Snapshot.parse(signed(body_of(flags, segments)))
    for _ in range(20):
        context = dice.context()
        at_once = dict(snapshot.evaluate_all(context))
        assert snapshot.values(context) == {key: result.value for key, result in at_once.items()}
        for key in KEYS:
            result = snapshot.evaluate(key, context)
            assert at_once[key] == result
            told = result.metadata.get("cause"), result.metadata.get("rule")
            expected = plain_evaluator.evaluate(
                flags, segments, key, context, lambda data: murmur3_plain(data, 0)
            )
            assert (result.variant, result.value, result.reason, *told) == expected, (key, context)


@given(st.integers(0, 2**64))
def test_a_boolean_is_the_same_however_often_and_in_turn_with_whom_it_is_asked(seed):
    dice = Dice(seed)
    values = {"type": "boolean", "variants": {"on": True, "off": False, "blue": True}}
    flags = {key: dice.flag() | values for key in KEYS}
    raw, contexts = signed(body_of(flags)), [dice.context() for _ in range(4)]
    for context in contexts:
        if dice.odds() < 0.3:  # what other strings equal, and is none or another one
            unit = dice.pick(UNITS)
            context["targetingKey"] = dice.pick([UserString(unit), Anyhow(unit), Anyhow(unit.upper())])
    own = dice.pick([{}, {}, dice.context()])
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(raw)
        client = Client.from_file(file.name, context=own)
    for context in [*(each for each in contexts for _ in range(3)), *contexts, *contexts, None]:
        fresh, merged = Snapshot.parse(raw), {**own, **(context or {})}
        for key in KEYS:
            result = evaluate(fresh, key, merged, "boolean", region=own.get("region"))
            for default in (True, False):
                expected = default if result.variant is None else result.value
                assert client.get_boolean_value(key, default, context) is expected, (key, own, context)
