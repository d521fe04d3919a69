"""The order of flags that depend on each other, and the cycles among them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator


def dependency_order(
    start: Iterable[str], needs: Callable[[str], Iterable[str]], done: Container[str] = ()
) -> list[list[str]]:
    """Groups of keys reachable from ``start``, dependencies first; a group of several is one knot of cycles.

    ``done``: keys that are left out with all that they need, where they are not in ``start``.

    These are the strongly connected components (R. Tarjan, 1972), found without recursion because a
    reader does not choose how long a chain is. A key that needs itself is a group of one: see ``on_cycle``.
    """
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    open_keys: list[str] = []
    still_open: set[str] = set()
    groups: list[list[str]] = []

    path: list[tuple[str, Iterator[str]]] = []

    def enter(key: str) -> None:
        number[key] = low[key] = len(number)
        open_keys.append(key)
        still_open.add(key)
        path.append((key, iter(needs(key))))

    for root in start:
        if root in number:
            continue
        enter(root)
        while path:
            key, rest = path[-1]
            needed = next(rest, None)
            if needed is not None:
                if needed not in number:
                    if needed not in done:
                        enter(needed)
                elif needed in still_open:
                    low[key] = min(low[key], number[needed])
                continue
            path.pop()
            if path:
                low[path[-1][0]] = min(low[path[-1][0]], low[key])
            if low[key] == number[key]:
                group = [open_keys.pop()]
                while group[-1] != key:
                    group.append(open_keys.pop())
                still_open.difference_update(group)
                groups.append(group)
    return groups


def on_cycle(group: list[str], needs: Callable[[str], Iterable[str]]) -> bool:
    """Whether the keys of a group from ``dependency_order`` are on a cycle."""
    return len(group) > 1 or group[0] in needs(group[0])
