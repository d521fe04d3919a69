"""The JSON of a snapshot's lines, with its limits, and nothing that two readers could read differently."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from countersign.members import LARGEST_INTEGER, DocumentError, shown, step

LONGEST_LINE = 1024 * 1024
"""Bytes of a line, its LF not counted."""

DEEPEST = 32
"""Levels of nesting of a line: the line's own array or object is the first."""


_QUOTE_OR_BRACKET = re.compile(rb'\\.|["\[\]{}]')


class LineError(ValueError):
    """A line is not JSON as a snapshot's lines are; the message says why."""


def read_line(line: bytes) -> Any:
    """The value of a line (without its LF). Numbers beyond ±(2^53-1) come as floats.

    Raises LineError: too long, not UTF-8, not JSON, a duplicate member, NaN or a number beyond the double
    range, a lone surrogate, too many levels of nesting. RecursionError where the line is fine, but the
    caller has used up the stack: that says nothing about the line.
    """
    if len(line) > LONGEST_LINE:
        raise LineError(f"has {len(line)} bytes, more than {LONGEST_LINE}")
    try:
        value = _DECODER.decode(line.decode("utf-8"))
    except RecursionError:
        if not _is_deep(line):
            raise
        raise LineError(f"is nested more than {DEEPEST} levels deep") from None
    except UnicodeDecodeError as error:
        raise LineError(f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise LineError(f"is not JSON at character {error.pos}: {error.msg}") from None
    # Only escapes can write a lone surrogate, and most lines have too few brackets to be deep.
    if b"\\u" in line:
        try:
            check_json(value, "", DEEPEST)
        except DocumentError as error:
            raise LineError(error.reason) from None
    elif line.count(b"[") + line.count(b"{") > DEEPEST and _nests_too_deep(value):
        raise LineError(f"is nested more than {DEEPEST} levels deep")
    return value


def _nests_too_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        members = (each.values() if type(each) is dict else each for each in level)
        level = [
            member for each in members for member in each if type(member) is dict or type(member) is list
        ]
        if not level:
            return False
    return True


def _is_deep(line: bytes) -> bool:
    """Whether brackets outside of strings are nested too deep, told without recursion."""
    depth, in_string = 0, False
    for match in _QUOTE_OR_BRACKET.finditer(line):
        mark = match[0]
        if mark == b'"':
            in_string = not in_string
        elif not in_string:
            depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(mark, 0)
            if depth > DEEPEST:
                return True
    return False


def check_json(value: object, at: str, levels: int, *, root: str = "line") -> None:
    """Refuses what canonical JSON cannot write, or nests more than ``levels`` deep, naming the member."""
    pending: list[tuple[Any, str, int]] = [(value, at, 0)]
    while pending:
        item, here, depth = pending.pop()
        kind = type(item)
        if kind is dict or kind is list:
            if depth == levels:
                raise DocumentError(here or root, f"is nested more than {levels} levels deep")
            if kind is list:
                pending.extend((member, f"{here}[{i}]", depth + 1) for i, member in enumerate(item))
                continue
            for name, member in item.items():
                if type(name) is not str or _has_lone_surrogate(name):
                    raise DocumentError(here or root, f"the member name {shown(name)} is not a text")
                pending.append((member, f"{here}.{step(name)}" if here else step(name), depth + 1))
        elif kind is str:
            if _has_lone_surrogate(item):
                raise DocumentError(here or root, "holds a lone surrogate, which has no UTF-8 form")
        elif kind is int:
            if not -LARGEST_INTEGER <= item <= LARGEST_INTEGER:
                raise DocumentError(here or root, "is an integer beyond ±(2^53-1); write it as a string")
        elif kind is float:
            if not math.isfinite(item):
                raise DocumentError(here or root, "is not a finite number")
        elif item is not None and kind is not bool:
            raise DocumentError(here or root, f"is a {kind.__name__}, which JSON does not have")


def _has_lone_surrogate(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise LineError(f"has the member {shown(name)} twice")
            seen.add(name)
    return members


def _integer(digits: str) -> int | float:
    if len(digits) <= 17:
        whole = int(digits)
        if -LARGEST_INTEGER <= whole <= LARGEST_INTEGER:
            return whole
    return _float(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise LineError(f"has the number {shown(digits)}, beyond the double range")
    return number


def _constant(name: str) -> Any:
    raise LineError(f"has {name}, which JSON does not have")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_int=_integer, parse_float=_float, parse_constant=_constant
)
