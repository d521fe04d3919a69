"""The list of flags: what a row says, and that it costs the same for one flag and for many."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import workflow
from approvals.models import ChangeRequest, DraftEdit
from audit.ledger import timestamp
from flags import catalogue
from tests.cast import BANNER, OFF, ON, Cast, split
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
    operations = [{"subject": f"project/shop/flag/flag-{number:02}", "after": BANNER} for number in range(51)]
    workflow.change(cast.actor("author"), cast.project, operations, title="New flags", rationale="planned")
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


PAGES = (
    LIST,
    f"{LIST}?q=first&kind=release&state=on:production&sort=changed",
    "/admin/p/shop/flags/first-0/",
    "/admin/p/shop/flags/first-0/in/production/",
    "/admin/p/shop/draft/",
    "/admin/p/shop/requests/?which=all",
    "/admin/p/shop/requests/?which=waiting",
    "/admin/p/shop/requests/{number}/",
    "/admin/p/shop/audit/",
    "/admin/p/shop/segments/",
    "/admin/p/shop/environments/",
    "/admin/p/shop/people/",
    "/admin/p/shop/plans/",
)


def test_pages_cost_the_same_number_of_queries_for_few_flags_and_for_many(
    cast: Cast, browser: Browser
) -> None:
    # All pages in one test: growing the catalogue by verbs takes longer than asking all of them.
    def costs() -> dict[str, int]:
        return {page: queries(browser, "administrator", page.format(number=number)) for page in PAGES}

    grow(cast, "first", 2)
    number = ChangeRequest.objects.filter(state=ChangeRequest.State.IN_REVIEW).earliest("pk").pk
    few = costs()
    grow(cast, "second", 12)
    assert costs() == few
    for page, count in few.items():
        # One is the bell's, one the draft's banner; what is asked before a change checks all that applying would.
        assert count <= (96 if "{number}" in page or page.endswith("/in/production/") else 35), page


def facets(browser: Browser, query: str = "") -> dict[str, dict[str, int]]:
    found = browser("author").get(LIST + query).context["found"]
    return {facet.label: {each.label: each.count for each in facet.choices} for facet in found.facets}


def three(cast: Cast) -> None:
    owner = cast.users["author"].pseudonym
    cast.flag("alpha", team="pay", tags=["web"], owner=owner)
    cast.flag("beta", kind="experiment", team="pay", tags=["web", "app"])
    cast.flag("gamma", team="search")
    cast.propose(ON, key="alpha", environment="development")


def test_facets_count_what_each_choice_would_leave(cast: Cast, browser: Browser) -> None:
    three(cast)
    found = facets(browser)
    assert found["Team"] == {"pay": 2, "search": 1}
    assert found["Tag"] == {"web": 2, "app": 1}
    assert found["Kind"] == {"Release": 2, "Experiment": 1}
    assert found["Owner"] == {"nobody": 2, "Author": 1}
    assert found["Development"] == {"on": 1, "off": 2}
    # A facet's own numbers do not shrink by what is chosen in it; the others' do.
    found = facets(browser, "?team=pay")
    assert found["Team"] == {"pay": 2, "search": 1}
    assert found["Kind"] == {"Release": 1, "Experiment": 1}


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("?team=pay&team=search", ["alpha", "beta", "gamma"]),
        ("?team=pay&tag=app", ["beta"]),
        ("?state=on:development&state=off:production", ["alpha"]),
        ("?state=on:development&state=off:development", ["alpha", "beta", "gamma"]),
        ("?owner=-", ["beta", "gamma"]),
        ("?tag=nothing", []),
        ("?q=WEB&sort=changed", ["alpha", "beta"]),
        ("?sort=changed", ["alpha", "beta", "gamma"]),
        ("?sort=nonsense", ["alpha", "beta", "gamma"]),
    ],
)
def test_facets_narrow_each_other(cast: Cast, browser: Browser, query: str, keys: list[str]) -> None:
    three(cast)
    rows = browser("author").get(LIST + query).context["rows"]
    assert [row.flag.key for row in rows] == keys


def test_the_next_to_expire_comes_first(cast: Cast, browser: Browser) -> None:
    for key, days in (("alpha", 9), ("beta", 3)):
        at = timestamp(timezone.now() + timezone.timedelta(days=days))
        cast.flag(key, temporary=True, expires_at=at)
    cast.flag("forever")
    rows = browser("author").get(f"{LIST}?sort=expiry").context["rows"]
    assert [row.flag.key for row in rows] == ["beta", "alpha", "forever"]


def test_what_is_chosen_is_a_chip_that_takes_it_away_again(cast: Cast, browser: Browser) -> None:
    three(cast)
    html = html_of(browser, query="?team=pay&state=on:development&page=2")
    assert 'href="?state=on%3Adevelopment"' in html
    assert 'href="?team=pay"' in html
    assert "Development: on" in html


def test_many_environments_are_chosen_from(cast: Cast, browser: Browser) -> None:
    for number in range(4):
        catalogue.create_environment(
            cast.actor("administrator"),
            cast.project,
            f"more-{number}",
            {"name": "More", "position": number + 3},
        )
    cast.flag()
    shown = [each.key for each in browser("author").get(LIST).context["columns"]]
    assert shown == ["more-0", "more-1", "more-2", "more-3"]
    chosen = browser("author").get(f"{LIST}?column=production&column=development").context["columns"]
    assert [each.key for each in chosen] == ["development", "production"]


def bulk(browser: Browser, what: str, *keys: str, tag: str = "") -> str:
    answer = browser("author").post(LIST, {"flag": keys, "what": what, "tag": tag}, follow=True)
    return str(answer.content.decode())


def test_ticked_flags_are_turned_on_in_the_draft_and_counted(cast: Cast, browser: Browser) -> None:
    three(cast)
    html = bulk(browser, "on:development", "alpha", "beta", "gamma", "unknown")
    assert "2 flags are changed in your draft" in html
    assert "1 was left out: on there already" in html
    assert "In your draft: on" in html
    assert "beta in Development, not configured, in your draft: on" in html
    assert DraftEdit.objects.count() == 2
    assert "2 flags are changed" in bulk(browser, "off:development", "beta", "alpha")
    assert [edit.subject for edit in DraftEdit.objects.order_by("subject")] == [
        cast.subject("alpha", "development"),
        cast.subject("beta", "development"),
        cast.subject("gamma", "development"),
    ]


def test_ticked_flags_are_tagged_and_archived_in_the_draft(cast: Cast, browser: Browser) -> None:
    three(cast)
    assert "1 flag is changed" in bulk(browser, "tag", "alpha", "gamma", tag=" web ")
    assert DraftEdit.objects.get().after["tags"] == ["web"]
    html = bulk(browser, "archive", "alpha", "beta", "gamma")
    assert "2 flags are changed" in html
    assert "1 was left out: they are in use" in html
    assert {edit.subject for edit in DraftEdit.objects.filter(after__archived=True)} == {
        "project/shop/flag/beta",
        "project/shop/flag/gamma",
    }
    assert DraftEdit.objects.get(subject="project/shop/flag/gamma").after["tags"] == ["web"]


def test_nothing_ticked_or_nothing_to_do_is_told(cast: Cast, browser: Browser) -> None:
    three(cast)
    assert "Tick at least one flag first." in bulk(browser, "archive")
    assert "Choose what to do" in bulk(browser, "on:nowhere", "alpha")
    assert "Say which tag to add." in bulk(browser, "tag", "alpha")
    assert browser("viewer").post(LIST, {"flag": ["alpha"], "what": "archive"}).status_code == 403
    assert not DraftEdit.objects.exists()
