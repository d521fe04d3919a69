"""Random flags of all that a flagd document can say, and random contexts that are as awkward as JSON allows."""

from __future__ import annotations

import json
import random
import re
from typing import Any

WORDS = [
    "DE",
    "de",
    "Düsseldorf",
    "日本",
    "😀 smile",
    "pro",
    "pro-trial",
    "1",
    "0",
    "true",
    "True",
    "null",
    " ",
]
NUMBERS = [0, 1, -1, 18, 18.5, 1e-7, 123456789, 2**53 - 1, -(2**53 - 1)]
SEGMENTS = ("staff", "beta", "nobody")
VALUES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "string": ["", "red", "null", "日本"],
    "integer": [0, -3, 2**53 - 1],
    "float": [0, 0.25, 1e22, -3],
    "object": [{}, {"depth": 3, "list": [1, None, {"x": ""}]}, {"": 0}],
}
_AWKWARD: list[Any] = [
    None, True, False, 0, -0.0, 1, 1.0, 17, 18.0, 19, 2**53, 2**53 + 1, 10**400, -(10**400), 1e308, float("inf"),
    float("-inf"), "", "NaN", "Infinity", "1e400", "18", "constructor", "2-rc.1", [], [18], ["DE"], [None], [True],
    [[18]], [1, 2], {}, {"0": "DE"}, {"length": 1}, {"toString": "x"}, {"DE": True},
]  # fmt: skip


class RandomFlags:
    """Flags and contexts from a seed. `hash`: that of all splits."""

    def __init__(self, seed: int, hash: str) -> None:
        self._random = random.Random(seed)  # noqa: S311  # to be repeated, not to be secret
        self._hash = hash
        self.segments = {name: self._segment() for name in SEGMENTS[:-1]}  # the last is in no snapshot

    def flag(self, key: str) -> dict[str, Any]:
        """A flag's document."""
        some, chance = self._random, self._chance
        kind = some.choice(list(VALUES))
        variants = {f"v{position}": value for position, value in enumerate(VALUES[kind])}
        names = list(variants)
        targets: dict[str, list[str]] = {}
        for unit in some.sample(range(40), some.choice([0, 0, 1, 6])):
            targets.setdefault(some.choice(names), []).append(f"user-{unit}")
        flag = {
            "type": kind,
            "version": some.randrange(1, 99),
            "variants": variants,
            "enabled": chance(0.95),
            "killed": chance(0.05),
            "regions": {} if chance(0.8) else {"eu": chance(0.5), "us": chance(0.5)},
            "targets": targets,
            "rules": [self._rule(f"r{position}", names) for position in range(some.choice([0, 1, 1, 2, 4]))],
            "default": self._serve(names, "targetingKey", nulls=False),
            "fail_safe": "off",
        }
        if chance(0.75):
            flag["off"] = some.choice(names)
        if chance(0.5):
            flag["change"] = f"CR-{some.randrange(99)}"
        return flag

    def contexts(self, number: int, *, ascii_units: bool) -> str:
        """That many contexts, as JSON. `ascii_units`: what splits deal by has ASCII characters only."""
        text = json.dumps([self._context(ascii_units) for _ in range(number)])
        # Beyond the double range, as JSON can write it.
        return re.sub(r'(?<!")Infinity', "1e400", text)

    def _context(self, ascii_units: bool) -> dict[str, Any]:
        some = self._random
        unit = f"user-{some.randrange(60)}" if self._chance(0.6) else f"unit {some.random()}"
        company = f"company {some.randrange(1000)}"
        if not ascii_units and self._chance(0.3):
            unit, company = f"{unit} ü日😀", f"{company} é"
        context: dict[str, Any] = {"targetingKey": unit, "company": company}
        if self._chance(0.1):
            context["targetingKey"] = some.choice([None, "", True, 1.5, [unit], {"a": 1}])
        for name in ("country", "plan", "age", "beta", "tags", "region", "company"):
            if self._chance(0.8 if name != "company" else 0.2):
                context[name] = self._value(name)
        if self._chance(0.05):
            del context["targetingKey"]
        return context

    def _value(self, name: str) -> Any:
        some = self._random
        usual: list[Any] = {"age": NUMBERS, "beta": [True, False, 1, 0], "region": ["eu", "us", "EU"]}.get(
            name, WORDS
        )
        if name == "company":  # splits deal by it, so no characters that Node hashes in its own way
            usual = ["acme", "pro"]
        return some.choice(usual) if self._chance(0.6) else some.choice(_AWKWARD)

    def _segment(self) -> dict[str, Any]:
        some = self._random
        return {
            "version": 1,
            "included": [f"user-{unit}" for unit in some.sample(range(60), 5)],
            "excluded": [f"user-{unit}" for unit in some.sample(range(60), 20)],
            "rules": [self._constraints(segments=False) for _ in range(some.choice([0, 1, 2]))],
        }

    def _rule(self, name: str, variants: list[str]) -> dict[str, Any]:
        constraints = self._constraints(segments=True)
        by = "targetingKey"
        if self._chance(0.2):
            by = "company"
            constraints.append(self._random.choice(_TEXT_ONLY))
        return {"id": name, "constraints": constraints, "serve": self._serve(variants, by, nulls=True)}

    def _serve(self, variants: list[str], by: str, *, nulls: bool) -> dict[str, Any]:
        some = self._random
        if self._chance(0.5):
            return {"variant": some.choice(variants)}
        names = [*variants, None] if nulls else variants
        weights = [
            [some.choice(names), some.choice([0, 1, 25_000, 99_999])] for _ in range(some.randrange(1, 4))
        ]
        weights.append([some.choice(names), some.choice([1, 75_000, 2**30])])
        seed = some.choice(["banner", "", "a seed", "x" * 300])
        return {"split": {"by": by, "seed": seed, "hash": self._hash, "weights": weights}}

    def _constraints(self, *, segments: bool) -> list[dict[str, Any]]:
        return [self._constraint(segments) for _ in range(self._random.choice([0, 1, 1, 2, 3]))]

    def _constraint(self, segments: bool) -> dict[str, Any]:
        some = self._random
        constraint: dict[str, Any] = {"negate": self._chance(0.3), "missing": self._chance(0.3)}
        kind = some.choice(["in", "in", "text", "order", "exists", *(["segment"] if segments else [])])
        if kind == "segment":
            names = some.sample(SEGMENTS, some.randrange(1, 3))
            return {
                "attribute": "",
                "operator": "in_segment",
                "values": names,
                "negate": constraint["negate"],
            }
        attribute = some.choice(["country", "plan", "age", "beta", "tags", "region", "targetingKey"])
        constraint["attribute"] = attribute
        if kind == "in":
            of = some.choice([WORDS, WORDS, [*NUMBERS, ""], [True], [False], [*WORDS, *NUMBERS, True, False]])
            values = some.sample(of, min(len(of), some.randrange(1, 6)))
            return {**constraint, "operator": "in", "values": values}
        if kind == "text":
            operator = some.choice(["contains", "starts_with", "ends_with"])
            values = some.sample(["D", "pro", "user-1", "日", "😀", "5", " ", "al"], some.randrange(1, 3))
            return {**constraint, "operator": operator, "values": values}
        if kind == "order":
            return {
                **constraint,
                "operator": some.choice(["gt", "gte", "lt", "lte"]),
                "values": [some.choice(NUMBERS)],
            }
        return {"attribute": attribute, "operator": "exists", "negate": constraint["negate"]}

    def _chance(self, probability: float) -> bool:
        return self._random.random() < probability


_TEXT_ONLY = [
    {"attribute": "company", "operator": "in", "values": ["acme", "pro", "company 1"]},
    {"attribute": "company", "operator": "starts_with", "values": ["company"]},
    {"attribute": "company", "operator": "ends_with", "values": ["9"], "negate": True},
]
