"""UnleashClient: a core in Rust (Yggdrasil), and Python that prepares each call's context."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from UnleashClient import UnleashClient
from UnleashClient.cache import BaseCache
from UnleashClient.constants import FEATURES_URL
from UnleashClient.utils import InstanceAllowType

from benchmarks.interleaved import Call
from benchmarks.peers import Attributes, Product
from benchmarks.workload import Condition, Flag

OPERATORS = {"in": "IN", "ends_with": "STR_ENDS_WITH", "gt": "NUM_GT", "gte": "NUM_GTE"}


class _Memory(BaseCache):
    """A cache that was filled beforehand, and keeps nothing on the disk."""

    def __init__(self, features: str) -> None:
        self._kept: dict[str, Any] = {FEATURES_URL: features}
        self.bootstrapped = True

    def set(self, key: str, value: Any) -> None:
        self._kept[key] = value

    def mset(self, data: dict[str, Any]) -> None:
        self._kept |= data

    def get(self, key: str, default: Any = None) -> Any:
        return self._kept.get(key, default)

    def exists(self, key: str) -> bool:
        return key in self._kept

    def destroy(self) -> None:
        self._kept.clear()


def _constraint(condition: Condition) -> dict[str, Any]:
    attribute, operator, values = condition
    constraint: dict[str, Any] = {"contextName": attribute, "operator": OPERATORS[operator]}
    if operator in ("gt", "gte"):
        return {**constraint, "value": str(values[0]), "values": []}
    return {**constraint, "values": list(values)}


def _feature(key: str, flag: Flag) -> dict[str, Any]:
    strategies: list[dict[str, Any]] = []
    if flag.targets:
        strategies.append({"name": "userWithId", "parameters": {"userIds": ",".join(flag.targets)}})
    strategies += [
        {"name": "default", "parameters": {}, "constraints": [_constraint(condition) for condition in rule]}
        for rule in flag.rules
    ]
    if flag.default == "half":
        parameters = {"rollout": "50", "stickiness": "userId", "groupId": key}
        strategies.append({"name": "flexibleRollout", "parameters": parameters, "constraints": []})
    elif flag.default == "on":
        strategies.append({"name": "default", "parameters": {}})
    return {"name": key, "type": "release", "enabled": True, "project": "shop", "strategies": strategies}


class Unleash(Product):
    """One `is_enabled` a flag; there is no call for all."""

    name = "unleash"

    @staticmethod
    def document(flags: Mapping[str, Flag]) -> bytes:
        features = [_feature(key, flag) for key, flag in flags.items()]
        return json.dumps({"version": 2, "features": features}).encode()

    def __init__(self, document: bytes) -> None:
        self._client = UnleashClient(
            "http://127.0.0.1:9/api",
            "benchmark",
            cache=_Memory(document.decode()),
            disable_metrics=True,
            disable_registration=True,
            multiple_instance_mode=InstanceAllowType.SILENTLY_ALLOW,
        )

    def check(self, flag: str, unit: str, attributes: Attributes, default: bool) -> Call:
        names = {"ask": self._client.is_enabled, "flag": flag, "context": {"userId": unit, **attributes}}
        return Call("ask(flag, context)", names)

    def check_by_turns(self, flag: str, units: Sequence[str], attributes: Attributes, default: bool) -> Call:
        contexts = cycle([{"userId": unit, **attributes} for unit in units])
        names = {"ask": self._client.is_enabled, "flag": flag, "contexts": contexts}
        return Call("ask(flag, next(contexts))", names)

    def check_all(self, flags: list[str], units: Sequence[str], attributes: Attributes) -> Call:
        ask = self._client.is_enabled

        def ask_all(context: dict[str, str | int]) -> dict[str, bool]:
            return {flag: ask(flag, context) for flag in flags}

        contexts = cycle([{"userId": unit, **attributes} for unit in units])
        return Call("ask_all(next(contexts))", {"ask_all": ask_all, "contexts": contexts})
