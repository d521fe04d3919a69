"""The evaluation page read aloud: slow, literal, and without a line in common with the SDK.

Versions, times and addresses are looked up in small tables instead of parsed, so that nothing clever can be wrong
here; documents are taken to be valid. Splits go by the published formula over the hash that a test passes in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

# In the order of precedence, equals in one row: major, minor, and the ways to write it.
VERSIONS = [
    (0, 9, ["0.9.0"]),
    (1, 0, ["1.0.0-1"]),
    (1, 0, ["1.0.0-alpha", "v1-alpha+b.7"]),
    (1, 0, ["1.0.0-alpha.1"]),
    (1, 0, ["1", "v1.0", "1.0.0+x"]),
    (1, 9, ["1.9"]),
    (1, 10, ["1.10.0"]),
    (1, 10, ["1.10.1"]),
    (2, 0, ["2-rc.1", "2.0.0-rc.1"]),
    (2, 0, ["2.0.0"]),
]
# Five parts and not four, which would be an address.
NO_VERSIONS = ["", "1.0.0.0.0", "01.0.0", "V1", "1.0.0-01", " 1", "x"]

TIMES = {
    "1969-12-31T23:59:59Z": -1_000_000,
    "1970-01-01T00:00:00Z": 0,
    "1970-01-01T01:00:00+01:00": 0,
    "1970-01-01T00:00:01.5Z": 1_500_000,
    "1970-01-01T00:00:01.5000009Z": 1_500_000,
    "1970-01-01T00:00:01.500001Z": 1_500_001,
    "1969-12-31T22:59:00-01:01": 0,
    "2026-11-20T12:00:00Z": 1_795_176_000_000_000,
}
NO_TIMES = [
    "1970-01-01t00:00:00Z",
    "1970-01-01T00:00:00",
    "1970-02-30T00:00:00Z",
    "1970-01-01T00:00:60Z",
    "now",
]

BLOCKS = {
    "10.0.0.0/8": {"10.0.0.0", "10.255.255.255", "10.1.2.3"},
    "10.1.2.3/32": {"10.1.2.3"},
    "0.0.0.0/0": {"10.0.0.0", "10.255.255.255", "10.1.2.3", "11.0.0.0"},
    "2001:db8::/32": {"2001:db8::1", "2001:0DB8:0::1"},
    "::/0": {"2001:db8::1", "2001:0DB8:0::1", "::1", "::ffff:10.1.2.3"},
    "::ffff:10.0.0.0/104": {"::ffff:10.1.2.3"},
}
ADDRESSES = set().union(*BLOCKS.values())
NO_ADDRESSES = ["", "10.1.2.", "10.01.2.3", "10.1.2.3:80", "10.1.2.3/32", "fe80::1%eth0", "localhost"]


def number(value: Any) -> float | None:
    """A JSON number as a double; what is beyond the double range counts as null."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value) if math.isfinite(float(value)) else None
    except OverflowError:
        return None


def outcome(constraint: dict, context: dict, segments: dict) -> bool:
    """Whether a constraint holds."""
    operator, values = constraint["operator"], constraint.get("values", [])
    negate = constraint.get("negate", False)
    value = context.get(constraint["attribute"])
    if operator == "in_segment":
        return any(in_segment(segments.get(name), context, segments) for name in values) != negate
    if operator == "exists":
        counts_as_null = (
            isinstance(value, (int, float)) and not isinstance(value, bool) and number(value) is None
        )
        return (value is not None and not counts_as_null) != negate
    holds = _holds(operator, values, value)
    return constraint.get("missing", False) if holds is None else holds != negate


def _holds(operator: str, values: list, value: Any) -> bool | None:
    """None: there is nothing that the operator could read."""
    if operator == "in":
        if isinstance(value, (str, bool)):
            return any(type(value) is type(each) and value == each for each in values)
        known = number(value)
        return None if known is None else any(known == number(each) for each in values)
    if operator == "includes":
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            return None
        return any(each in values for each in value)
    if operator in ("gt", "gte", "lt", "lte"):
        known, bound = number(value), number(values[0])
        if known is None or bound is None:
            return None
        return {"gt": known > bound, "gte": known >= bound, "lt": known < bound, "lte": known <= bound}[
            operator
        ]
    if operator in ("before", "after"):
        moment: float | None = TIMES.get(value) if isinstance(value, str) else None
        seconds = number(value)
        if seconds is not None:
            moment = round(Fraction(seconds) * 1_000_000)  # the product of floats is itself rounded
        if moment is None:
            return None
        return moment < TIMES[values[0]] if operator == "before" else moment > TIMES[values[0]]
    if not isinstance(value, str):
        return None
    if operator == "ip_in":
        return any(value in BLOCKS[block] for block in values) if value in ADDRESSES else None
    if operator.startswith("semver_"):
        return _version_holds(operator, values, value)
    return any(
        {
            "contains": each in value,
            "starts_with": value[: len(each)] == each,
            "ends_with": value.endswith(each),
        }[operator]
        for each in values
    )


def _place(text: str) -> tuple[int, int, int] | None:
    for place, (major, minor, spellings) in enumerate(VERSIONS):
        if text in spellings:
            return place, major, minor
    return None


def _version_holds(operator: str, values: list, value: str) -> bool | None:
    here = _place(value)
    if here is None:
        return None
    for each in values:
        there = _place(each)
        assert there is not None
        if {
            "semver_eq": here[0] == there[0],
            "semver_gt": here[0] > there[0],
            "semver_gte": here[0] >= there[0],
            "semver_lt": here[0] < there[0],
            "semver_lte": here[0] <= there[0],
            "semver_caret": here[0] >= there[0] and here[1] == there[1],
            "semver_tilde": here[0] >= there[0] and here[1:] == there[1:],
        }[operator]:
            return True
    return False


def in_segment(segment: dict | None, context: dict, segments: dict) -> bool:
    """Whether the context is in a segment; None is one that is not there."""
    if segment is None:
        return False
    key = context.get("targetingKey")
    if isinstance(key, str) and key and key in segment.get("included", []):
        return True
    if isinstance(key, str) and key and key in segment.get("excluded", []):
        return False
    return any(all(outcome(each, context, segments) for each in rule) for rule in segment.get("rules", []))


Hash = Callable[[bytes], int]


def served(serve: dict, context: dict, murmur3: Hash) -> str | None:
    """The variant that a serve or default yields, or None."""
    if "variant" in serve:
        return serve["variant"]
    split = serve["split"]
    value = context.get(split["by"])
    whole = number(value)
    if whole is not None and whole == int(whole) and abs(whole) < 2**53:
        value = str(int(whole))
    if not isinstance(value, str) or not value:
        return None
    bucket = (
        murmur3(f"{split['seed']}.{value}".encode()) * sum(weight for _, weight in split["weights"]) >> 32
    )
    for variant, weight in split["weights"]:
        if bucket < weight:
            return variant
        bucket -= weight
    raise AssertionError("the bucket is below the total")


def on_cycle(flags: dict, key: str) -> bool:
    """Whether a way over prerequisites leads from a flag back to it."""
    seen: set[str] = set()
    ahead = [key]
    while ahead:
        for each in flags.get(ahead.pop(), {}).get("prerequisites", []):
            if each["flag"] == key:
                return True
            if each["flag"] not in seen:
                seen.add(each["flag"])
                ahead.append(each["flag"])
    return False


def evaluate(flags: dict, segments: dict, key: str, context: dict, murmur3: Hash) -> tuple:
    """(variant, value, reason, cause, rule) by rows 1 to 7 of the table."""
    flag = flags[key]

    def answer(variant: str | None, reason: str, cause: str, rule: str | None = None) -> tuple:
        return variant, None if variant is None else flag["variants"][variant], reason, cause, rule

    off = flag.get("off")
    if flag.get("killed"):
        return answer(off, "DISABLED", "killed")
    if not flag["enabled"]:
        return answer(off, "DISABLED", "disabled")
    region = context.get("region")
    if isinstance(region, str) and flag.get("regions", {}).get(region) is False:
        return answer(off, "DISABLED", "region")
    if on_cycle(flags, key):
        return answer(off, "DISABLED", "prerequisite")
    for each in flag.get("prerequisites", []):
        needed = (
            evaluate(flags, segments, each["flag"], context, murmur3) if each["flag"] in flags else (None,)
        )
        if needed[0] not in each["variants"]:
            return answer(off, "DISABLED", "prerequisite")
    unit = context.get("targetingKey")
    for variant, keys in flag.get("targets", {}).items():
        if isinstance(unit, str) and unit and unit in keys:
            return answer(variant, "TARGETING_MATCH", "target")
    for rule in flag.get("rules", []):
        if all(outcome(each, context, segments) for each in rule.get("constraints", [])):
            variant = served(rule["serve"], context, murmur3)
            if variant is not None:
                reason = "SPLIT" if "split" in rule["serve"] else "TARGETING_MATCH"
                return answer(variant, reason, "rule", rule["id"])
    variant = served(flag["default"], context, murmur3)
    if variant is None:
        return answer(off, "DEFAULT", "default")
    if "split" in flag["default"]:
        return answer(variant, "SPLIT", "default")
    plain = not any(flag.get(name) for name in ("targets", "rules", "prerequisites", "regions"))
    return answer(variant, "STATIC" if plain else "DEFAULT", "default")
