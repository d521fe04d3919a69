"""A readable line diff of two JSON documents."""

from __future__ import annotations

import json
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


def _text(value: Any) -> list[str]:
    if value is None:
        return []
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True).splitlines()


def lines(before: Any, after: Any) -> list[Line]:
    """All lines of both, in reading order. None stands for no document."""
    old, new = _text(before), _text(after)
    found: list[Line] = []
    for verb, a, a_end, b, b_end in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if verb == "equal":
            found += [Line(" ", old[a + n], a + n + 1, b + n + 1) for n in range(a_end - a)]
            continue
        found += [Line("-", old[n], n + 1, None) for n in range(a, a_end)]
        found += [Line("+", new[n], None, n + 1) for n in range(b, b_end)]
    return found
