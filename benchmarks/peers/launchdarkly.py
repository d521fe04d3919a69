"""launchdarkly-server-sdk: plain Python, with its rules read into objects beforehand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from ldclient import Config, Context, LDClient
from ldclient.feature_store import InMemoryFeatureStore
from ldclient.versioned_data_kind import FEATURES, SEGMENTS

from benchmarks.interleaved import Call
from benchmarks.peers import Attributes, Product
from benchmarks.workload import Condition, Flag

ON, OFF = 0, 1
OPERATORS = {"in": "in", "ends_with": "endsWith", "gt": "greaterThan", "gte": "greaterThanOrEqual"}


def _clause(condition: Condition) -> dict[str, Any]:
    attribute, operator, values = condition
    return {"attribute": attribute, "op": OPERATORS[operator], "values": list(values), "negate": False}


def _flag(key: str, flag: Flag) -> dict[str, Any]:
    slices = [{"variation": ON, "weight": 50_000}, {"variation": OFF, "weight": 50_000}]
    rules = [
        {"id": f"r{number}", "clauses": [_clause(condition) for condition in rule], "variation": ON}
        for number, rule in enumerate(flag.rules)
    ]
    targets = [{"variation": ON, "values": list(flag.targets)}] if flag.targets else []
    defaults = {
        "on": {"variation": ON},
        "off": {"variation": OFF},
        "half": {"rollout": {"variations": slices}},
    }
    return {
        "key": key,
        "version": 1,
        "on": True,
        "variations": [True, False],
        "offVariation": OFF,
        "salt": key,
        "prerequisites": [],
        "targets": targets,
        "rules": rules,
        "fallthrough": defaults[flag.default],
    }


class LaunchDarkly(Product):
    """`variation` of a client whose store was filled, as its relay proxy's daemon mode does; no events."""

    name = "launchdarkly"

    @staticmethod
    def document(flags: Mapping[str, Flag]) -> bytes:
        return json.dumps(
            {"flags": {key: _flag(key, flag) for key, flag in flags.items()}, "segments": {}}
        ).encode()

    def __init__(self, document: bytes) -> None:
        data, store = json.loads(document), InMemoryFeatureStore()
        store.init({FEATURES: data["flags"], SEGMENTS: data["segments"]})
        self._client = LDClient(
            Config("none", feature_store=store, use_ldd=True, send_events=False, diagnostic_opt_out=True)
        )

    def check(self, flag: str, unit: str, attributes: Attributes, default: bool) -> Call:
        names = {"ask": self._client.variation, "context": _context(unit, attributes)}
        names |= {"flag": flag, "default": default}
        return Call("ask(flag, context, default)", names)

    def check_by_turns(self, flag: str, units: Sequence[str], attributes: Attributes, default: bool) -> Call:
        contexts = cycle([_context(unit, attributes) for unit in units])
        names = {"ask": self._client.variation, "contexts": contexts, "flag": flag, "default": default}
        return Call("ask(flag, next(contexts), default)", names)

    def check_all(self, flags: list[str], units: Sequence[str], attributes: Attributes) -> Call:
        contexts = cycle([_context(unit, attributes) for unit in units])
        names = {"ask_all": self._client.all_flags_state, "contexts": contexts}
        return Call("ask_all(next(contexts)).to_values_map()", names)


def _context(unit: str, attributes: Attributes) -> Context:
    builder = Context.builder(unit)
    for name, value in attributes.items():
        builder.set(name, value)
    return builder.build()
