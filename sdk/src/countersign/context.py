"""What an evaluation context means: JSON values, as section 1 of the evaluation page reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from countersign.members import LARGEST_INTEGER, integer

Context = Mapping[str, Any]
Predicate = Callable[[Context], bool]


class Findings(NamedTuple):
    """What was found out about one context, in evaluations that share it."""

    segments: dict[Predicate, bool]
    served: dict[str, str | None]
    """What flags that others need serve, by key."""


# The member of a context that holds its findings: no attribute, for those have strings as names.
_FINDINGS: Any = object()


def sharing(context: Context) -> Context:
    """A copy of the context for several evaluations of one snapshot: what they find out is found out once."""
    return {**context, _FINDINGS: Findings({}, {})}


def findings(context: Context) -> Findings | None:
    """Where a context from ``sharing`` holds what was found out; None of any other."""
    return context.get(_FINDINGS)


def text_of(value: object) -> str | None:
    """The string that a context value is, or None. A native date-time is its RFC 3339 UTC string."""
    if type(value) is str:
        return value
    if isinstance(value, str):  # an enumeration's member, a lazy string: its characters count
        return str.__str__(value)
    if isinstance(value, datetime):
        return _rfc3339(value)
    return None


def number_of(value: object) -> int | float | None:
    """The number that a context value is, as a double would hold it, or None. A boolean is no number."""
    kind = type(value)
    if kind is bool:
        return None
    if isinstance(value, int):
        whole = value if kind is int else int.__int__(value)
        if -LARGEST_INTEGER <= whole <= LARGEST_INTEGER:
            return whole
        try:
            return float(whole)
        except OverflowError:
            return None
    if isinstance(value, float):
        return float.__float__(value) if math.isfinite(value) else None
    return None


def present(value: object) -> bool:
    """Whether a context value is there: null, NaN and numbers beyond the double range are not."""
    if isinstance(value, (int, float)) and type(value) is not bool:
        return number_of(value) is not None
    return value is not None


def bucketing_value(value: object) -> str | None:
    """The text that a split deals by: a string, or an integer in decimal; else None."""
    text = text_of(value)
    if text is not None:
        return text
    whole = integer(number_of(value))
    return None if whole is None else str(whole)


def _rfc3339(moment: datetime) -> str:
    # A naive date-time is taken as UTC: the machine's own zone would give other answers elsewhere.
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    try:
        moment = moment.astimezone(timezone.utc)
    except OverflowError:  # at the very ends of the calendar the offset leads out of it
        return moment.isoformat()
    return moment.replace(tzinfo=None).isoformat() + "Z"
