"""Constraints: from their JSON to predicates over a context (section 3 of the evaluation page)."""

from __future__ import annotations

import operator as compare
from collections.abc import Callable, Set
from dataclasses import dataclass
from ipaddress import IPv4Network
from math import ceil, floor
from sys import intern
from typing import Any, NamedTuple, Protocol, TypeVar

from countersign.addresses import read_address, read_block
from countersign.context import Context, Predicate, number_of, present, text_of
from countersign.members import DocumentError, Members, shown
from countersign.times import microseconds, read_time
from countersign.versions import Version, read_version

LARGEST_DIGIT = 2**30 - 1
"""The largest integer of one digit, with which CPython compares fastest; most numbers are smaller."""
MOST_REMEMBERED = 4
"""Texts that a constraint remembers: as many as the smallest set holds."""
LONGEST_REMEMBERED = 128
"""Characters of such a text."""

Test = Callable[[Any], bool]
"""What an attribute's value comes to, None where it is absent."""

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Answering(Protocol[T_co]):
    """Answers for a context; the region of a client's static context changes nothing."""

    def __call__(self, context: Context, region: object = None, /) -> T_co: ...


@dataclass(frozen=True)
class Scope:
    """How constraints are read: strictly or not, and what a segment's name leads to.

    ``segment`` answers the predicate of a segment by its name (and the path that names it); it is None
    inside segments, because segments do not name segments.
    """

    strict: bool
    segment: Callable[[str, str], Predicate] | None


class Spec(NamedTuple):
    """What a constraint comes to, negation included."""

    hit: bool
    miss: bool
    missing: bool


class TextCondition(NamedTuple):
    """A constraint on one attribute that is known to hold for the strings ``texts``.

    ``only_texts``: it holds for nothing else. Otherwise ``holds`` answers for any other value.
    """

    attribute: str
    texts: Set[str]
    only_texts: bool
    holds: Test


class NumberCondition(NamedTuple):
    """A constraint on one attribute that holds for the integers from ``low`` to ``high``.

    For any other value ``holds`` answers.
    """

    attribute: str
    low: int
    high: int
    holds: Test


class Conditions(NamedTuple):
    """Constraints that must all hold: those on attributes, and whether those that name segments do."""

    texts: tuple[TextCondition, ...]
    numbers: tuple[NumberCondition, ...]
    in_segments: Predicate | None


_MEMBERS = frozenset({"attribute", "operator", "values", "negate", "missing"})


def read_conditions(values: object, at: str, scope: Scope) -> Conditions:
    """Reads a list of constraints. Raises DocumentError naming the member that breaks the page."""
    if type(values) is not list:
        raise DocumentError(at, f"is {shown(values)}, not an array of constraints")
    texts: list[TextCondition] = []
    numbers: list[NumberCondition] = []
    segments: list[Predicate] = []
    for position, value in enumerate(values):
        read = _read_constraint(value, f"{at}[{position}]", scope)
        if isinstance(read, TextCondition):
            texts.append(read)
        elif isinstance(read, NumberCondition):
            numbers.append(read)
        else:
            segments.append(read)
    in_segments = None
    if segments:
        in_segments = (
            segments[0] if len(segments) == 1 else lambda context: all(each(context) for each in segments)
        )
    return Conditions(tuple(texts), tuple(numbers), in_segments)


def by_conditions(conditions: Conditions, all_hold: T, otherwise: T) -> Answering[T]:
    """What answers ``all_hold`` for a context for which all conditions hold. Its second argument changes nothing.

    A loop and no call for each: half the time.
    """
    # Plain tuples, for CPython takes a named one apart in twice the time.
    texts_of = tuple((*condition,) for condition in conditions.texts)
    range_of = tuple((*condition,) for condition in conditions.numbers)
    in_segments = conditions.in_segments

    def answer(context: Context, region: object = None) -> T:
        for attribute, texts, only_texts, holds in texts_of:
            value = context.get(attribute)
            if type(value) is str:
                if value in texts:
                    continue
                if only_texts:
                    return otherwise
            if not holds(value):
                return otherwise
        for attribute, low, high, holds in range_of:
            value = context.get(attribute)
            # Two comparisons are quicker than a chain of them, which CPython does not specialise.
            if type(value) is int and low <= value and value <= high:
                continue
            if not holds(value):
                return otherwise
        return all_hold if in_segments is None or in_segments(context) else otherwise

    return answer


def conjunction(conditions: Conditions) -> Predicate | None:
    """Whether all of them hold; None where there are none, and everyone is meant."""
    if not conditions.texts and not conditions.numbers:
        return conditions.in_segments
    return by_conditions(conditions, all_hold=True, otherwise=False)


def _read_constraint(value: object, at: str, scope: Scope) -> TextCondition | NumberCondition | Predicate:
    members = Members(value, at, _MEMBERS, strict=scope.strict)
    name = members.text("operator")
    negate, missing = members.boolean("negate", False), members.boolean("missing", False)
    attribute = intern(members.text("attribute", empty=True))
    if name == "in_segment" and attribute:
        raise DocumentError(members.path("attribute"), 'is for segments; in_segment has "" here')
    if name != "in_segment" and not attribute:
        raise DocumentError(members.path("attribute"), "is empty; name the attribute to look at")
    spec = Spec(not negate, negate, missing)
    values = members.sequence("values", *(([],) if name == "exists" else ()))
    here = members.path("values")
    if name == "exists":
        if values:
            raise DocumentError(here, "are not for exists; remove them")
        return _by_test(attribute, lambda value: present(value) is not negate)
    if not values:
        raise DocumentError(here, "is empty; give at least one value")
    if name == "in_segment":
        return _in_segment(spec, values, here, scope)
    reader = _READERS.get(name)
    if reader is None:
        known = ", ".join([*_READERS, "exists", "in_segment"])
        raise DocumentError(members.path("operator"), f"{shown(name)} is not known; known are {known}")
    test = reader(spec, values, here)
    if name == "in":
        if negate or missing or any(type(text) is not str for text in values):
            return _by_test(attribute, test)
        # The same strings stand in many flags: one object each keeps the processor's caches warm.
        return TextCondition(attribute, frozenset(map(intern, values)), True, test)
    if name in _ORDERS:
        return NumberCondition(attribute, *_integers(name, values[0], negate), test)
    return _over_texts(attribute, test)


def _by_test(attribute: str, test: Test) -> TextCondition:
    return TextCondition(attribute, frozenset(), False, test)


def _over_texts(attribute: str, test: Test) -> TextCondition:
    """A constraint that takes a while to read a string: strings that satisfied it twice in a row are remembered.

    At most as many as ``MOST_REMEMBERED``. Threads may mix the steps: a text more or less is remembered then, and
    never one that does not satisfy it.
    """
    texts: set[str] = set()
    last = ""

    def holds(value: Any) -> bool:
        nonlocal last
        if not test(value):
            return False
        if type(value) is str and len(value) <= LONGEST_REMEMBERED:
            if value == last:
                if len(texts) >= MOST_REMEMBERED:
                    texts.clear()
                texts.add(value)
            last = value
        return True

    return TextCondition(attribute, texts, False, holds)


_ORDERS = {"gt": (floor, 1, True), "gte": (ceil, 0, True), "lt": (ceil, 0, False), "lte": (floor, 1, False)}
"""For each operator the first integer from a bound on, and whether it holds from there or below."""


def _integers(name: str, bound: int | float, negate: bool) -> tuple[int, int]:
    """From and to: the integers of one digit that satisfy a comparison with the bound."""
    rounded, more, upwards = _ORDERS[name]
    first = rounded(bound) + more
    if upwards is not negate:
        return max(first, -LARGEST_DIGIT), LARGEST_DIGIT
    return -LARGEST_DIGIT, min(first - 1, LARGEST_DIGIT)


def _in_segment(spec: Spec, values: list[Any], at: str, scope: Scope) -> Predicate:
    if scope.segment is None:
        raise DocumentError(at, "name segments, which a segment cannot do; use the constraints themselves")
    predicates = tuple(scope.segment(name, f"{at}[{i}]") for i, name in enumerate(_texts(values, at)))
    hit, miss = spec.hit, spec.miss

    def holds(context: Context) -> bool:
        for predicate in predicates:
            if predicate(context):
                return hit
        return miss

    return holds


def _in(spec: Spec, values: list[Any], at: str) -> Test:
    texts: set[str] = set()
    others: set[tuple[bool, int | float]] = set()  # (is a boolean, value): true is not 1, but 1 is 1.0
    for position, value in enumerate(values):
        if type(value) is str:
            texts.add(value)
        elif type(value) is bool:
            others.add((True, value))
        else:
            others.add((False, _number(value, f"{at}[{position}]", "a string, number or boolean")))
    hit, miss, missing = spec

    def holds(value: Any) -> bool:
        if type(value) is str:
            return hit if value in texts else miss
        if type(value) is bool:
            return hit if (True, value) in others else miss
        number = number_of(value)
        if number is not None:
            return hit if (False, number) in others else miss
        text = text_of(value)
        if text is not None:
            return hit if text in texts else miss
        return missing

    return holds


def _contains(spec: Spec, values: list[Any], at: str) -> Test:
    parts = tuple(_texts(values, at))

    def test(text: str) -> bool:
        for part in parts:  # noqa: SIM110  # any() over a generator costs five times as much
            if part in text:
                return True
        return False

    return _over_text(spec, test)


def _starts_with(spec: Spec, values: list[Any], at: str) -> Test:
    parts = tuple(_texts(values, at))
    return _over_text(spec, lambda text: text.startswith(parts))


def _ends_with(spec: Spec, values: list[Any], at: str) -> Test:
    parts = tuple(_texts(values, at))
    if len(parts) > 1:
        return _over_text(spec, lambda text: text.endswith(parts))
    # The usual one value, with neither a test's call nor the method's: half the time.
    (end,), tail = parts, slice(-len(parts[0]), None)
    hit, miss, missing = spec

    def holds(text: Any) -> bool:
        if type(text) is not str:
            text = text_of(text)
            if text is None:
                return missing
        return hit if text[tail] == end else miss

    return holds


def _over_text(spec: Spec, test: Callable[[str], bool | None]) -> Test:
    """A predicate over a string; the test answers None for a string that the operator cannot read."""
    hit, miss, missing = spec

    def holds(text: Any) -> bool:
        if type(text) is not str:
            text = text_of(text)
            if text is None:
                return missing
        outcome = test(text)
        if outcome is None:
            return missing
        return hit if outcome else miss

    return holds


def _above(spec: Spec, values: list[Any], at: str) -> Test:
    bound = _number(_only(values, at), f"{at}[0]", "a number")
    smallest, largest = -LARGEST_DIGIT, LARGEST_DIGIT
    hit, miss, missing = spec

    def holds(number: Any) -> bool:
        if type(number) is int and smallest <= number <= largest:  # as it is, without a call
            return hit if number > bound else miss
        number = number_of(number)
        if number is None:
            return missing
        return hit if number > bound else miss

    return holds


def _from(spec: Spec, values: list[Any], at: str) -> Test:
    bound = _number(_only(values, at), f"{at}[0]", "a number")
    smallest, largest = -LARGEST_DIGIT, LARGEST_DIGIT
    hit, miss, missing = spec

    def holds(number: Any) -> bool:
        if type(number) is int and smallest <= number <= largest:  # as in _above
            return hit if number >= bound else miss
        number = number_of(number)
        if number is None:
            return missing
        return hit if number >= bound else miss

    return holds


def _not(reader: Callable[[Spec, list[Any], str], Test]) -> Callable[[Spec, list[Any], str], Test]:
    """The opposite operator: what is not above is at most, for none of the numbers here is NaN."""
    return lambda spec, values, at: reader(spec._replace(hit=spec.miss, miss=spec.hit), values, at)


def _semver(satisfies: Callable[[Version, Version], bool]) -> Callable[[Spec, list[Any], str], Test]:
    def reader(spec: Spec, values: list[Any], at: str) -> Test:
        bounds: list[Version] = []
        for position, text in enumerate(_texts(values, at)):
            bound = read_version(text)
            if bound is None:
                reason = f"{shown(text)} is not a version like 1.4.0, v2 or 2-rc.1"
                raise DocumentError(f"{at}[{position}]", reason)
            bounds.append(bound)

        def test(text: str) -> bool | None:
            version = read_version(text)
            return None if version is None else any(satisfies(version, bound) for bound in bounds)

        return _over_text(spec, test)

    return reader


def _moment(order: Callable[[int, int], bool]) -> Callable[[Spec, list[Any], str], Test]:
    def reader(spec: Spec, values: list[Any], at: str) -> Test:
        (text,) = _texts([_only(values, at)], at)
        bound = read_time(text) if text.endswith("Z") else None
        if bound is None:
            raise DocumentError(f"{at}[0]", f"{shown(text)} is not a time like 2026-11-20T12:00:00Z")
        hit, miss, missing = spec

        def holds(value: Any) -> bool:
            number = number_of(value)
            if number is not None:
                moment: int | None = microseconds(number)
            else:
                text = text_of(value)
                moment = None if text is None else read_time(text)
            if moment is None:
                return missing
            return hit if order(moment, bound) else miss

        return holds

    return reader


def _ip_in(spec: Spec, values: list[Any], at: str) -> Test:
    blocks: dict[int, list[tuple[int, int]]] = {4: [], 6: []}
    for position, text in enumerate(_texts(values, at)):
        block = read_block(text)
        if block is None:
            raise DocumentError(
                f"{at}[{position}]", f"{shown(text)} is not a block like 10.0.0.0/8 (a length, no host bits)"
            )
        version = 4 if isinstance(block, IPv4Network) else 6
        blocks[version].append((int(block.netmask), int(block.network_address)))

    def test(text: str) -> bool | None:
        address = read_address(text)
        if address is None:
            return None
        number = int(address)
        return any(number & mask == network for mask, network in blocks[address.version])

    return _over_text(spec, test)


def _includes(spec: Spec, values: list[Any], at: str) -> Test:
    wanted = frozenset(_texts(values, at))
    hit, miss, missing = spec

    def holds(value: Any) -> bool:
        if not isinstance(value, (list, tuple)):
            return missing
        texts = [text_of(item) for item in value]
        if None in texts:
            return missing
        return miss if wanted.isdisjoint(texts) else hit

    return holds


def _same_major(version: Version, bound: Version) -> bool:
    return version.major == bound.major and version >= bound


def _same_minor(version: Version, bound: Version) -> bool:
    return version[:2] == bound[:2] and version >= bound


_READERS: dict[str, Callable[[Spec, list[Any], str], Test]] = {
    "in": _in,
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
    "gt": _above,
    "gte": _from,
    "lt": _not(_from),
    "lte": _not(_above),
    "semver_eq": _semver(compare.eq),
    "semver_gt": _semver(compare.gt),
    "semver_gte": _semver(compare.ge),
    "semver_lt": _semver(compare.lt),
    "semver_lte": _semver(compare.le),
    "semver_caret": _semver(_same_major),
    "semver_tilde": _semver(_same_minor),
    "before": _moment(compare.lt),
    "after": _moment(compare.gt),
    "ip_in": _ip_in,
    "includes": _includes,
}


def _only(values: list[Any], at: str) -> Any:
    if len(values) != 1:
        raise DocumentError(at, f"has {len(values)} values; this operator takes exactly 1")
    return values[0]


def _texts(values: list[Any], at: str) -> list[str]:
    for position, value in enumerate(values):
        if type(value) is not str:
            raise DocumentError(f"{at}[{position}]", f"is {shown(value)}, not a string")
        if not value:
            raise DocumentError(f"{at}[{position}]", "is empty, which would match everything or nothing")
    return values


def _number(value: object, at: str, wanted: str) -> int | float:
    number = number_of(value)
    if number is None:
        raise DocumentError(at, f"is {shown(value)}, not {wanted}")
    return number
