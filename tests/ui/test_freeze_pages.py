"""Freezes on pages: planning one, the list, and what a request says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from approvals import workflow
from approvals.freezes import save_freeze
from approvals.models import ChangeRequest, FreezeWindow
from tests.cast import ON, Cast
from tests.ui.conftest import Browser
from tests.ui.pages import SWITCH_OPEN, switch_form

FREEZES, NEW = "/admin/p/shop/freezes/", "/admin/p/shop/new-freeze/"


def form(**members: Any) -> dict[str, Any]:
    return {
        "key": "weekends",
        "reason": "Nobody deploys on weekends",
        "kind": "again",
        "starts": "2026-03-06T18:00",
        "ends": "",
        "zone": "Europe/Berlin",
        "rrule": "FREQ=WEEKLY;BYDAY=FR",
        "days": "2",
        "hours": "12",
        "environments": ["production"],
        "tags": "",
        "exempt_tags": "legal, tax",
        "exempt_roles": ["on-call"],
        **members,
    }


def test_planning_one_and_reading_it_in_the_list(cast: Cast, browser: Browser) -> None:
    manager = browser("administrator")
    assert manager.post(NEW, form()).status_code == 302
    row = FreezeWindow.objects.get()
    assert (row.duration, row.exempt) == (216_000, {"roles": ["on-call"], "tags": ["legal", "tax"]})
    shown = browser("viewer").get(FREEZES).content.decode()
    assert "every Friday 18:00 to Monday 06:00" in shown
    assert NEW not in shown
    editing = manager.get(f"{FREEZES}weekends/").content.decode()
    assert 'value="2026-03-06T18:00"' in editing


def test_what_is_saved_again_unchanged_stays_as_the_api_made_it(cast: Cast, browser: Browser) -> None:
    """Seconds, minutes of a duration, and all: else a page would loosen a freeze by opening it."""
    start = timezone.now()
    members = {"reason": "Odd", "starts_at": start, "rrule": "FREQ=WEEKLY", "duration": 90_061}
    save_freeze(cast.actor("administrator"), cast.project, "odd", {**members, "zone": "Europe/Berlin"})
    before = FreezeWindow.objects.get().document
    page = f"{FREEZES}odd/"
    shown = browser("administrator").get(page).context["form"].initial
    sent = {name: value for name, value in shown.items() if value not in (None, "", [])}
    assert browser("administrator").post(page, sent).status_code == 302
    assert FreezeWindow.objects.get().document == before


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"starts": "2026-03-29T02:30"}, "There is no 2026-03-29 02:30 in Europe/Berlin"),
        ({"zone": "Mars"}, "Mars is no time zone"),
        ({"kind": "once", "rrule": "", "ends": "2026-03-05T18:00"}, "is not after it starts"),
        ({"kind": "once"}, "say when it ends"),
        ({"rrule": ""}, "Say by which rule it recurs."),
        ({"days": "", "hours": ""}, "how long it lasts each time"),
        ({"rrule": "FREQ=HOURLY"}, "a day is the shortest"),
        ({"starts": "soon"}, "Say when: a date and a time."),
    ],
    ids=lambda each: str(each)[:30],
)
def test_what_cannot_be_is_said_beside_the_field_and_what_was_typed_stays(
    cast: Cast, browser: Browser, members: Any, said: str
) -> None:
    answer = browser("administrator").post(NEW, form(**members))
    shown = answer.content.decode().replace("&#x27;", "'")
    assert answer.status_code == 422
    assert said in shown
    assert "Nobody deploys on weekends" in shown
    assert not FreezeWindow.objects.exists()


def test_an_hour_that_the_clocks_show_twice_makes_the_freeze_longer(cast: Cast, browser: Browser) -> None:
    night = form(kind="once", starts="2026-10-25T02:30", ends="2026-10-25T02:45", environments=[])
    assert browser("administrator").post(NEW, night).status_code == 302
    row = FreezeWindow.objects.get()
    assert row.ends_at - row.starts_at == timedelta(hours=1, minutes=15)  # type: ignore[operator]


def test_a_request_says_that_it_waits_and_takes_the_next_open_slot_by_one_click(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    now = timezone.now()
    local = {"starts": f"{now:%Y-%m-%dT%H:%M}", "ends": f"{now + timedelta(days=2):%Y-%m-%dT%H:%M}"}
    once = form(kind="once", zone="UTC", rrule="", environments=["development"], **local)
    assert browser("administrator").post(NEW, once).status_code == 302
    author = browser("author")
    dialog = author.post(SWITCH_OPEN, switch_form(0, preview="1")).content.decode()
    assert "Development is frozen until" in dialog
    assert author.post(SWITCH_OPEN, switch_form(0)).status_code == 302
    request = ChangeRequest.objects.latest("pk")
    page = f"/admin/p/shop/requests/{request.number}/"
    shown = author.get(page).content.decode()
    assert "Nothing was applied. Development is frozen until" in shown
    slot = FreezeWindow.objects.get().ends_at
    assert slot is not None
    assert f"Schedule it for {slot:%Y-%m-%d %H:%M} UTC" in shown
    sent = {"verb": "schedule", "when": "at", "at": slot.isoformat(), "zone": "UTC"}
    assert author.post(page, sent).status_code == 302
    request.refresh_from_db()
    assert (request.scheduled_at, request.problem) == (slot, "")


def test_expectations_are_added_on_their_page_and_a_change_that_breaks_one_is_told_in_the_dialog(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    author, page = browser("author"), "/admin/p/shop/flags/banner/expectations/"
    entry = {
        "e-TOTAL_FORMS": "2",
        "e-INITIAL_FORMS": "0",
        "base": "0",
        "e-0-sentence": "Everybody has it",
        "e-0-environment": "development",
        "e-0-context": "{}",
        "e-0-variant": "on",
        # The empty one below: its menus send something.
        "e-1-environment": "development",
        "e-1-variant": "on",
    }
    bad = author.post(page, {**entry, "e-0-context": "[]"})
    assert bad.status_code == 422
    assert "This must be a JSON object" in bad.content.decode()
    assert author.post(page, entry).status_code == 302
    assert "Holds:" in author.get(page).content.decode()
    assert "and holds." in author.get("/admin/p/shop/flags/banner/").content.decode()
    made = ChangeRequest.objects.latest("pk")
    told = author.get(f"/admin/p/shop/requests/{made.number}/").content.decode()
    assert "banner is expected from now on" in told
    assert page in told
    assert author.post(page, {**entry, "e-0-sentence": "Another"}).status_code == 409
    answer = author.post(SWITCH_OPEN, switch_form(1, "off"))
    assert answer.status_code == 409
    assert "“Everybody has it” would fail" in answer.content.decode()
    gone = {**entry, "e-TOTAL_FORMS": "1", "e-INITIAL_FORMS": "1", "base": "1", "e-0-DELETE": "on"}
    assert author.post(page, gone).status_code == 302
    assert author.post(SWITCH_OPEN, switch_form(1, "off")).status_code == 302
    assert browser("viewer").get(page).status_code == 200


def test_a_conflict_is_shown_three_ways_and_rebased_by_one_click(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    request = cast.propose({**ON, "off": "on"})
    cast.approve(cast.propose({**ON, "regions": {"us": False}}))
    page = f"/admin/p/shop/requests/{request.number}/"
    shown = browser("author").get(page).content.decode()
    assert "<code>/off</code>" in shown
    assert "Rebase on what stands now" in shown
    assert "Rebase on what stands now" not in browser("reviewer").get(page).content.decode()
    assert browser("author").post(page, {"verb": "rebase"}).status_code == 302
    request.refresh_from_db()
    assert request.change_id == f"CR-{request.number}.2"
    assert not workflow.divergences(request)
