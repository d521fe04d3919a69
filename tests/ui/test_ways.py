"""The ways by page: back, to an earlier version, on to the next environment, to sleep, away, off everywhere."""

from __future__ import annotations

from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.http import HttpResponse
from django.utils import timezone

from approvals import workflow
from approvals.models import ChangeRequest, Emergency
from audit.models import Event
from flags.models import Flag, FlagConfiguration
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser

FLAG = "/admin/p/shop/flags/banner/"
REQUESTS = "/admin/p/shop/requests/"
WHY = {"rationale": "It hurts.", "ticket": ""}


@pytest.fixture
def shop(cast: Cast) -> Cast:
    """Whose banner is on in production, for a quarter since, and on in development."""
    cast.flag(owner=cast.users["author"].pseudonym)
    cast.propose(ON, environment="development")
    cast.approve(cast.propose(ON))
    cast.approve(cast.propose(split(25)))
    return cast


def text(answer: HttpResponse) -> str:
    return " ".join(unescape(answer.content.decode()).split())


def standing(environment: str = "production") -> Any:
    return FlagConfiguration.objects.get(environment__key=environment).document


def approve_latest(cast: Cast) -> ChangeRequest:
    return cast.approve(ChangeRequest.objects.latest("pk"))


def test_a_request_says_that_it_can_be_taken_back_and_a_revert_is_asked_for(
    shop: Cast, browser: Browser
) -> None:
    author, number = browser("author"), ChangeRequest.objects.latest("pk").number
    page = text(author.get(f"{REQUESTS}{number}/"))
    assert "It can still be taken back exactly" in page
    form = text(author.get(f"{REQUESTS}{number}/revert/"))
    assert "Production:" in form
    assert "It needs 1 approval" in form
    assert author.post(f"{REQUESTS}{number}/revert/", {}).status_code == 422
    made = ChangeRequest.objects.get(
        pk=author.post(f"{REQUESTS}{number}/revert/", WHY)["Location"].split("/")[-2]
    )
    assert f"Takes back CR-{number}" in text(author.get(f"{REQUESTS}{made.number}/"))
    assert f"Revert: {made.change_id}, in review" in text(author.get(f"{REQUESTS}{number}/"))
    shop.approve(made)
    assert standing() == ON
    assert "Revert asked for" in text(author.get(f"{REQUESTS}?which=all"))
    again = text(author.get(f"{REQUESTS}{number}/revert/"))
    assert "This is not possible now." in again
    assert "as it was before already" in again


def test_on_call_takes_back_at_once_and_the_debt_is_listed(shop: Cast, browser: Browser) -> None:
    shop.policy(on_call_may_revert=True)
    number = shop.approve(shop.propose(split(50))).number
    assert "the way back, which on-call may take" in text(browser("reviewer").get(f"{REQUESTS}{number}/"))
    assert "Take it back now" not in text(browser("author").get(f"{REQUESTS}{number}/"))
    on_call = browser("on_call")
    assert "Take it back now" in text(on_call.get(f"{REQUESTS}{number}/"))
    assert on_call.post(f"{REQUESTS}{number}/", {"verb": "revert-at-once"}).status_code == 302
    assert standing() == split(25)
    Emergency.objects.update(due_at=timezone.now() - timedelta(hours=1))
    debts = text(browser("reviewer").get(REQUESTS))
    assert "taken back at once by On Call" in debts
    assert "overdue since" in debts
    assert "1 review is overdue" in text(browser("viewer").get("/admin/p/shop/flags/"))


def test_an_earlier_version_is_restored_from_the_flags_history(shop: Cast, browser: Browser) -> None:
    author = browser("author")
    events = Event.objects.filter(subject=shop.subject()).order_by("index")
    page = f"/admin/p/shop/restore/{events[0].pk}/"
    assert page in author.get(f"{FLAG}history/").content.decode()
    assert page not in browser("viewer").get(f"{FLAG}history/").content.decode()
    assert 'name="base" value="2"' in author.get(page).content.decode()
    assert "what stands there already" in text(author.get(f"/admin/p/shop/restore/{events[1].pk}/"))
    assert author.post(page, {**WHY, "base": 1}).status_code == 409
    author.post(page, {**WHY, "base": 2})
    approve_latest(shop)
    assert standing() == ON


def test_what_cannot_be_restored_at_once_is_not_offered_and_the_page_says_why(
    shop: Cast, browser: Browser
) -> None:
    workflow.kill(shop.actor("on_call"), Subject.parse(shop.subject()), shop.project)
    event = Event.objects.filter(subject=shop.subject(), change_id__gt="").latest("index")
    shown = browser("on_call").get(f"/admin/p/shop/restore/{event.pk}/").content.decode()
    assert "Undoing a kill is an ordinary change; ask for it." in shown
    assert 'name="at-once"' not in shown
    assert (
        "Undoing a kill" not in browser("author").get(f"/admin/p/shop/restore/{event.pk}/").content.decode()
    )


def test_on_call_restores_an_earlier_version_at_once(shop: Cast, browser: Browser) -> None:
    shop.policy(on_call_may_revert=True)
    was = standing()
    shop.approve(shop.propose(split(50)))
    shop.approve(shop.propose(split(75)))
    version = Event.objects.filter(subject=shop.subject()).order_by("index")[1]
    page = f"/admin/p/shop/restore/{version.pk}/"
    assert "Restore it now" not in text(browser("author").get(page))
    on_call = browser("on_call")
    assert "Restore it now" in text(on_call.get(page))
    assert on_call.post(page, {"at-once": "1", "base": 1}).status_code == 409
    assert standing() == split(75)
    answer = on_call.post(page, {"at-once": "1", "base": 4}, follow=True)
    assert "A reviewer looks at 2 changes that were taken back." in text(answer)
    assert standing() == was
    assert Emergency.objects.count() == 2


def test_a_flag_is_promoted_from_its_page(shop: Cast, browser: Browser) -> None:
    author, page = browser("author"), f"{FLAG}in/development/promote/"
    assert page in author.get(FLAG).content.decode()
    shown = text(author.get(page))
    assert "What travels" in shown
    assert author.post(page, {**WHY, "base": 1}).status_code == 409
    author.post(page, {**WHY, "base": 2})
    approve_latest(shop)
    assert standing() == ON
    assert author.get(f"{FLAG}in/production/promote/")["Location"] == FLAG


def test_a_flag_hibernates_and_wakes(shop: Cast, browser: Browser) -> None:
    author, page = browser("author"), f"{FLAG}hibernate/"
    assert "Development, Production" in text(author.get(page))
    wakes = f"{timezone.now() + timedelta(days=9):%Y-%m-%d}"
    past = author.post(page, {**WHY, "variant": "off", "wakes": "2020-01-01"})
    assert (past.status_code, "is in the past" in text(past)) == (422, True)
    author.post(page, {**WHY, "variant": "off", "wakes": wakes, "plan": "Go on."})
    approve_latest(shop)
    assert standing() == {**ON, "default": {"variant": "off"}}
    assert "Hibernates: everyone gets off" in text(author.get(FLAG))
    assert "What stood before it hibernated" in text(author.get(page))
    author.post(page, WHY)
    approve_latest(shop)
    assert (standing(), Flag.objects.get().hibernation) == (split(25), {})


def test_a_flag_is_archived_once_nothing_keeps_it_and_restored(shop: Cast, browser: Browser) -> None:
    author, page = browser("author"), f"{FLAG}archive/"
    assert "It is on in Production; turn it off there first." in text(author.get(page))
    refused = author.post(page, WHY)
    assert refused.status_code == 422
    shop.propose(OFF, environment="development")
    shop.approve(shop.propose(OFF))
    author.post(page, WHY)
    assert approve_latest(shop).state == ChangeRequest.State.APPLIED
    assert "banner" not in text(author.get("/admin/p/shop/flags/"))
    assert "banner" in text(author.get("/admin/p/shop/flags/?state=archived"))
    assert "Restore from the archive" in text(author.get(FLAG))
    author.post(page, WHY)
    assert approve_latest(shop).state == ChangeRequest.State.APPLIED
    assert "banner" in text(author.get("/admin/p/shop/flags/"))


def test_one_button_kills_everywhere(shop: Cast, browser: Browser) -> None:
    on_call, page = browser("on_call"), f"{FLAG}kill/"
    assert browser("author").get(page).status_code == 404
    assert "Kill it in 2 environments" in text(on_call.get(page))
    on_call.post(page)
    assert (standing()["killed"], standing("development")["killed"]) == (True, True)
    assert Emergency.objects.count() == 2
    assert "There is nothing to kill" in text(on_call.get(page))
