"""growthbook: plain Python, which interprets the JSON of its rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Any

from growthbook import GrowthBook

from benchmarks.interleaved import Call
from benchmarks.peers import Attributes, Product
from benchmarks.workload import Condition, Flag


def _condition(condition: Condition) -> dict[str, Any]:
    attribute, operator, values = condition
    if operator == "in":
        return {attribute: {"$in": list(values)}}
    if operator == "ends_with":
        return {attribute: {"$regex": str(values[0]).replace(".", r"\.") + "$"}}
    return {attribute: {f"${operator}": values[0]}}


def _feature(key: str, flag: Flag) -> dict[str, Any]:
    rules: list[dict[str, Any]] = []
    if flag.targets:
        rules.append({"id": "targets", "condition": {"id": {"$in": list(flag.targets)}}, "force": True})
    for number, rule in enumerate(flag.rules):
        condition = {name: test for part in rule for name, test in _condition(part).items()}
        rules.append({"id": f"r{number}", "condition": condition, "force": True})
    if flag.default == "half":
        rules.append({"id": "half", "seed": key, "coverage": 0.5, "hashAttribute": "id", "force": True})
    return {"defaultValue": flag.default == "on", "rules": rules}


class Growthbook(Product):
    """`is_on` of an instance that has its context; a service makes such an instance for each request."""

    name = "growthbook"

    @staticmethod
    def document(flags: Mapping[str, Flag]) -> bytes:
        return json.dumps({"features": {key: _feature(key, flag) for key, flag in flags.items()}}).encode()

    def __init__(self, document: bytes) -> None:
        self._book = GrowthBook()
        self._book.set_features(json.loads(document)["features"])

    def _of(self, unit: str, attributes: Attributes) -> GrowthBook:
        return GrowthBook(attributes={"id": unit, **attributes}, features=self._book.get_features())

    def check(self, flag: str, unit: str, attributes: Attributes, default: bool) -> Call:
        return Call("ask(flag)", {"ask": self._of(unit, attributes).is_on, "flag": flag})

    def check_by_turns(self, flag: str, units: Sequence[str], attributes: Attributes, default: bool) -> Call:
        asks = cycle([self._of(unit, attributes).is_on for unit in units])
        return Call("next(asks)(flag)", {"asks": asks, "flag": flag})

    def check_all(self, flags: list[str], units: Sequence[str], attributes: Attributes) -> Call:
        def ask_all(ask: Callable[[str], bool]) -> dict[str, bool]:
            return {flag: ask(flag) for flag in flags}

        asks = cycle([self._of(unit, attributes).is_on for unit in units])
        return Call("ask_all(next(asks))", {"ask_all": ask_all, "asks": asks})
