"""The calendar: a month of what is about to happen, freezes as bands, and the same as a list."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from access.admin.pages import Page
from approvals.admin.asking import zone_named
from approvals.admin.told_coming import DAY, KINDS, Entry, days_of, entry
from approvals.coming import Kind, coming
from approvals.freezes.wording import told


class CalendarPage(Page):
    """One month in one zone. Six queries for all that is on it."""

    template = "countersign/calendar.html"
    title = _("Calendar")

    def get(self, request: HttpRequest, project: str) -> HttpResponse:
        now, problem = timezone.now(), ""
        try:
            zone = zone_named(request.GET.get("zone") or "UTC")
        except ValidationError as error:
            zone, problem = ZoneInfo("UTC"), " ".join(error.messages)
        first = _month(request.GET.get("month", "")) or now.astimezone(zone).date().replace(day=1)
        after = (first + 31 * DAY).replace(day=1)
        weeks = calendar.Calendar().monthdatescalendar(first.year, first.month)
        found = coming(self.project, _start(weeks[0][0], zone), _start(weeks[-1][-1] + DAY, zone))
        entries = [entry(self.project, each) for each in found]
        dates = [day for week in weeks for day in week]
        days = days_of(entries, dates, zone, now, month=first)
        return self.show(
            zone=zone,
            problem=problem,
            month=first,
            month_name=date_format(first, "F Y"),
            previous=(first - DAY).strftime("%Y-%m"),
            following=after.strftime("%Y-%m"),
            weekdays=list(calendar.day_name),
            weeks=[days[index : index + 7] for index in range(0, len(days), 7)],
            listed=[_row(each, zone) for each in entries if _touches(each, first, after, zone)],
            kinds=[(kind.value, icon, name) for kind, (icon, name) in KINDS.items()],
        )


def _start(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone)


def _touches(each: Entry, first: date, after: date, zone: ZoneInfo) -> bool:
    end = each.coming.until or each.coming.at + timedelta(microseconds=1)
    return each.coming.at < _start(after, zone) and end > _start(first, zone)


def _row(each: Entry, zone: ZoneInfo) -> dict[str, Any]:
    """An entry with its times on the clock of the zone."""
    until = each.coming.until if each.coming.kind is Kind.FREEZE else None
    return {
        "entry": each,
        "start": told(each.coming.at.astimezone(zone)),
        "end": told(until.astimezone(zone)) if until else "",
    }


def _month(text: str) -> date | None:
    try:
        found = datetime.strptime(text, "%Y-%m").date()
    except ValueError:
        return None
    return found if 2000 <= found.year < 2200 else None
