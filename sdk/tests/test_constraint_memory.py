"""What constraints remember of the strings that they were asked about changes no answer, and stays small."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from signed_snapshots import a_flag, body_of, signed

from countersign import Snapshot
from countersign.constraints import (
    LARGEST_DIGIT,
    LONGEST_REMEMBERED,
    MOST_REMEMBERED,
    Scope,
    by_conditions,
    read_conditions,
)


def conditions_of(*constraints: tuple[str, list[Any]], **more: bool) -> Any:
    documents = [
        {"attribute": "a", "operator": operator, "values": values, **more} for operator, values in constraints
    ]
    return read_conditions(documents, "constraints", Scope(strict=True, segment=None))


def asker(conditions: Any) -> Any:
    ask = by_conditions(conditions, all_hold=True, otherwise=False)
    return lambda value: ask({"a": value})


class Loose(str):
    """A string that says that it is the same as another."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash("1.2.0")


class Pretender:
    """No string, but equal to one and hashed as it is."""

    def __eq__(self, other: object) -> bool:
        return other == "1.2.0"

    def __hash__(self) -> int:
        return hash("1.2.0")


@pytest.mark.parametrize("value", [Loose("0.9"), Pretender(), 1, True, 1.2, None, ["1.2.0"], "1.1", "x"])
def test_what_only_equals_a_remembered_string_is_not_taken_for_it(value):
    conditions = conditions_of(("semver_gte", ["1.2.0"]))
    holds = asker(conditions)
    assert [holds("1.2.0") for _ in range(3)] == [True] * 3
    assert conditions.texts[0].texts == {"1.2.0"}
    assert holds(value) is False


def test_characters_of_a_string_of_another_class_count_and_it_is_not_remembered():
    conditions = conditions_of(("semver_gte", ["1.2.0"]))
    holds = asker(conditions)
    assert [holds(Loose("2.0")) for _ in range(3)] == [True] * 3
    assert conditions.texts[0].texts == set()


@pytest.mark.parametrize("value", [True, 5.5, float("nan"), float("inf"), 10**400, "5", None])
def test_no_other_type_is_taken_for_an_integer_of_a_range(value):
    assert asker(conditions_of(("gte", [1])))(5) is True
    assert asker(conditions_of(("gte", [1])))(value) is (value == 5.5)
    assert asker(conditions_of(("lt", [9])))(value) is (value == 5.5)


EDGES = [0, 1, LARGEST_DIGIT, 2**53 - 1, 2**53, 2**60]
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(EDGES)
NEAR = st.builds(
    lambda edge, step, sign: sign * (edge + step),
    st.sampled_from(EDGES),
    st.integers(-2, 2),
    st.sampled_from([1, -1]),
)


@given(NUMBERS | NEAR, NUMBERS | NEAR, st.booleans())
@example(3.5, 4, False)
@example(-0.5, 0, True)
@example(LARGEST_DIGIT, LARGEST_DIGIT + 1, False)
def test_an_order_holds_as_the_doubles_compare(bound, value, negate):
    try:
        left, right = float(value), float(bound)
    except OverflowError:
        return
    expected = {"gt": left > right, "gte": left >= right, "lt": left < right, "lte": left <= right}
    for operator, holds in expected.items():
        assert asker(conditions_of((operator, [bound]), negate=negate))(value) is (holds is not negate), (
            operator
        )


def test_no_stream_of_strings_makes_a_constraint_remember_more_than_a_few():
    conditions = conditions_of(("ends_with", ["z"]), ("starts_with", ["a"]))
    holds = asker(conditions)
    for number in range(1_000):
        assert [holds(f"a{number}z") for _ in range(3)] == [True] * 3
        assert [holds(f"b{number}z") for _ in range(3)] == [False] * 3
    for condition in conditions.texts:
        assert 0 < len(condition.texts) <= MOST_REMEMBERED
    long = f"a{'x' * LONGEST_REMEMBERED}z"
    assert [holds(long) for _ in range(3)] == [True] * 3
    assert all(long not in condition.texts for condition in conditions.texts)


def test_strings_by_turns_are_not_remembered():
    conditions = conditions_of(("ends_with", ["z"]))
    holds = asker(conditions)
    assert all(holds(f"{number}z") for number in [0, 1] * 100)
    assert conditions.texts[0].texts == set()


def test_threads_that_ask_at_once_get_their_own_answers():
    flag = a_flag(
        rules=[
            {
                "id": "r",
                "constraints": [
                    {"attribute": "version", "operator": "semver_gte", "values": ["500"]},
                    {"attribute": "ip", "operator": "ip_in", "values": ["10.0.0.0/9"]},
                ],
                "serve": {"variant": "on"},
            }
        ]
    )
    snapshot = Snapshot.parse(signed(body_of({"f": flag})))
    wrong: list[object] = []

    def ask(first: int) -> None:
        for number in range(first, first + 700):
            for _ in range(3):
                version, address = number % 1_000, f"10.{number % 256}.0.1"
                answer = snapshot.evaluate("f", {"version": str(version), "ip": address}).variant == "on"
                if answer is not (version >= 500 and number % 256 < 128):
                    wrong.append((version, address, answer))

    threads = [threading.Thread(target=ask, args=(150 * number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_rule_with_several_gates_is_found_by_one_and_asks_for_the_others():
    def rule(name: str, **of: str) -> dict:
        constraints = [{"attribute": key, "operator": "in", "values": [text]} for key, text in of.items()]
        return {"id": name, "constraints": constraints, "serve": {"variant": "on"}}

    flag = a_flag(
        rules=[rule("both", plan="gold", country="DK"), rule("land", country="DK"), rule("plan", plan="gold")]
    )
    snapshot = Snapshot.parse(signed(body_of({"f": flag})))

    def found(**context: object) -> object:
        return snapshot.evaluate("f", context).metadata.get("rule")

    assert found(plan="gold", country="DK") == "both"
    assert found(plan="iron", country="DK") == "land"
    assert found(plan="gold") == "plan"
    assert found(plan="iron", country="SE") is None
