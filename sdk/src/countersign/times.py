"""Moments as the operators `before` and `after` read them: whole microseconds since 1970 in UTC."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction
from functools import lru_cache

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)
_EPOCH = date(1970, 1, 1).toordinal()


def read_time(text: str) -> int | None:
    """Microseconds since 1970 of an RFC 3339 ``date-time``, or None where it is none.

    Upper-case T and Z, years 0001 to 9999, second at most 59, offset at most 23:59; digits beyond the
    microsecond are cut.
    """
    return (_remembered if len(text) <= _LONGEST_REMEMBERED else _read_time)(text)


def _read_time(text: str) -> int | None:
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hour, offset_minute = match.groups()[6:]
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    if sign:
        if int(offset_hour) > 23 or int(offset_minute) > 59:
            return None
        offset = (int(offset_hour) * 60 + int(offset_minute)) * 60
        seconds += -offset if sign == "+" else offset
    return seconds * 1_000_000 + int((fraction or "")[:6].ljust(6, "0"))


# The same few times are asked about again and again, by one context's flags most of all: to remember one takes
# 100 ns, to read it 3,000. Bounded by the number and the length of what a context may hold.
_LONGEST_REMEMBERED = 64
_remembered = lru_cache(maxsize=1_024)(_read_time)


def microseconds(seconds: int | float) -> int:
    """Epoch seconds of any size as whole microseconds, the nearest (a tie goes to the even one)."""
    return seconds * 1_000_000 if type(seconds) is int else round(Fraction(seconds) * 1_000_000)
