"""A personal draft: edits collect, are looked at together, and are proposed as one request."""

from __future__ import annotations

from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import erasure
from access.permissions import system_actor
from approvals import drafting
from approvals.models import ChangeRequest, DraftEdit
from audit.models import Event
from flags.models import Flag, FlagConfiguration
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.pages import LIST, SWITCH, SWITCH_OPEN, switch_form

DRAFT = "/admin/p/shop/draft/"
TO_DRAFT = {"to-draft": "1", "rationale": ""}


def add(browser: Browser, url: str = SWITCH, base: int = 0, state: str = "on", **members: object) -> None:
    answer = browser("author").post(url, {**switch_form(base, state), **TO_DRAFT, **members})
    assert answer.status_code == 302, answer.content.decode()[:2_000]


def html(browser: Browser, url: str = DRAFT, name: str = "author") -> str:
    return browser(name).get(url).content.decode()


def propose(browser: Browser, **members: object) -> object:
    client = browser("author")
    page = client.get(DRAFT)
    form = {"verb": "propose", "title": "Both", "rationale": "planned", "when": "soon", "zone": "UTC"}
    return client.post(DRAFT, {**form, "seen": page.context["seen"], **members})


def test_edits_collect_without_asking_anybody_and_every_page_says_so(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.flag("other")
    before = Event.objects.count()
    add(browser)
    add(browser, SWITCH_OPEN)
    add(browser, "/admin/p/shop/flags/other/in/production/")
    assert not FlagConfiguration.objects.exists()
    assert Event.objects.count() == before
    page = " ".join(html(browser, "/admin/p/shop/segments/").split())
    assert "3 changes in 2 environments" in page
    assert "Review and propose" in page
    for name in ("administrator", "viewer"):
        assert "Your draft:" not in html(browser, "/admin/p/shop/segments/", name)


def test_a_draft_is_proposed_as_one_request_and_then_empty(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.flag("other")
    add(browser)
    add(browser, "/admin/p/shop/flags/other/in/development/")
    page = html(browser)
    assert "2 flags, in 2 environments" in page
    assert "Reviewers:" in page
    assert propose(browser).status_code == 302
    request = ChangeRequest.objects.latest("pk")
    assert request.state == ChangeRequest.State.IN_REVIEW
    assert len(request.change["base"]) == 2
    assert not DraftEdit.objects.exists()
    assert not FlagConfiguration.objects.exists()
    cast.approve(request)
    assert FlagConfiguration.objects.count() == 2


def test_why_is_asked_when_it_is_proposed(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    answer = propose(browser, rationale="")
    assert answer.status_code == 422
    assert "This field is required." in answer.content.decode()
    assert DraftEdit.objects.count() == 1


def test_without_reviewers_it_is_applied_at_once_all_of_it(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.flag("other")
    add(browser, SWITCH_OPEN)
    add(browser, "/admin/p/shop/flags/other/in/development/")
    assert "No approval is needed" in html(browser)
    propose(browser)
    assert FlagConfiguration.objects.filter(document__enabled=True).count() == 2


def test_a_later_edit_starts_from_the_draft_and_replaces_it(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    add(browser, base=1, serve="split", percent="25")
    page = browser("author").get(SWITCH)
    assert "In your draft:" in page.content.decode()
    assert page.context["form"].initial["state"] == "on"
    assert page.context["form"].initial["percent"] == 25
    mark = page.context["form"].initial["draft"]
    add(browser, base=1, serve="split", percent="50", draft=mark)
    edit = DraftEdit.objects.get()
    assert edit.base == 1
    assert edit.after["default"]["split"]["weights"][0] == ["on", 50_000]


def test_what_is_taken_back_is_no_edit_any_more(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    add(browser, base=1)
    mark = browser("author").get(SWITCH).context["form"].initial["draft"]
    add(browser, base=1, state="off", draft=mark)
    assert not DraftEdit.objects.exists()


def test_a_form_that_started_from_another_draft_overwrites_nothing(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    browser("author").post(SWITCH, {**switch_form(0, "off"), **TO_DRAFT, "draft": "sha256:stale"})
    assert DraftEdit.objects.get().after["enabled"] is True


def test_asking_at_once_takes_the_edit_out_of_the_draft(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    mark = browser("author").get(SWITCH).context["form"].initial["draft"]
    browser("author").post(SWITCH, {**switch_form(0), "draft": mark})
    assert ChangeRequest.objects.latest("pk").is_open
    assert not DraftEdit.objects.exists()


def test_a_document_that_cannot_be_is_refused_when_it_is_drafted(cast: Cast, browser: Browser) -> None:
    cast.flag()
    document = {**ON, "default": {"variant": "nothing"}}
    answer = browser("author").post(SWITCH, {**switch_form(0, document=document), **TO_DRAFT})
    assert answer.status_code == 422
    assert not DraftEdit.objects.exists()


def test_what_changed_meanwhile_is_shown_three_ways_and_mine_can_be_kept(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    cast.approve(cast.propose(split(5)))
    add(browser, base=1, serve="split", percent="25")
    cast.approve(cast.propose(split(10)))
    page = html(browser)
    assert "collides" in page
    assert "Keep mine where both changed" in page
    assert propose(browser).status_code == 409
    assert DraftEdit.objects.exists()
    browser("author").post(DRAFT, {"verb": "mine", "subject": cast.subject()})
    edit = DraftEdit.objects.get()
    assert edit.base == 2
    assert edit.before == split(10)
    assert edit.after["default"]["split"]["weights"][0][1] == 25_000
    assert propose(browser).status_code == 302


def test_what_stands_now_can_be_used_instead(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    cast.approve(cast.propose(split(10)))
    browser("author").post(DRAFT, {"verb": "remove", "subject": cast.subject()})
    assert not DraftEdit.objects.exists()


def test_what_somebody_else_did_already_is_left_out(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.flag("other")
    add(browser, SWITCH_OPEN)
    add(browser, "/admin/p/shop/flags/other/in/development/")
    cast.propose(ON, environment="development")
    assert "Stands there already" in html(browser)
    propose(browser)
    assert list(ChangeRequest.objects.latest("pk").change["base"]) == [cast.subject("other", "development")]
    assert not DraftEdit.objects.exists()


def test_discarding_is_confirmed_with_numbers(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    add(browser, SWITCH_OPEN)
    assert "This drops 2 changes" in html(browser, f"{DRAFT}?discard=1")
    answer = browser("author").post(DRAFT, {"verb": "discard"}, follow=True)
    assert "2 changes are discarded." in answer.content.decode()
    assert "Your draft is empty" in html(browser)


def test_a_draft_that_changed_since_the_page_was_shown_is_looked_at_again(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    add(browser)
    seen = browser("author").get(DRAFT).context["seen"]
    add(browser, SWITCH_OPEN)
    answer = propose(browser, seen=seen)
    assert answer.status_code == 409
    assert "changed since this page was shown" in answer.content.decode()
    assert DraftEdit.objects.count() == 2


def test_a_second_click_proposes_nothing_twice(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    propose(browser)
    count = ChangeRequest.objects.count()
    answer = browser("author").post(DRAFT, {"verb": "propose", "title": "Both", "rationale": "planned"})
    assert answer.status_code == 302
    assert "which=mine" in answer["Location"]
    assert ChangeRequest.objects.count() == count


def test_a_new_flag_its_segment_and_its_definition_can_be_drafted(cast: Cast, browser: Browser) -> None:
    client = browser("author")
    new = {
        "key": "pay",
        "name": "Pay",
        "type": "boolean",
        "kind": "release",
        "on_expiry": "alert",
        "permanent_reason": "It stays.",
        **TO_DRAFT,
    }
    assert client.post("/admin/p/shop/new-flag/", new).status_code == 302
    assert (
        client.post("/admin/p/shop/new-segment/", {"key": "beta", "included": "u1", **TO_DRAFT}).status_code
        == 302
    )
    assert not Flag.objects.exists()
    cast.flag()
    page = client.get("/admin/p/shop/flags/banner/edit/")
    form = {
        name: value for name, value in page.context["form"].initial.items() if isinstance(value, str | int)
    }
    form = {**form, "variants": '{"on": true, "off": false}', "name": "Renamed", "temporary": "", **TO_DRAFT}
    assert client.post("/admin/p/shop/flags/banner/edit/", form).status_code == 302
    assert client.get("/admin/p/shop/flags/banner/edit/").context["form"].initial["name"] == "Renamed"
    assert "2 flags and 1 segment" in html(browser)
    propose(browser)
    assert Flag.objects.get(key="pay").name == "Pay"
    assert Flag.objects.get(key="banner").name == "Renamed"


def test_a_draft_is_ones_own(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    assert "Your draft is empty" in html(browser, name="administrator")
    browser("administrator").post(DRAFT, {"verb": "discard"})
    assert DraftEdit.objects.count() == 1
    assert browser("viewer").get(DRAFT).status_code == 404


def test_it_goes_when_the_person_is_erased(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    erasure.erase(system_actor("erase", "cli"), cast.users["author"])
    assert not DraftEdit.objects.exists()


def test_the_banner_costs_one_query(cast: Cast, browser: Browser) -> None:
    cast.flag()
    add(browser)
    with CaptureQueriesContext(connection) as captured:
        assert drafting.summary_of(cast.actor("author"), cast.project).changes == 1
    assert len(captured) == 1


def test_a_draft_costs_the_same_for_few_edits_and_for_many(cast: Cast, browser: Browser) -> None:
    def count() -> int:
        client = browser("author")
        client.get(LIST)
        with CaptureQueriesContext(connection) as captured:
            client.get(LIST)
        return len(captured)

    cast.flag()
    add(browser)
    few = count()
    for number in range(5):
        cast.flag(f"more-{number}")
        add(browser, f"/admin/p/shop/flags/more-{number}/in/production/")
    assert count() == few


def test_a_promotion_and_expectations_wait_in_the_draft_too(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    flag = "/admin/p/shop/flags/banner/"
    answer = browser("author").post(f"{flag}in/development/promote/", {"base": "0", **TO_DRAFT})
    assert answer["Location"] == flag
    entry = {
        "sentence": "One.",
        "environment": "production",
        "context": '{"targetingKey": "c-1"}',
        "variant": "on",
    }
    entries = {f"e-0-{name}": value for name, value in entry.items()}
    form = {"e-TOTAL_FORMS": "1", "e-INITIAL_FORMS": "0", "base": "0", **entries, **TO_DRAFT}
    page = f"{flag}expectations/"
    assert browser("author").post(page, form)["Location"] == page
    assert "In your draft:" in html(browser, page)
    assert 'value="One."' in html(browser, page)
    assert {edit.subject for edit in DraftEdit.objects.all()} == {
        cast.subject(),
        "project/shop/expectations/banner",
    }
    # Neither takes the place of what is in the draft unseen.
    promote = f"{flag}in/development/promote/"
    assert "another change of it" in html(browser, promote)
    for url, sent in ((promote, {"base": "0"}), (page, {**form, "e-0-sentence": "Another."})):
        told = browser("author").post(url, {**sent, **TO_DRAFT}, follow=True).content.decode()
        assert "Your draft changed meanwhile" in told
    assert 'value="One."' in html(browser, page)
    assert propose(browser).status_code == 302
    assert len(ChangeRequest.objects.latest("pk").change["operations"]) == 2
