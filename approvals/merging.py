"""Three ways to look at a document: what was seen, what stands now, what was asked for; and putting them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit.jcs import canonical

ABSENT: Any = object()
# Taken as a whole: half of one split and half of another is a split that nobody asked for.
_WHOLE = frozenset({"/default"})


@dataclass(frozen=True, slots=True)
class Member:
    """A member in which the three differ. `pointer`: RFC 6901. `ABSENT` where a document has none."""

    pointer: str
    seen: Any
    now: Any
    proposed: Any

    @property
    def collides(self) -> bool:
        """Whether it changed meanwhile, and the request makes something else of it."""
        one_sided = _same(self.now, self.seen) or _same(self.proposed, self.seen)
        return not one_sided and not _same(self.now, self.proposed)

    @property
    def changed_meanwhile(self) -> bool:
        return not _same(self.now, self.seen)


def three_way(seen: Any, now: Any, proposed: Any) -> tuple[list[Member], Any]:
    """The members in which the documents differ, and what they make together.

    Where a member collides, that has what was asked for. Lists are compared as a whole. None: no document.
    """
    members: list[Member] = []
    together = _together(members, "", *(ABSENT if each is None else each for each in (seen, now, proposed)))
    return members, None if together is ABSENT else together


def _together(members: list[Member], pointer: str, seen: Any, now: Any, proposed: Any) -> Any:
    sides = (seen, now, proposed)
    if _same(seen, now) and _same(seen, proposed):
        return now
    if pointer in _WHOLE or not all(isinstance(each, Mapping) for each in sides):
        member = Member(pointer, *sides)
        members.append(member)
        return now if _same(proposed, seen) else proposed
    parts = {
        name: _together(members, f"{pointer}/{_escaped(name)}", *(each.get(name, ABSENT) for each in sides))
        for name in sorted(set().union(*sides))
    }
    return {name: value for name, value in parts.items() if value is not ABSENT}


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical(one) == canonical(other)
