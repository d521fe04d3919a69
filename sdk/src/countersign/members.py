"""Reading the members of a JSON document, and refusing by name what cannot be read."""

from __future__ import annotations

import re
from typing import Any

KEY_PATTERN = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
"""Keys of flags, variants, segments, projects and environments."""

KEY_HINT = "write letters, digits and, after the first, '.', '_' or '-'; at most 128"

LARGEST_INTEGER = 2**53 - 1
"""The largest magnitude up to which every integer is an IEEE 754 double of its own."""

_ABSENT: Any = object()


class DocumentError(ValueError):
    """A document was refused.

    ``member`` is the path of the member at fault (``rules[2].serve.split.weights``), ``reason`` what is
    wrong with it and what would be right.
    """

    def __init__(self, member: str, reason: str) -> None:
        super().__init__(f"{member}: {reason}")
        self.member = member
        self.reason = reason


def shown(value: object) -> str:
    """A value as an error message shows it: short, and on one line."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def step(name: object) -> str:
    """A member's name as a path shows it: as it is, or quoted where it is empty, long or cannot be printed."""
    return name if type(name) is str and name.isprintable() and 0 < len(name) <= 128 else shown(name)


def integer(value: object) -> int | None:
    """The integer that a number is (3.0 is 3, -0 is 0), or None: a fraction, beyond ±(2^53-1), no number."""
    if type(value) is int and -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        return value
    if type(value) is float and value.is_integer() and -LARGEST_INTEGER <= value <= LARGEST_INTEGER:
        return int(value)
    return None


class Members:
    """The members of one JSON object at the path ``at``.

    Writers are strict: a member that the format does not know is refused. Readers ignore it, because a
    newer writer may have had a reason for it.
    """

    __slots__ = ("_object", "at")

    def __init__(
        self, value: object, at: str, known: frozenset[str], *, strict: bool, name: str = ""
    ) -> None:
        if type(value) is not dict:
            raise DocumentError(at or name, f"is {shown(value)}, not an object")
        self._object: dict[str, Any] = value
        self.at = at
        if strict:
            for member in value:
                if member not in known:
                    raise DocumentError(
                        self.path(step(member)), f"is not known here; known are {', '.join(sorted(known))}"
                    )

    def path(self, member: str) -> str:
        """The full path of one of the members."""
        return f"{self.at}.{member}" if self.at else member

    def has(self, member: str) -> bool:
        """Whether the member is written."""
        return member in self._object

    def take(self, member: str, default: Any = _ABSENT) -> Any:
        """The member as it is; without a default it is required."""
        value = self._object.get(member, default)
        if value is _ABSENT:
            raise DocumentError(self.path(member), "is missing, and required")
        return value

    def boolean(self, member: str, default: Any = _ABSENT) -> bool:
        """A member that is true or false."""
        value = self.take(member, default)
        if type(value) is not bool:
            raise DocumentError(self.path(member), f"is {shown(value)}, not true or false")
        return value

    def text(self, member: str, default: Any = _ABSENT, *, empty: bool = False) -> str:
        """A member that is a string, non-empty unless ``empty`` is allowed."""
        value = self.take(member, default)
        if type(value) is not str:
            raise DocumentError(self.path(member), f"is {shown(value)}, not a string")
        if not value and not empty:
            raise DocumentError(self.path(member), "is empty; give it a name or a value")
        return value

    def text_or_null(self, member: str) -> str | None:
        """A member that is a string, null or left out."""
        return None if self.take(member, None) is None else self.text(member)

    def count(self, member: str) -> int:
        """A member that is an integer of zero or more."""
        value = self.take(member)
        whole = integer(value)
        if whole is None or whole < 0:
            raise DocumentError(self.path(member), f"is {shown(value)}, not an integer of 0 or more")
        return whole

    def sequence(self, member: str, default: Any = _ABSENT) -> list[Any]:
        """A member that is an array."""
        value = self.take(member, default)
        if type(value) is not list:
            raise DocumentError(self.path(member), f"is {shown(value)}, not an array")
        return value

    def mapping(self, member: str, default: Any = _ABSENT) -> dict[str, Any]:
        """A member that is an object whose member names are data."""
        value = self.take(member, default)
        if type(value) is not dict:
            raise DocumentError(self.path(member), f"is {shown(value)}, not an object")
        return value


def targeting_keys(values: object, at: str, *, strict: bool) -> list[str]:
    """An array of targeting keys, none of them twice. Writers refuse the empty key, which matches nobody."""
    if type(values) is not list:
        raise DocumentError(at, f"is {shown(values)}, not an array of targeting keys")
    seen: set[str] = set()
    for position, key in enumerate(values):
        if type(key) is not str:
            raise DocumentError(f"{at}[{position}]", f"is {shown(key)}, not a string")
        if strict and not key:
            raise DocumentError(f"{at}[{position}]", "is empty, and would match nobody; remove it")
        if key in seen:
            raise DocumentError(f"{at}[{position}]", f"{shown(key)} is listed twice; remove one")
        seen.add(key)
    return values
