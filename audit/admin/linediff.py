"""A readable line diff of two JSON documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

Sign = Literal[" ", "-", "+"]


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its sign, its number in the document before and after (None where it is in one only)."""

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
    texts = [text for text, _pointer in old], [text for text, _pointer in new]
    found: list[Line] = []
    for verb, a, a_end, b, b_end in SequenceMatcher(None, *texts, autojunk=False).get_opcodes():
        if verb == "equal":
            found += [Line(" ", new[b + n][0], a + n + 1, b + n + 1, new[b + n][1]) for n in range(a_end - a)]
            continue
        found += [Line("-", old[n][0], n + 1, None, old[n][1]) for n in range(a, a_end)]
        found += [Line("+", new[n][0], None, n + 1, new[n][1]) for n in range(b, b_end)]
    return found
