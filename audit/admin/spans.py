"""Spans of time in the ledger: asked for as dates, found as positions, which an index holds in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from audit.models import Event, Log


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment until before another; None: without that end."""

    since: datetime | None = None
    until: datetime | None = None
    # Whether anything was asked for, even if it was no date.
    is_given: bool = False


def presets(now: datetime) -> list[tuple[Any, str]]:
    """Spans of time that are asked for often: a label, and the first day (UTC, as all days here are)."""
    spans = ((_("today"), 0), (_("7 days"), 6), (_("30 days"), 29))
    return [(label, f"{(now - timedelta(days=days)).astimezone(UTC):%Y-%m-%d}") for label, days in spans]


def span_of(asked: Mapping[str, str], problems: list[str]) -> Span:
    """The span that `from` and `to` ask for; what is no date is told among the problems."""
    ends: dict[str, datetime] = {}
    given = False
    for name in ("from", "to"):
        if value := asked.get(name, "").strip():
            given = True
            try:
                moment = datetime.fromisoformat(value)
                # In UTC at once, which the ends of the calendar have no room for.
                moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
                if name == "to":
                    # A day is meant with all its hours, a time with its last second.
                    moment += timedelta(days=1) if len(value) == 10 else timedelta(seconds=1)
            except (ValueError, OverflowError):
                problems.append(str(_("“%s” is no date; use one such as 2026-11-20.") % value[:40]))
                continue
            ends[name] = moment
    return Span(ends.get("from"), ends.get("to"), given)


def within(rows: QuerySet[Any], log: Log, span: Span) -> QuerySet[Any]:
    """The events of a log within a span. `at` is aliased to their position."""
    if span.since is not None:
        position = _position(log, span.since)
        rows = rows.filter(time__gte=span.since) if position is None else rows.filter(at__gte=position)
    if span.until is not None:
        position = _position(log, span.until)
        rows = rows.filter(time__lt=span.until) if position is None else rows.filter(at__lt=position)
    return rows


def _position(log: Log, moment: datetime) -> int | None:
    """Where in the log a moment is, found by the index on time: in a log, time only grows.

    A range of positions is read in the order of the list; a range of times would be sorted first. None
    where the answer is not plain, because another log has the next event.
    """
    following = Event.objects.filter(time__gte=moment).order_by("time").values_list("time", flat=True)[:1]
    if not following:
        return log.size
    # One transaction's events bear the same time. Their log is looked at here: asked for it as well,
    # SQLite would rather walk the whole log.
    same = list(Event.objects.filter(time=following[0]).values_list("log_id", "index"))
    return min((index for log_id, index in same if log_id == log.pk), default=None)
