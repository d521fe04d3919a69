"""When a freeze is, in words: `every Friday 16:00 to Monday 08:00, Europe/Berlin`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from approvals.freezes.times import parts_of, window_from
from approvals.models import FreezeWindow
from flags import wording

_CODES = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_EACH = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year"}
_PLACES = {1: "first", 2: "second", 3: "third", 4: "fourth", 5: "fifth", -1: "last", -2: "last but one"}


def in_words(freeze: FreezeWindow) -> str:
    """Once: `21 Dec 2026, 17:00 to 4 Jan 2027, 08:00, Europe/Berlin`; again and again: by which rule, and how long."""
    zone = ZoneInfo(freeze.zone)
    start = freeze.starts_at.astimezone(zone)
    if freeze.ends_at:
        return f"{told(start)} to {told(freeze.ends_at.astimezone(zone))}, {freeze.zone}"
    parts = parts_of(freeze.rrule)
    end = window_from(freeze, start).end.astimezone(zone)
    days = (end.date() - start.date()).days
    if days == 0:
        lasting = f"to {end:%H:%M}"
    elif days < 7 and parts["FREQ"] == "WEEKLY" and len(_weekdays(parts, start)) == 1:
        lasting = f"to {_DAYS[(_CODES.index(_weekdays(parts, start)[0]) + days) % 7]} {end:%H:%M}"
    elif days == 1:
        lasting = f"to {end:%H:%M} the next day"
    else:
        lasting = f"for {_lasting(freeze.duration or 0)}"
    ending = ""
    if until := parts.get("UNTIL"):
        last = datetime.fromisoformat(until)
        ending = f", until {date_of(last.astimezone(zone) if last.tzinfo else last)}"
    elif count := parts.get("COUNT"):
        ending = f", {count} times from {date_of(start)} on"
    return f"{_rule(parts, start)} {start:%H:%M} {lasting}{ending}, {freeze.zone}"


def told(moment: datetime) -> str:
    """`21 Dec 2026, 17:00`."""
    return f"{date_of(moment)}, {moment:%H:%M}"


def date_of(moment: datetime) -> str:
    """Its date: `21 Dec 2026`."""
    return f"{moment.day} {moment:%b %Y}"


def _lasting(seconds: int) -> str:
    days, rest = divmod(seconds, 86_400)
    return " ".join(
        part for part in (f"{days} d" if days else "", wording.duration(rest) if rest else "") if part
    )


def _weekdays(parts: dict[str, str], first: datetime) -> list[str]:
    return parts["BYDAY"].split(",") if "BYDAY" in parts else [_CODES[first.weekday()]]


def _rule(parts: dict[str, str], first: datetime) -> str:
    """Which days, from the rule; what it leaves open is as of its first day."""
    frequency, often = parts["FREQ"], int(parts.get("INTERVAL", "1"))
    months = [_MONTHS[int(each) - 1] for each in parts["BYMONTH"].split(",")] if "BYMONTH" in parts else []
    days = [_month_day(each) for each in parts["BYMONTHDAY"].split(",")] if "BYMONTHDAY" in parts else []
    weekdays = [_weekday(each) for each in parts["BYDAY"].split(",")] if "BYDAY" in parts else []
    if frequency == "WEEKLY":
        weekdays = weekdays or [_DAYS[first.weekday()]]
    elif frequency == "YEARLY" and not days and not weekdays:
        days, months = [f"day {first.day}"], months or [_MONTHS[first.month - 1]]
    elif frequency == "MONTHLY" and not days and not weekdays:
        days = [f"day {first.day}"]
    each = f"every {often} {_EACH[frequency]}s" if often > 1 else f"every {_EACH[frequency]}"
    on = " and ".join(filter(None, (_list(weekdays), _list(days))))
    if places := parts.get("BYSETPOS"):
        on = f"the {_list([_place(int(each)) for each in places.split(',')])} of {on}"
    if frequency in ("DAILY", "WEEKLY") and often == 1 and on and not days and not places:
        said = f"every {on}"
    else:
        said = f"{each} on {on}" if on else each
    return f"{said} in {_list(months)}" if months else said


def _weekday(text: str) -> str:
    found = re.fullmatch(r"([+-]?\d+)?([A-Z]{2})", text)
    assert found, "the rule was understood when it was saved"
    name = _DAYS[_CODES.index(found[2])]
    return f"the {_place(int(found[1]))} {name}" if found[1] else name


def _month_day(text: str) -> str:
    day = int(text)
    return f"day {day}" if day > 0 else f"the {_place(day)} day"


def _place(number: int) -> str:
    if number in _PLACES:
        return _PLACES[number]
    return f"{number}." if number > 0 else f"{-number}. from the end"


def _list(texts: Sequence[str]) -> str:
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)
