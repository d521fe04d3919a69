"""The review page: who may do what to whose change, bound to what was shown."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from approvals import workflow
from approvals.models import ChangeRequest, Emergency, Review
from flags.models import FlagConfiguration
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser


@pytest.fixture
def request_(cast: Cast, banner: None) -> ChangeRequest:
    return cast.propose(ON, rationale="the launch", ticket="SHOP-7")


def url(request: ChangeRequest) -> str:
    return f"/admin/p/shop/requests/{request.pk}/"


def send(client: Client, request: ChangeRequest, verb: str, **members: str) -> str:
    form = {"verb": verb, "digest": request.digest, **members}
    html = client.post(url(request), form, follow=True).content.decode()
    request.refresh_from_db()
    return html


def test_it_says_who_why_for_which_ticket_and_what_will_happen(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    html = browser("reviewer").get(url(request_)).content.decode()
    for text in ("Author", "the launch", "SHOP-7", "0 of 1 approvals"):
        assert text in html
    assert 'Production: turned on; everyone: <em class="cs-variant">on</em>' in html
    assert request_.digest in html


def test_it_says_when_it_goes_back_and_that_on_call_may_only_where_a_policy_lets_them(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    page = browser("reviewer")
    html = page.get(url(cast.propose(ON, confirm_within=600))).content.decode()
    assert "comes back 10 min" in html
    assert "Approved with it: the way back" in html
    assert "on-call may take at once" not in html
    cast.policy(on_call_may_revert=True)
    html = page.get(url(cast.propose(OFF))).content.decode()
    assert "on-call may take at once" in html


def test_approving_applies_what_was_due(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    html = send(browser("reviewer"), request_, "approve", comment="fine")
    assert request_.state == "applied"
    assert "Approved, and applied now." in html
    assert "fine" in html
    assert FlagConfiguration.objects.get().document == ON


def test_an_approval_of_something_else_than_what_stands_is_refused(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    seen = request_.digest
    workflow.revise(
        cast.actor("author"),
        request_,
        [{"subject": cast.subject(), "after": split(5)}],
        title="less",
        rationale="careful",
    )
    html = send(browser("reviewer"), request_, "approve", digest=seen)
    assert "not what you saw" in html
    assert request_.state == "in_review"


def test_ones_own_change_cannot_be_approved_and_the_page_says_who_can(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    client = browser("author")
    html = client.get(url(request_)).content.decode()
    assert "This is your own change" in html
    assert "Administrator, Reviewer, Root, Second Reviewer." in html
    assert 'value="approve"' not in html
    assert 'value="withdraw"' in html
    send(client, request_, "approve")
    assert request_.state == "in_review"


@pytest.mark.parametrize("name", ["viewer", "auditor", "on_call"])
@pytest.mark.parametrize("verb", ["approve", "reject", "withdraw"])
def test_who_may_not_review_is_told_so_and_changes_nothing(
    cast: Cast, browser: Browser, request_: ChangeRequest, name: str, verb: str
) -> None:
    client = browser(name)
    assert "Approving needs the role" in client.get(url(request_)).content.decode()
    client.post(url(request_), {"verb": verb, "digest": request_.digest})
    request_.refresh_from_db()
    assert request_.state == "in_review"
    assert not Review.objects.exists()


def test_rejecting_withdrawing_and_commenting(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    assert "Comment added." in send(browser("reviewer"), request_, "comment", comment="why now?")
    assert "Nothing of it will be carried out" in send(browser("reviewer"), request_, "reject", comment="no")
    assert request_.state == "rejected"
    other = cast.propose(split(5))
    send(browser("author"), other, "withdraw")
    assert other.state == "withdrawn"
    assert "is empty" in send(browser("reviewer"), other, "comment", comment="  ")


def test_an_approved_change_without_a_time_is_applied_by_a_button(cast: Cast, browser: Browser) -> None:
    cast.flag()
    request = cast.propose(ON, scheduled_at=None)
    send(browser("reviewer"), request, "approve")
    assert request.state == "approved"
    assert 'value="apply"' in browser("author").get(url(request)).content.decode()
    send(browser("author"), request, "apply")
    assert request.state == "applied"
    assert "has been applied already" in send(browser("author"), request, "apply")


def test_the_time_is_changed_and_taken_away(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    client = browser("author")
    send(client, request_, "schedule", when="at", at="2099-01-01T10:00", zone="UTC")
    assert request_.scheduled_at.year == 2099
    assert "in the past" in send(client, request_, "schedule", when="at", at="2001-01-01T10:00", zone="UTC")
    send(client, request_, "schedule", when="by-hand", zone="UTC")
    assert request_.scheduled_at is None


def test_a_request_that_no_longer_fits_says_what_changed_and_the_next_step(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    other = cast.propose(split(5))
    cast.approve(other)
    html = browser("author").get(url(request_)).content.decode()
    assert "banner changed since: this was made for version 0, now it is version 1." in html
    assert f"{url(request_)}edit/" in html
    send(browser("reviewer"), request_, "approve")
    assert request_.problem
    html = browser("reviewer").get(url(request_)).content.decode()
    assert "It could not be applied." in html


def test_editing_makes_a_revision_for_what_stands_now(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    cast.approve(cast.propose(split(5)))
    client = browser("author")
    html = client.get(f"{url(request_)}edit/").content.decode()
    assert 'name="base-0" value="1"' in html
    form = {
        "title": "again",
        "rationale": "after the other",
        "ticket": "",
        "base-0": "1",
        "after-0": '{"enabled": false, "off": "off", "default": {"variant": "on"}}',
    }
    client.post(f"{url(request_)}edit/", form)
    request_.refresh_from_db()
    assert request_.change_id.endswith(".2")
    assert request_.change["operations"][0]["after"] == OFF


def test_editing_keeps_the_time_before_which_nothing_may_happen(cast: Cast, browser: Browser) -> None:
    later = timezone.now() + timedelta(days=3)
    cast.flag()
    request = cast.propose(not_before=later)
    before = request.change["not_before"]
    form = {
        "title": "again",
        "rationale": "off after all",
        "ticket": "",
        "base-0": "0",
        "after-0": '{"enabled": false, "off": "off", "default": {"variant": "on"}}',
    }
    browser("author").post(f"{url(request)}edit/", form)
    request.refresh_from_db()
    assert request.change_id.endswith(".2")
    assert request.change["not_before"] == before


def test_editing_for_an_old_version_is_a_conflict_and_a_broken_document_is_shown_again(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    cast.approve(cast.propose(split(5)))
    client = browser("author")
    form = {"title": "t", "rationale": "r", "ticket": "", "base-0": "0", "after-0": '{"enabled": true}'}
    assert client.post(f"{url(request_)}edit/", form).status_code == 409
    assert client.post(f"{url(request_)}edit/", {**form, "base-0": "1"}).status_code == 422
    assert client.post(f"{url(request_)}edit/", {**form, "after-0": "{"}).status_code == 422
    request_.refresh_from_db()
    assert request_.revision == 1


def test_only_the_author_edits(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    assert browser("on_call").get(f"{url(request_)}edit/").status_code == 404


def test_the_inbox_shows_what_waits_for_whom(cast: Cast, browser: Browser, request_: ChangeRequest) -> None:
    page = "/admin/p/shop/requests/?which="
    assert request_.title in browser("reviewer").get(f"{page}waiting").content.decode()
    assert "Nothing waits for you" in browser("author").get(f"{page}waiting").content.decode()
    assert request_.title in browser("author").get(f"{page}mine").content.decode()
    assert request_.title not in browser("on_call").get(f"{page}mine").content.decode()
    cast.policy(approvals=2)
    second = cast.propose(split(5))
    cast.approve(second)
    assert second.title not in browser("reviewer").get(
        f"{page}waiting&environment=production"
    ).content.decode().replace(request_.title, "", 1)


def test_after_a_verdict_the_next_one_opens_if_one_wishes(
    cast: Cast, browser: Browser, request_: ChangeRequest
) -> None:
    cast.flag("other")
    following = cast.propose(ON, key="other")
    form = {"verb": "reject", "digest": request_.digest, "next-one": "on"}
    assert browser("reviewer").post(url(request_), form)["Location"] == url(following)


def test_a_kill_stands_on_top_until_somebody_else_reviewed_it(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    workflow.kill(
        cast.actor("administrator"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    debt = Emergency.objects.get()
    page, button = "/admin/p/shop/requests/", f"/admin/p/shop/kills/{debt.pk}/review/"
    assert "1 review is owed" in browser("viewer").get(page).content.decode()
    own = browser("administrator")
    assert "somebody else reviews it" in own.get(page).content.decode()
    own.post(button)
    debt.refresh_from_db()
    assert not debt.reviewed_by
    assert browser("author").post(button).status_code == 404
    browser("reviewer").post(button)
    debt.refresh_from_db()
    assert debt.reviewed_by == cast.users["reviewer"].pseudonym
    assert debt.reviewed_at <= timezone.now()
    assert "review is owed" not in browser("viewer").get(page).content.decode()
