"""How many events there were when: bars over the span that is shown, each of which narrows it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import pairwise
from typing import Any

from django.db.models import Count, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _

from audit.admin.spans import Span
from audit.models import Event, Log

DAY = timedelta(days=1)
# What a bar may stand for: the first of these with which they fit beside each other.
STEPS: tuple[tuple[timedelta, Any], ...] = (
    (timedelta(minutes=5), _("five minutes")),
    (timedelta(hours=1), _("hour")),
    (DAY, _("day")),
    (7 * DAY, _("week")),
    (28 * DAY, _("four weeks")),
    (364 * DAY, _("52 weeks")),
)
MOST_BARS = 42  # each is wide enough to be hit
UNASKED = 30  # days that are shown where none are asked for


class Reach(Enum):
    """What it takes to find the events that are asked for, and over how many of them that may go while one waits."""

    # An index has just these, in order: counted without looking at one.
    INDEXED = 1_000_000
    # They are about few things, and few themselves: looked for all at once, whenever they were.
    FEW = 20_000
    # Every event in the span has to be looked at.
    SPREAD = 50_000


@dataclass(frozen=True, slots=True)
class Bar:
    """How many events, and `height`, in percent of the highest. `first`, `last`: the span of just these."""

    start: datetime
    count: int
    height: int
    first: str
    last: str


@dataclass(frozen=True, slots=True)
class Activity:
    """The bars, the oldest first, what each stands for, and the days that they cover.

    Without bars, there are too many events to count them while somebody waits.
    """

    step: Any
    first: datetime
    last: datetime
    # How `date` writes when a bar begins.
    format: str
    bars: tuple[Bar, ...]

    @property
    def total(self) -> int:
        return sum(bar.count for bar in self.bars)

    @property
    def highest(self) -> Bar:
        return max(self.bars, key=lambda bar: bar.count)


def activity(rows: QuerySet[Event], log: Log, span: Span, reach: Reach) -> Activity | None:
    """How many of these events of a log were when; None where a span has no room for two bars. Three queries."""
    first = log.events.order_by("index").values_list("time", flat=True)[:1]
    if not first or log.last_time is None:
        return None
    until = min(span.until or _midnight_after(log.last_time), _midnight_after(log.last_time))
    since = span.since or _midnight_after(until) - (UNASKED + 1) * DAY
    since = max(since, _midnight_after(first[0]) - DAY)
    step, name = next((each for each in STEPS if (until - since) / each[0] <= MOST_BARS), STEPS[-1])
    if until - since < 2 * step:
        return None
    edges = [since]
    while edges[-1] < until:
        edges.append(min(edges[-1] + step, until))
    positions = _positions(log, first[0], edges)
    counts = _counts(rows.filter(log=log), log, positions, reach)
    highest = max(counts, default=0) or 1
    bars = tuple(
        Bar(start, count, round(100 * count / highest), *_addressed(start, end))
        for (start, end), count in zip(pairwise(edges), counts, strict=False)
    )
    return Activity(name, since, until - timedelta(seconds=1), "Y-m-d" if step >= DAY else "Y-m-d H:i", bars)


def _positions(log: Log, begun: datetime, edges: Sequence[datetime]) -> list[int]:
    """Where in the log these moments are, found by the index on time: in a log, time only grows."""
    within = [edge for edge in edges if log.last_time is not None and begun < edge <= log.last_time]
    # Asked for the log as well, SQLite would rather walk it; between its first and last event there is no other.
    following = {
        f"at_{number}": Subquery(
            Event.objects.filter(time__gte=edge).order_by("time", "index").values("index")[:1]
        )
        for number, edge in enumerate(within)
    }
    found = Log.objects.filter(pk=log.pk).annotate(**following).values_list(*following)[0] if within else ()
    before = sum(1 for edge in edges if edge <= begun)
    return (
        [0] * before
        + [log.size if each is None else each for each in found]
        + [log.size] * (len(edges) - before - len(within))
    )


def _counts(rows: QuerySet[Event], log: Log, positions: Sequence[int], reach: Reach) -> list[int]:
    """How many of the rows are between each two positions; empty where that would take too long."""
    if reach is Reach.FEW:
        found = list(rows.order_by().values_list("index", flat=True)[: reach.value + 1])
        if len(found) > reach.value:
            return []
        found.sort()
        return [bisect_left(found, end) - bisect_left(found, start) for start, end in pairwise(positions)]
    if positions[-1] - positions[0] > reach.value:
        return []
    # Each a range of an index, all in one query.
    counted = {
        f"in_{number}": Subquery(
            rows.filter(index__gte=start, index__lt=end)
            .order_by()
            .values("log")
            .annotate(count=Count("*"))
            .values("count")
        )
        for number, (start, end) in enumerate(pairwise(positions))
    }
    counts = Log.objects.filter(pk=log.pk).annotate(**counted).values_list(*counted)[0]
    return [count or 0 for count in counts]


def _addressed(start: datetime, end: datetime) -> tuple[str, str]:
    """What `from` and `to` are, both included, in an address that shows what is between: days, or seconds."""
    if start.time() == end.time() == datetime.min.time():
        return f"{start:%Y-%m-%d}", f"{end - DAY:%Y-%m-%d}"
    return f"{start:%Y-%m-%dT%H:%M:%SZ}", f"{end - timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"


def _midnight_after(moment: datetime) -> datetime:
    """The end of the day (UTC) in which it is."""
    day = moment.astimezone(UTC).date() + DAY
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
