"""Whatever is typed or sent gets a sensible answer, and is not lost with it."""

from __future__ import annotations

import pytest

from approvals import workflow
from approvals.models import ChangeRequest
from flags.models import FlagConfiguration
from tests.cast import ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.pages import LIST, SWITCH, SWITCH_OPEN, switch_form

UNREADABLE = [
    '{"a": NaN}',
    '{"a": 1e999}',
    '{"a": "\\ud800"}',
    '{"a": "\\u0000"}',
    '{"a": 1, "a": 2}',
    "9" * 5_000,
    "[" * 2_500,
    "{",
]


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:16])
def test_json_that_nobody_could_read_is_refused_beside_the_field_and_stays_there(
    cast: Cast, browser: Browser, text: str
) -> None:
    cast.flag()
    answer = browser("author").post(SWITCH_OPEN, switch_form(0, document=text))
    assert answer.status_code == 422
    form = answer.context["form"]
    assert set(form.errors) == {"document"}
    assert form["document"].value() == text
    assert not FlagConfiguration.objects.exists()


@pytest.mark.parametrize("text", UNREADABLE, ids=lambda text: text[:16])
@pytest.mark.parametrize(
    ("page", "field"),
    [
        ("/admin/p/shop/new-flag/", "variants"),
        ("/admin/p/shop/flags/banner/edit/", "variants"),
        ("/admin/p/shop/new-segment/", "rules"),
    ],
)
def test_the_other_forms_that_take_json_refuse_it_alike(
    cast: Cast, browser: Browser, page: str, field: str, text: str
) -> None:
    cast.flag()
    answer = browser("author").post(page, {field: text, "key": "new", "name": "New"})
    assert answer.status_code == 422
    assert field in answer.context["form"].errors
    assert answer.context["form"][field].value() == text


@pytest.mark.parametrize("base", ["9" * 30, "-1", "²", "", "x"])
def test_a_version_that_no_page_showed_is_refused(cast: Cast, browser: Browser, base: str) -> None:
    cast.flag()
    answer = browser("author").post(SWITCH_OPEN, {**switch_form(0), "base": base})
    assert answer.status_code == 422
    assert not FlagConfiguration.objects.exists()


@pytest.mark.parametrize("value", ["9999-12-31", "0001-01-01T00:00+14:00", "9999-12-31T23:59-14:00"])
@pytest.mark.parametrize("name", ["from", "to"])
def test_the_ends_of_the_calendar_are_filters_like_others(
    cast: Cast, browser: Browser, name: str, value: str
) -> None:
    assert browser("auditor").get("/admin/p/shop/audit/", {name: value}).status_code == 200


def test_a_page_that_does_not_exist_says_so_and_leads_back(cast: Cast, browser: Browser) -> None:
    answer = browser("viewer").get(f"{LIST}nothing/")
    assert answer.status_code == 404
    html = answer.content.decode()
    assert "There is no such page" in html
    assert 'href="/admin/"' in html


def test_a_form_older_than_the_sign_in_leads_back_to_itself(cast: Cast, browser: Browser) -> None:
    cast.flag()
    client = browser("author")
    client.handler.enforce_csrf_checks = True
    answer = client.post(SWITCH, switch_form(0))
    assert answer.status_code == 403
    html = answer.content.decode()
    assert "Nothing was changed" in html
    assert f'href="{SWITCH}"' in html


def review_url(request: ChangeRequest) -> str:
    return f"/admin/p/shop/requests/{request.pk}/"


def test_a_comment_outlives_the_refusal_of_the_approval_it_was_typed_for(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    request = cast.propose(ON)
    seen = request.digest
    workflow.revise(
        cast.actor("author"),
        request,
        [{"subject": cast.subject(), "after": split(5)}],
        title="less",
        rationale="careful",
    )
    answer = browser("reviewer").post(
        review_url(request), {"verb": "approve", "digest": seen, "comment": "looked at both regions"}
    )
    assert answer.status_code == 409
    html = answer.content.decode()
    assert "not what you saw" in html
    assert ">looked at both regions</textarea>" in html
    request.refresh_from_db()
    assert f'value="{request.digest}"' in html


def test_a_comment_outlives_the_decision_of_somebody_faster(cast: Cast, browser: Browser) -> None:
    cast.flag()
    request = cast.propose(ON)
    cast.approve(request)
    answer = browser("second_reviewer").post(
        review_url(request), {"verb": "reject", "digest": request.digest, "comment": "too early"}
    )
    assert answer.status_code == 409
    assert ">too early</textarea>" in answer.content.decode()


def test_a_time_that_is_none_stays_in_its_field_with_the_reason(cast: Cast, browser: Browser) -> None:
    cast.flag()
    request = cast.propose(ON)
    answer = browser("author").post(
        review_url(request), {"verb": "schedule", "when": "at", "at": "2001-01-01T10:00", "zone": "UTC"}
    )
    assert answer.status_code == 422
    form = answer.context["schedule_form"]
    assert "past" in str(form.errors["at"])
    assert form["at"].value() == "2001-01-01T10:00"


def test_what_cannot_be_taken_back_is_confirmed_in_words(cast: Cast, browser: Browser) -> None:
    cast.flag()
    request = cast.propose(ON)
    html = browser("reviewer").get(review_url(request)).content.decode()
    assert f"Rejecting closes {request.change_id} for good" in html
    html = browser("author").get(review_url(request)).content.decode()
    assert f"Withdrawing closes {request.change_id} for good" in html
    html = browser("root").get("/admin/p/shop/people/").content.decode()
    assert "Author is no longer Editor in Shop" in html


def test_every_page_begins_with_a_way_past_the_menu(cast: Cast, browser: Browser) -> None:
    html = browser("viewer").get(LIST).content.decode()
    assert html.index('href="#content"') < html.index('id="nav-sidebar"')
