"""Native Python values in a context: what JSON would make of them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from enum import Enum, IntEnum

import pytest
from signed_snapshots import a_flag, body_of, signed

from countersign import Snapshot


class Plan(str, Enum):  # noqa: UP042  # StrEnum is newer than Python 3.10
    PRO = "pro"


class Size(IntEnum):
    LARGE = 3


def holds(operator: str, values: list, value: object) -> bool:
    constraint = {"attribute": "a", "operator": operator, "values": values}
    flag = a_flag(rules=[{"id": "r", "constraints": [constraint], "serve": {"variant": "on"}}])
    return Snapshot.parse(signed(body_of({"f": flag}))).evaluate("f", {"a": value}).value


NOON_BERLIN = datetime(2026, 11, 20, 13, 0, tzinfo=timezone(timedelta(hours=1)))


@pytest.mark.parametrize(
    ("operator", "values", "value"),
    [
        ("in", ["pro"], Plan.PRO),
        ("starts_with", ["p"], Plan.PRO),
        ("in", [3], Size.LARGE),
        ("gt", [2], Size.LARGE),
        ("in", ["2026-11-20T12:00:00Z"], NOON_BERLIN),
        ("in", ["2026-11-20T12:00:00.000001Z"], NOON_BERLIN + timedelta(microseconds=1)),
        ("in", ["2026-11-20T13:00:00Z"], NOON_BERLIN.replace(tzinfo=None)),
        ("before", ["2026-11-20T12:00:01Z"], NOON_BERLIN),
        ("includes", ["pro"], (Plan.PRO, "x")),
    ],
)
def test_a_native_value_is_what_json_makes_of_it(operator, values, value):
    assert holds(operator, values, value) is True


@pytest.mark.parametrize("value", [None, float("nan"), float("inf"), 10**400])
def test_what_has_no_json_number_counts_as_null(value):
    assert holds("exists", [], value) is False


@pytest.mark.parametrize("operator", ["in", "contains", "includes", "semver_eq", "ip_in", "before", "gt"])
def test_a_megabyte_of_nonsense_is_not_what_an_operator_looks_for(operator):
    wanted = {"semver_eq": "1.0", "ip_in": "10.0.0.0/8", "before": "2026-01-01T00:00:00Z", "gt": 1}
    for nonsense in ("1." * 500_000, "9" * 1_000_000, ":" * 1_000_000, "\ud800" * 100_000):
        assert holds(operator, [wanted.get(operator, "x")], nonsense) is False


def test_the_targeting_key_is_an_attribute_like_any_other():
    constraint = {"attribute": "targetingKey", "operator": "gt", "values": [4]}
    by = {"by": "targetingKey", "seed": "s", "hash": "murmur3", "weights": [["on", 1]]}
    rule = {"id": "r", "constraints": [constraint], "serve": {"split": by}}
    snapshot = Snapshot.parse(signed(body_of({"f": a_flag(rules=[rule], targets={"off": ["5"]})})))
    result = snapshot.evaluate("f", {"targetingKey": 5})  # listed nowhere: it is no string
    assert (result.variant, result.reason) == ("on", "SPLIT")


@pytest.mark.parametrize("value", ["\ud800", "a\udfff", ""])
def test_a_string_that_has_no_bytes_buckets_nothing(value):
    by = {"by": "u", "seed": "s", "hash": "murmur3", "weights": [["on", 1]]}
    result = Snapshot.parse(signed(body_of({"f": a_flag(default={"split": by})}))).evaluate("f", {"u": value})
    assert (result.variant, result.reason) == ("off", "DEFAULT")


def test_a_date_time_at_the_end_of_the_calendar_is_no_crash():
    late = datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))
    assert holds("after", ["2026-01-01T00:00:00Z"], late) is True
