"""The list of flags: what a row says, and that it costs the same for one flag and for many."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import workflow
from approvals.models import ChangeRequest
from audit.ledger import timestamp
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser
from tests.ui.pages import LIST


def html_of(browser: Browser, name: str = "author", query: str = "") -> str:
    return browser(name).get(LIST + query).content.decode()


def test_a_switch_says_flag_environment_state_and_need_of_review(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    html = html_of(browser)
    assert 'aria-label="banner in Production, on, needs review"' in html
    assert 'aria-label="banner in Development, not configured"' in html
    assert html.count('role="switch"') == 2
    assert 'aria-checked="true"' in html


def test_a_split_shows_its_percentage_and_a_request_its_mark(cast: Cast, browser: Browser) -> None:
    cast.flag()
    cast.approve(cast.propose(split(5)))
    request = cast.propose(split(25))
    html = html_of(browser)
    assert 'aria-label="banner in Production, on for 5 %, needs review, change requested"' in html
    assert f"/admin/p/shop/requests/{request.pk}/" in html


def test_a_killed_an_expired_and_a_stale_flag_are_marked_in_words(cast: Cast, browser: Browser) -> None:
    cast.flag(temporary=True, expires_at=timestamp(timezone.now() + timezone.timedelta(days=1)))
    cast.approve(cast.propose(ON))
    from flags.subjects import Subject

    subject = Subject("configuration", "shop", "banner", "production")
    workflow.kill(cast.actor("on_call"), subject, cast.project)
    with connection.cursor() as cursor:  # age cannot be given by a verb
        old = timezone.now() - timezone.timedelta(days=400)
        cursor.execute("UPDATE flags_flag SET created_at = %s, expires_at = %s", [old, old])
    html = html_of(browser)
    assert "banner in Production, killed, needs review" in html
    assert "Expired" in html
    assert "Stale" in html


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("?q=alpha", {"alpha"}),
        ("?q=CHECK", {"beta"}),
        ("?kind=experiment", {"beta"}),
        ("?kind=nonsense", {"alpha", "beta"}),
        ("?state=on:development", {"alpha"}),
        ("?state=off:development", {"beta"}),
        ("?state=pending", {"beta"}),
        ("?state=on:nowhere", {"alpha", "beta"}),
        ("?owner=user:nobody", set()),
        ("?state=killed", set()),
        ("?state=expired", set()),
        ("?state=stale", set()),
        ("?state=rollout", set()),
        ("?page=99", {"alpha", "beta"}),
    ],
)
def test_search_and_filters_narrow_down(cast: Cast, browser: Browser, query: str, found: set[str]) -> None:
    cast.flag("alpha")
    cast.flag("beta", kind="experiment", tags=["checkout"])
    cast.propose(ON, key="alpha", environment="development")
    cast.propose(ON, key="beta")
    html = html_of(browser, query=query)
    assert {key for key in ("alpha", "beta") if f"/flags/{key}/in/" in html} == found


def test_an_empty_project_says_what_to_do_first(cast: Cast, browser: Browser) -> None:
    assert "No flags yet" in html_of(browser)
    html = browser("outsider").get("/admin/p/other/flags/").content.decode()
    assert "First, an environment" in html
    assert "/admin/p/other/new-environment/" in html


def test_fifty_flags_are_a_page(cast: Cast, browser: Browser) -> None:
    for number in range(51):
        cast.flag(f"flag-{number:02}")
    assert html_of(browser).count('role="rowheader"') == 50
    assert html_of(browser, query="?page=2").count('role="rowheader"') == 1


def queries(browser: Browser, name: str, url: str) -> int:
    client = browser(name)
    client.get(url)  # the session is stored once
    with CaptureQueriesContext(
        connection,
    ) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def grow(cast: Cast, prefix: str, count: int) -> None:
    for number in range(count):
        key = f"{prefix}-{number}"
        cast.flag(key, owner=cast.users["author"].pseudonym)
        cast.approve(cast.propose(split(number + 1, key), key=key))
        cast.propose(OFF, key=key, environment="development")
        cast.propose(OFF, key=key)


@pytest.mark.parametrize(
    "url",
    [
        LIST,
        "/admin/p/shop/flags/first-0/",
        "/admin/p/shop/flags/first-0/in/production/",
        "/admin/p/shop/requests/?which=all",
        "/admin/p/shop/requests/?which=waiting",
        "/admin/p/shop/requests/{number}/",
        "/admin/p/shop/audit/",
        "/admin/p/shop/segments/",
        "/admin/p/shop/environments/",
        "/admin/p/shop/people/",
        "/admin/p/shop/plans/",
    ],
)
def test_a_page_costs_the_same_number_of_queries_for_few_flags_and_for_many(
    cast: Cast, browser: Browser, url: str
) -> None:
    grow(cast, "first", 2)
    page = url
    url = url.format(
        number=ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).earliest("pk").pk
    )
    few = queries(browser, "administrator", url)
    grow(cast, "second", 12)
    assert queries(browser, "administrator", url) == few
    # One of them is the bell's; what is asked before a change checks everything that applying it would.
    assert few <= (75 if "{number}" in page or page.endswith("/in/production/") else 33)
