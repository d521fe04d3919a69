"""The calendar: a month in a zone, freezes as bands, and all that is planned, in the grid and as a list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.freezes import save_freeze
from audit.ledger import timestamp
from tests.cast import ON, Cast
from tests.ui.conftest import Browser

CALENDAR = "/admin/p/shop/calendar/"


def weekends(cast: Cast) -> None:
    members = {
        "reason": "Nobody deploys on weekends",
        "starts_at": datetime(2026, 3, 6, 17, tzinfo=UTC),
        "rrule": "FREQ=WEEKLY;BYDAY=FR",
        "duration": 216_000,
        "zone": "Europe/Berlin",
    }
    save_freeze(cast.actor("administrator"), cast.project, "weekends", members)


def test_a_freeze_is_a_band_on_every_day_that_it_touches_and_keeps_its_wall_clock(
    cast: Cast, browser: Browser
) -> None:
    weekends(cast)
    shown = browser("viewer").get(f"{CALENDAR}?month=2026-03&zone=Europe/Berlin").content.decode()
    # The weekend on which the clocks are put forward begins and ends at its usual times.
    assert "27 Mar 2026, 18:00</time>" in shown
    assert "30 Mar 2026, 06:00</time>" in shown
    # Friday to Monday, four times, and the first three days of April, with which the grid ends.
    assert shown.count(' cs-frozen"') == 19
    assert "Times and days in Europe/Berlin" in shown
    assert 'href="?zone=Europe%2FBerlin&amp;month=2026-02"' in shown


def test_what_is_planned_stands_on_its_day_in_the_zone_that_is_asked_for(
    cast: Cast, browser: Browser
) -> None:
    late = (timezone.now() + timedelta(days=15)).replace(hour=23, minute=30, second=0, microsecond=0)
    if late.day > 27:  # the day after it is to be in the same month
        late += timedelta(days=5)
    cast.flag(expires_at=timestamp(late), temporary=True)
    cast.propose(ON, title="In the night", scheduled_at=late)
    for zone, day in (("UTC", late.day), ("Asia/Tokyo", late.day + 1)):
        answer = browser("viewer").get(f"{CALENDAR}?month={late:%Y-%m}&zone={zone}")
        days = [each for week in answer.context["weeks"] for each in week if each.entries]
        assert [each.date.day for each in days] == [day]
        assert [entry.name for entry in days[0].entries] == ["In the night", "banner"]
    shown = answer.content.decode()
    assert f"{late.day + 1} {late:%b %Y}, 08:30</time>" in shown
    assert "not approved yet" in shown


def test_rubbish_shows_this_month_and_says_which_zone_is_none(cast: Cast, browser: Browser) -> None:
    answer = browser("viewer").get(f"{CALENDAR}?month=rubbish&zone=Mars")
    assert answer.status_code == 200
    assert "Mars is no time zone" in answer.content.decode()
    assert "Nothing is planned in this month" in answer.content.decode()
    assert browser("outsider").get(CALENDAR).status_code == 404


def test_it_costs_the_same_number_of_queries_for_few_and_for_many(cast: Cast, browser: Browser) -> None:
    counts = []
    late = timezone.now() + timedelta(days=1)
    for start, end in ((0, 2), (2, 12)):
        for number in range(start, end):
            key = f"flag-{number}"
            cast.flag(key, expires_at=timestamp(late + timedelta(hours=1)), temporary=True)
            cast.propose(ON, key=key, scheduled_at=late)
        client = browser("viewer")
        client.get(CALENDAR)
        with CaptureQueriesContext(connection) as queries:
            assert client.get(CALENDAR).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]
    assert counts[0] <= 22
