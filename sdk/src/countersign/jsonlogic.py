"""Conditions in JsonLogic that mean the same in every flagd client, whatever the context holds.

The clients' languages differ: in Python `1 === true`, Go's `in` takes a number for the string that spells it,
Go's `and` takes null for true, JavaScript throws where an array is compared with a number. So a condition says
first what type it is about, and puts nothing but true and false into `and`, `or` and `!`. Python is told from
the others by a constant, `1 === true`, where only Python needs a further question that others must not be asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from countersign.members import LARGEST_INTEGER, shown

Logic = Any
"""A JsonLogic expression: JSON."""

_LARGEST_DOUBLE = 1.7976931348623157e308
_NOT_IN_PYTHON: Logic = {"!==": [1, True]}


class UnsayableError(Exception):
    """Something that flagd cannot say exactly; ``member`` is its path, ``reason`` why."""

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member}: {reason}" if member else reason)


def every(conditions: Iterable[Logic]) -> Logic:
    """All of the conditions; true for none."""
    return _joined("and", True, conditions)


def some(conditions: Iterable[Logic]) -> Logic:
    """One of the conditions at least; false for none."""
    return _joined("or", False, conditions)


def _joined(operator: str, neutral: bool, conditions: Iterable[Logic]) -> Logic:
    terms: list[Logic] = []
    for condition in conditions:
        if type(condition) is bool:
            if condition is not neutral:
                return condition
        elif operator in condition:
            terms += condition[operator]
        else:
            terms.append(condition)
    return {operator: terms} if len(terms) > 1 else (terms[0] if terms else neutral)


def negation(condition: Logic) -> Logic:
    """The opposite of a condition."""
    return not condition if type(condition) is bool else {"!": [condition]}


def variable(name: str, at: str) -> Logic:
    """The attribute's value, null where it is absent. Raises UnsayableError: flagd reads some names otherwise."""
    if "." in name or "\\" in name:
        raise UnsayableError(at, f"{shown(name)} has a dot or backslash, which flagd takes for a path")
    if name in ("$flagd", "__proto__"):
        raise UnsayableError(at, f"{shown(name)} means something else to flagd clients")
    return {"var": name}


def is_text(value: Logic) -> Logic:
    """Whether a value is a string."""
    return _true({"starts_with": [value, ""]})


def is_listed(value: Logic, texts: list[str]) -> Logic:
    """Whether a value is a string and one of these."""
    if not texts:
        return False
    return every([is_text(value), {"in": [value, texts]}]) if len(texts) > 1 else {"===": [value, texts[0]]}


def condition_of(constraint: Mapping[str, Any], at: str, segment: Callable[[str], Logic]) -> Logic:
    """The condition that holds where the constraint, found at the path ``at``, does.

    The constraint is one that the evaluator has read. ``segment``: the condition of being in a segment.
    Raises UnsayableError.
    """
    operator, values = constraint["operator"], constraint.get("values", [])
    negate, missing = constraint.get("negate", False), constraint.get("missing", False)
    if operator == "in_segment":
        inside = some(segment(name) for name in values)
        return negation(inside) if negate else inside
    value = variable(constraint["attribute"], f"{at}.attribute")
    if operator == "exists":
        present = every([{"!==": [value, None]}, negation(_is_beyond_doubles(value))])
        return negation(present) if negate else present
    taken, test = _test(operator, value, values, at)
    if negate != missing:
        return {"if": [taken, negation(test) if negate else test, missing]}
    hit = test if operator == "in" else every([taken, test])  # what is equal has the type
    return negation(hit) if negate else hit


def makes_text(constraint: Mapping[str, Any], attribute: str) -> bool:
    """Whether the constraint holds only where the attribute is a string."""
    if constraint["attribute"] != attribute or constraint.get("missing", False):
        return False
    if constraint["operator"] == "in":
        return not constraint.get("negate", False) and all(type(each) is str for each in constraint["values"])
    return constraint["operator"] in _TEXT_OPERATORS


def _test(operator: str, value: Logic, values: list[Any], at: str) -> tuple[Logic, Logic]:
    """Whether a value has the operator's type, and whether one that has it passes."""
    if operator == "in":
        return some([is_text(value), _is_boolean(value), _is_number(value)]), _is_in(value, values, at)
    if operator in _TEXT_OPERATORS:
        return is_text(value), some(_TEXT_OPERATORS[operator](value, text) for text in values)
    if operator in _COMPARISONS:
        sign, opposite = _COMPARISONS[operator]
        compared = {sign: [value, _number(values[0], f"{at}.values[0]")]}
        return _is_number(value), negation(compared) if opposite else compared
    raise UnsayableError(f"{at}.operator", f"{operator} {_NO_COUNTERPART[operator]}")


_COMPARISONS = {"gt": (">", False), "lte": (">", True), "lt": ("<", False), "gte": ("<", True)}
_TEXT_OPERATORS: dict[str, Callable[[Logic, str], Logic]] = {
    "contains": lambda value, text: {"in": [text, value]},
    "starts_with": lambda value, text: _true({"starts_with": [value, text]}),
    "ends_with": lambda value, text: _true({"ends_with": [value, text]}),
}
_VERSIONS = "reads versions that flagd's sem_ver does not in Go and JavaScript, such as 2-rc.1, and the other way round"
_NO_COUNTERPART = {
    "before": "has no counterpart in flagd, which reads no times",
    "after": "has no counterpart in flagd, which reads no times",
    "ip_in": "has no counterpart in flagd, which reads no addresses",
    "includes": "has no counterpart in flagd that takes arrays of strings only",
    **{f"semver_{name}": _VERSIONS for name in ("eq", "gt", "gte", "lt", "lte", "caret", "tilde")},
}


def _is_in(value: Logic, values: list[Any], at: str) -> Logic:
    texts = [each for each in values if type(each) is str]
    others: list[Logic] = []
    for position, each in enumerate(values):
        if type(each) is bool:
            others.append(_equals_boolean(value, each))
        elif type(each) is not str:
            others.append(_equals_number(value, _number(each, f"{at}.values[{position}]")))
    return some([is_listed(value, texts), *others])


def _number(value: int | float, at: str) -> int | float:
    if not -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        raise UnsayableError(at, "is beyond ±(2^53-1), where flagd clients round differently")
    return value + 0  # -0 is 0


def _true(result: Logic) -> Logic:
    """What answers true, false or null, as true or false: Go's `and` takes null for true."""
    return {"===": [result, True]}


def _equals_boolean(value: Logic, boolean: bool) -> Logic:
    # Python's True is equal to 1, and spelled "True". Go cannot spell a boolean.
    spelled = {"===": [{"cat": [value]}, str(boolean)]}
    return every([{"===": [value, boolean]}, some([_NOT_IN_PYTHON, spelled])])


def _equals_number(value: Logic, number: int | float) -> Logic:
    equal = {"===": [value, number]}
    if number not in (0, 1):
        return equal
    spelled_otherwise = {"!==": [{"cat": [value]}, str(bool(number))]}
    return every([equal, some([_NOT_IN_PYTHON, spelled_otherwise])])


def _is_boolean(value: Logic) -> Logic:
    return some(_equals_boolean(value, boolean) for boolean in (True, False))


def _numeric(value: Logic) -> list[Logic]:
    """What holds of numbers, finite or not, and may hold of booleans: all that can be compared with a number."""
    return [
        # `fractional` with one slice of the value itself answers null for arrays and objects, which JavaScript
        # does not compare; in Python it does not, but there they are not equal to their sum.
        {"!==": [{"fractional": [{"cat": ["-", ""]}, [value, 1]]}, None]},
        negation(is_text(value)),
        some([_NOT_IN_PYTHON, {"===": [value, {"+": [value]}]}, {"!==": [value, value]}]),
    ]


def _is_beyond_doubles(value: Logic) -> Logic:
    """NaN, infinity, and Python's integers that no double holds."""
    return every([*_numeric(value), some([{"!==": [value, value]}, *_beyond(value)])])


def _is_number(value: Logic) -> Logic:
    whole = {"===": [value, value]}  # NaN is not equal to itself
    return every([*_numeric(value), negation(_is_boolean(value)), whole, negation(some(_beyond(value)))])


def _beyond(value: Logic) -> list[Logic]:
    return [{">": [value, _LARGEST_DOUBLE]}, {"<": [value, -_LARGEST_DOUBLE]}]
