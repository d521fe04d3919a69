"""eppo-server-sdk: a core in Rust."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

import eppo_client
from eppo_client.config import AssignmentLogger, Config

from benchmarks.interleaved import Call
from benchmarks.peers import Attributes, Product
from benchmarks.workload import Condition, Flag

SHARDS = 100_000


def _condition(condition: Condition) -> dict[str, Any]:
    attribute, operator, values = condition
    if operator == "in":
        return {"attribute": attribute, "operator": "ONE_OF", "value": list(values)}
    if operator == "ends_with":
        (end,) = values
        return {"attribute": attribute, "operator": "MATCHES", "value": str(end).replace(".", r"\.") + "$"}
    return {"attribute": attribute, "operator": operator.upper(), "value": values[0]}


def _allocation(key: str, rules: list[Any], split: list[tuple[str, int, int]], seed: str) -> dict[str, Any]:
    splits = [
        {"variationKey": variant, "shards": [{"salt": seed, "ranges": [{"start": start, "end": end}]}]}
        if len(split) > 1
        else {"variationKey": variant, "shards": []}
        for variant, start, end in split
    ]
    # Assignments that are logged cost a call of the logger more.
    return {"key": key, "rules": rules, "splits": splits, "doLog": False}


def _flag(key: str, flag: Flag) -> dict[str, Any]:
    on, half = [("on", 0, SHARDS)], SHARDS // 2
    allocations = []
    if flag.targets:
        conditions = [{"attribute": "id", "operator": "ONE_OF", "value": list(flag.targets)}]
        allocations.append(_allocation("targets", [{"conditions": conditions}], on, key))
    for number, rule in enumerate(flag.rules):
        conditions = [_condition(condition) for condition in rule]
        allocations.append(_allocation(f"r{number}", [{"conditions": conditions}], on, key))
    split = {"on": on, "off": [("off", 0, SHARDS)], "half": [("on", 0, half), ("off", half, SHARDS)]}
    allocations.append(_allocation("default", [], split[flag.default], key))
    return {
        "key": key,
        "enabled": True,
        "variationType": "BOOLEAN",
        "variations": {"on": {"key": "on", "value": True}, "off": {"key": "off", "value": False}},
        "allocations": allocations,
        "totalShards": SHARDS,
    }


class Eppo(Product):
    """One `get_boolean_assignment` a flag; there is no call for all."""

    name = "eppo"

    @staticmethod
    def document(flags: Mapping[str, Flag]) -> bytes:
        return json.dumps(
            {
                "createdAt": "2026-11-25T00:00:00.000Z",
                "format": "SERVER",
                "environment": {"name": "production"},
                "flags": {key: _flag(key, flag) for key, flag in flags.items()},
            }
        ).encode()

    def __init__(self, document: bytes) -> None:
        configuration = eppo_client.Configuration(flags_configuration=document)
        self._client = eppo_client.init(
            Config(
                api_key="none",
                base_url="http://127.0.0.1:9/api",
                assignment_logger=AssignmentLogger(),
                initial_configuration=configuration,
                poll_interval_seconds=None,
            )
        )

    def check(self, flag: str, unit: str, attributes: Attributes, default: bool) -> Call:
        names = {"ask": self._client.get_boolean_assignment, "attributes": dict(attributes)}
        names |= {"flag": flag, "unit": unit, "default": default}
        return Call("ask(flag, unit, attributes, default)", names)

    def check_by_turns(self, flag: str, units: Sequence[str], attributes: Attributes, default: bool) -> Call:
        names = {"ask": self._client.get_boolean_assignment, "attributes": dict(attributes)}
        names |= {"flag": flag, "units": cycle(units), "default": default}
        return Call("ask(flag, next(units), attributes, default)", names)

    def check_all(self, flags: list[str], units: Sequence[str], attributes: Attributes) -> Call:
        ask, own = self._client.get_boolean_assignment, dict(attributes)

        def ask_all(unit: str) -> dict[str, bool]:
            return {flag: ask(flag, unit, own, False) for flag in flags}

        return Call("ask_all(next(units))", {"ask_all": ask_all, "units": cycle(units)})
