"""Three ways to look at a document: what was seen, what stands now, what was asked for; and putting them together."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audit.jcs import canonical
from flags.subjects import Kind

ABSENT: Any = object()
# What becomes of a member, and the members of it that differ.
Merge = Callable[["list[Member]", str, Any, Any, Any], Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A member in which the three differ. `ABSENT` where a document has none.

    `pointer`: RFC 6901, but that a rule is named by its id and a unit in `targets` by its key, which are what the
    three have in common.
    """

    pointer: str
    seen: Any
    now: Any
    proposed: Any
    # A list of which each element comes and goes for itself, so that two changes of it always fit together.
    is_set: bool = False

    @property
    def collides(self) -> bool:
        """Whether it changed meanwhile, and the request makes something else of it."""
        one_sided = _same(self.now, self.seen) or _same(self.proposed, self.seen)
        return not self.is_set and not one_sided and not _same(self.now, self.proposed)

    @property
    def changed_meanwhile(self) -> bool:
        return not _same(self.now, self.seen)

    @property
    def told(self) -> dict[str, Any]:
        """For `countersign/divergence.html`: the three as JSON, a dash where there is none."""
        sides = {name: _told(getattr(self, name)) for name in ("seen", "now", "proposed")}
        return {"pointer": self.pointer, "collides": self.collides, **sides}


def three_way(kind: Kind, seen: Any, now: Any, proposed: Any) -> tuple[list[Member], Any]:
    """The members in which the documents of a kind of subject differ, and what they make together.

    Rules are compared by their id, targets by unit, tags and the keys of a segment as sets, other lists as a whole.
    Where a member collides, that has what was asked for. None: no document.
    """
    members: list[Member] = []
    own = _OF_KIND.get(kind, {})
    sides = (ABSENT if each is None else each for each in (seen, now, proposed))
    together = _together(members, own, "", *sides)
    return members, None if together is ABSENT else together


def _together(
    members: list[Member], own: Mapping[str, Merge], pointer: str, seen: Any, now: Any, proposed: Any
) -> Any:
    sides = (seen, now, proposed)
    if _same(seen, now) and _same(seen, proposed):
        return now
    if merge := own.get(pointer):
        together = merge(members, pointer, *sides)
        # As it was written, where only one side wrote.
        return proposed if _same(seen, now) else now if _same(seen, proposed) else together
    if not all(isinstance(each, Mapping) for each in sides):
        return _whole(members, pointer, *sides)
    parts = {
        name: _together(members, own, _under(pointer, name), *(each.get(name, ABSENT) for each in sides))
        for name in sorted(set().union(*sides))
    }
    return {name: value for name, value in parts.items() if value is not ABSENT}


def _whole(members: list[Member], pointer: str, seen: Any, now: Any, proposed: Any) -> Any:
    members.append(Member(pointer, seen, now, proposed))
    return now if _same(proposed, seen) else proposed


def _set(members: list[Member], pointer: str, seen: Any, now: Any, proposed: Any) -> Any:
    """What stands now, without what was to be taken away, and then what was to be added."""
    members.append(Member(pointer, seen, now, proposed, is_set=True))
    was, stand, asked = (_list(each) for each in (seen, now, proposed))
    gone, there = set(was) - set(asked), set(stand)
    return [each for each in stand if each not in gone] + [
        each for each in asked if each not in there and each not in was
    ] or ABSENT


def _targets(members: list[Member], pointer: str, seen: Any, now: Any, proposed: Any) -> Any:
    """By unit: it collides where both give it to another variant, or one takes away what the other gives."""
    sides = [{} if each is ABSENT else each for each in (seen, now, proposed)]
    was, stand, asked = (
        {unit: variant for variant, units in side.items() for unit in units} for side in sides
    )
    placed = {}
    for unit in (*stand, *(each for each in asked if each not in stand)):
        found = Member(_under(pointer, unit), *(side.get(unit, ABSENT) for side in (was, stand, asked)))
        if found.collides:
            members.append(found)
        placed[unit] = found.now if _same(found.proposed, found.seen) else found.proposed
    for unit in was.keys() - stand.keys() - asked.keys():
        placed.pop(unit, None)
    for variant in sorted({*sides[0], *sides[1], *sides[2]}):
        seen, now, proposed = (side.get(variant, ABSENT) for side in sides)
        if not (_same(seen, now) and _same(seen, proposed)):
            members.append(Member(_under(pointer, variant), seen, now, proposed, is_set=True))
    together: dict[str, list[str]] = {}
    for unit, variant in placed.items():
        if variant is not ABSENT:
            together.setdefault(variant, []).append(unit)
    return together or ABSENT


def _rules(members: list[Member], pointer: str, seen: Any, now: Any, proposed: Any) -> Any:
    """By id. It collides where both changed the same rule, or both put the rules in another order."""
    was, stand, asked = ({rule["id"]: rule for rule in _list(each)} for each in (seen, now, proposed))
    rules = {}
    for key in (*was, *stand, *asked):
        sides = [side.get(key, ABSENT) for side in (was, stand, asked)]
        if key not in rules:
            is_same = all(_same(sides[0], each) for each in sides)
            rules[key] = sides[0] if is_same else _whole(members, _under(pointer, key), *sides)
    was_order = [key for key in was if key in stand and key in asked]
    now_order, asked_order = ([key for key in side if key in was_order] for side in (stand, asked))
    if not was_order == now_order == asked_order:
        members.append(Member(pointer, was_order, now_order, asked_order))
    # Of rules that both put in the same place, those that stand there are asked first.
    if asked_order == was_order:
        order = _order(list(stand), list(asked), others_last=True)
    else:
        order = _order(list(asked), list(stand), others_last=False)
    return [rules[key] for key in order if rules[key] is not ABSENT] or ABSENT


def _order(order: list[str], others: Sequence[str], *, others_last: bool) -> list[str]:
    """The order with what only the others have, each behind what it is behind there."""
    for index, key in enumerate(others):
        if key in order:
            continue
        at = order.index(others[index - 1]) + 1 if index else 0
        while others_last and at < len(order) and order[at] not in others:
            at += 1
        order.insert(at, key)
    return order


_OF_KIND: Mapping[Kind, Mapping[str, Merge]] = {
    # Half of one split and half of another is a split that nobody asked for.
    "configuration": {"/default": _whole, "/rules": _rules, "/targets": _targets},
    "definition": {"/tags": _set},
    "segment": {"/included": _set, "/excluded": _set},
}


def _list(value: Any) -> list[Any]:
    return [] if value is ABSENT else list(value)


def _under(pointer: str, name: str) -> str:
    return f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"


def _told(value: Any) -> str:
    return "–" if value is ABSENT else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _same(one: Any, other: Any) -> bool:
    if one is ABSENT or other is ABSENT:
        return one is other
    return canonical(one) == canonical(other)
