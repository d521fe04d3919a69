"""When a freeze is: its windows, from RFC 5545 recurrence, on the wall clock of its zone.

What recurs is the wall clock. A time that a DST night skips stands for the same time before the clocks moved,
one that it has twice for the first (RFC 5545, section 3.3.5). Whole days of a duration are days of the
calendar, the rest is exact (3.3.6): Friday 18:00 and 2 days 12 hours ends on Monday at 06:00 on every weekend.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr

from approvals.models import FreezeWindow

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
PARTS = ("FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTHDAY", "BYMONTH", "BYSETPOS", "WKST")
LONGEST = 366 * 86_400
_DAY = timedelta(days=1)
# The calendar repeats itself after so many years, weekdays included. The library looks for the next date until
# the year 9999, so a rule that never has one is looked for in its last centuries only, which takes no time.
_CYCLE, _LAST_START = 400, 9_599


class RuleError(ValueError):
    """This is no recurrence rule that we take; the text says why, and what we take."""


@dataclass(frozen=True, slots=True)
class Window:
    """One time for which a freeze holds: from `start`, up to but not including `end`, both in UTC."""

    freeze: FreezeWindow
    start: datetime
    end: datetime


def windows(freeze: FreezeWindow, after: datetime, before: datetime) -> list[Window]:
    """The freeze's windows that touch the time from `after` to `before`, in order of their start."""
    if not freeze.rrule:
        assert freeze.ends_at is not None
        found = [Window(freeze, freeze.starts_at.astimezone(UTC), freeze.ends_at.astimezone(UTC))]
    else:
        assert freeze.duration is not None
        zone, lasting = ZoneInfo(freeze.zone), timedelta(seconds=freeze.duration)
        # A day more on both sides: the wall clock and UTC differ by less.
        earliest = _wall(after, zone) - lasting - 2 * _DAY
        found = [
            _window(freeze, wall, zone) for wall in occurrences(freeze, earliest, _wall(before, zone) + _DAY)
        ]
    return [each for each in found if each.end > after and each.start < before]


def occurrences(freeze: FreezeWindow, earliest: datetime, latest: datetime) -> list[datetime]:
    """When a recurring freeze starts between two times, on the wall clock of its zone (naive, both included).

    Raises `RuleError` for a rule that we do not take.
    """
    zone = ZoneInfo(freeze.zone)
    first = _wall(freeze.starts_at, zone)
    if latest < first:
        return []
    years = (_LAST_START - first.year) // _CYCLE * _CYCLE
    rule = _rule(freeze.rrule, zone, first, years)
    found = rule.between(_moved(max(earliest, first), years), _moved(latest, years), inc=True)
    return [_moved(each, -years) for each in found]


def window_from(freeze: FreezeWindow, moment: datetime) -> Window:
    """The window of a recurring freeze that begins at a moment."""
    zone = ZoneInfo(freeze.zone)
    return _window(freeze, _wall(moment, zone), zone)


def _window(freeze: FreezeWindow, wall: datetime, zone: ZoneInfo) -> Window:
    days, seconds = divmod(freeze.duration or 0, 86_400)
    end = _moment(wall + timedelta(days=days), zone) + timedelta(seconds=seconds)
    return Window(freeze, _moment(wall, zone), end)


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _moment(wall: datetime, zone: ZoneInfo) -> datetime:
    # `fold` 0: the offset before the clocks move, for times that there are not and for those there are twice.
    return wall.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _moved(wall: datetime, years: int) -> datetime:
    return wall.replace(year=wall.year + years)


def _rule(text: str, zone: ZoneInfo, first: datetime, years: int) -> rrule:
    """The rule of the text from `first` on, both `years` later. Raises `RuleError`."""
    parts = parts_of(text)
    until = parts.pop("UNTIL", "")
    if until and "COUNT" in parts:
        raise RuleError("has both UNTIL and COUNT; say one of them")
    try:
        if until:
            last = datetime.fromisoformat(until)
            last = _wall(last, zone) if last.tzinfo else last
            if len(until) == len("20261231"):
                last += _DAY - timedelta(seconds=1)
            parts["UNTIL"] = _moved(last, years).strftime("%Y%m%dT%H%M%S")
        told = ";".join(f"{name}={value}" for name, value in parts.items())
        made = rrulestr(told, dtstart=_moved(first, years))
    except (ValueError, KeyError, TypeError, IndexError, OverflowError) as error:
        raise RuleError(f"is not understood ({error}); write it like FREQ=WEEKLY;BYDAY=FR") from error
    assert isinstance(made, rrule)
    return made


def parts_of(text: str) -> dict[str, str]:
    """A rule's parts by their names. Raises `RuleError`."""
    parts: dict[str, str] = {}
    for part in text.upper().removeprefix("RRULE:").split(";"):
        name, equals, value = part.strip().partition("=")
        if not equals or not value or name in parts:
            raise RuleError(f"has {part!r}, which is no NAME=VALUE or there twice; parts are separated by ;")
        if name not in PARTS:
            raise RuleError(f"has the part {name}; a freeze takes {', '.join(PARTS)}")
        parts[name] = value
    if parts.get("FREQ") not in FREQUENCIES:
        raise RuleError(f"must begin with FREQ= and one of {', '.join(FREQUENCIES)}; a day is the shortest")
    return parts
