"""A readable line diff of two JSON documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from typing import Any, Literal

Sign = Literal[" ", "-", "+", "…"]
# Lines around a change that are told with it, where the others are only counted.
CONTEXT = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its sign, its number in the document before and after (None where it is in one only).

    The sign … stands for lines that are left out; the text is how many.
    """

    sign: Sign
    text: str
    before: int | None
    after: int | None
    # The member (RFC 6901) that the line tells of.
    pointer: str = ""


def _text(value: Any) -> list[tuple[str, str]]:
    """The lines of a document, each with the pointer of its member. None stands for no document."""
    return [] if value is None else list(_told(value, "", "", "", ""))


def _told(value: Any, pointer: str, indent: str, head: str, tail: str) -> Iterator[tuple[str, str]]:
    parts: list[tuple[str, str, Any]]
    if isinstance(value, dict) and value:
        ends = "{}"
        parts = [
            (f"{_json(name)}: ", name.replace("~", "~0").replace("/", "~1"), value[name])
            for name in sorted(value)
        ]
    elif isinstance(value, list) and value:
        ends, parts = "[]", [("", str(number), each) for number, each in enumerate(value)]
    else:
        yield f"{indent}{head}{_json(value)}{tail}", pointer
        return
    yield f"{indent}{head}{ends[0]}", pointer
    for number, (name, step, each) in enumerate(parts, 1):
        yield from _told(each, f"{pointer}/{step}", f"{indent}  ", name, "," if number < len(parts) else "")
    yield f"{indent}{ends[1]}{tail}", pointer


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def lines(before: Any, after: Any) -> list[Line]:
    """All lines of both, in reading order. None stands for no document."""
    old, new = _text(before), _text(after)
    first, last = _alike(old, new), _alike(old[::-1], new[::-1])
    last = min(last, len(old) - first, len(new) - first)
    found = _same(old, new, 0, 0, first)
    # Compared is only what lies between: two documents are mostly alike, and brackets repeat in all of their lines,
    # which the matcher takes quadratic time for.
    was, now = ([text for text, _pointer in each[first : len(each) - last]] for each in (old, new))
    for verb, a, a_end, b, b_end in SequenceMatcher(None, was, now).get_opcodes():
        a, a_end, b, b_end = a + first, a_end + first, b + first, b_end + first
        if verb == "equal":
            found += _same(old, new, a, b, a_end - a)
            continue
        found += [Line("-", old[n][0], n + 1, None, old[n][1]) for n in range(a, a_end)]
        found += [Line("+", new[n][0], None, n + 1, new[n][1]) for n in range(b, b_end)]
    return found + _same(old, new, len(old) - last, len(new) - last, last)


def folded(all_lines: Sequence[Line]) -> list[Line]:
    """What changed, with a few lines around it; the others are counted."""
    near = {
        place
        for number, line in enumerate(all_lines)
        if line.sign != " "
        for place in range(number - CONTEXT, number + CONTEXT + 1)
    }
    found: list[Line] = []
    for is_near, run in groupby(enumerate(all_lines), lambda each: each[0] in near):
        lines_of_run = [line for _number, line in run]
        # A single line takes no more room than to say that it was left out.
        if is_near or len(lines_of_run) == 1:
            found += lines_of_run
        else:
            found.append(Line("…", str(len(lines_of_run)), None, None))
    return found


def _alike(one: Sequence[tuple[str, str]], other: Sequence[tuple[str, str]]) -> int:
    """How many lines both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a[0] != b[0]), min(len(one), len(other)))


def _same(
    old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]], a: int, b: int, count: int
) -> list[Line]:
    return [Line(" ", new[b + n][0], a + n + 1, b + n + 1, new[b + n][1]) for n in range(count)]
