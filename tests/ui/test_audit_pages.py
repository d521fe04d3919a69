"""The ledger as a list: filters, paging by position, what an event tells."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import grants
from approvals.models import ChangeRequest
from audit.admin import activity
from audit.admin import events as events_page
from audit.checkpoints import sign_current
from audit.models import Event, Log
from audit.recording import recording
from tests.cast import ON, Cast, split, standing
from tests.replay import Replay
from tests.ui.conftest import Browser

PAGE = "/admin/p/shop/audit/"


def happenings() -> None:
    cast = standing()
    cast.flag()
    request = cast.propose(ON, rationale="the launch", ticket="SHOP-7")
    cast.approve(request)
    cast.flag("other")
    cast.propose(split(10), key="other", environment="development")


_happenings = Replay(happenings)


@pytest.fixture
def busy(cast: Cast) -> Cast:
    _happenings.write()
    return cast


def shown(browser: Browser, query: str = "", name: str = "auditor") -> str:
    return browser(name).get(PAGE + query).content.decode()


def test_an_event_tells_who_what_under_which_change_and_who_approved(busy: Cast, browser: Browser) -> None:
    html = shown(browser, "?type=flags.v1.configuration.updated&subject=banner")
    for text in ("Production: turned on", "by web", "SHOP-7", "the launch", "Approved by"):
        assert text in html
    assert html.count('class="cs-event"') == 1


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("?subject=banner", 2),
        ("?subject=flag/other", 2),
        ("?subject=bann", 4),  # by the name as well, which both have
        ("?subject=OTHER", 2),
        ("?subject=project/shop/flag/banner", 1),
        ("?subject=project/other/flag/banner", 0),
        ("?subject=no-such-thing", 0),
        ("?type=flags.v1.flag.created", 2),
        ("?environment=development", 1),
        ("?change={change}", 4),
        ("?from=2099-01-01", 0),
        ("?to=2001-01-01", 0),
        ("?subject=banner&from=2001-01-01&to=2099-01-01", 2),
    ],
)
def test_filters_narrow_down(busy: Cast, browser: Browser, query: str, count: int) -> None:
    # Of the request that turned the banner on; a database does not give a number twice.
    change = ChangeRequest.objects.get(title="Change banner in production").change_id
    assert shown(browser, query.format(change=change)).count('class="cs-event"') == count


def test_a_filter_by_person_takes_the_pseudonym(busy: Cast, browser: Browser) -> None:
    reviewer = busy.users["reviewer"].pseudonym
    html = shown(browser, f"?actor={reviewer}")
    assert html.count('class="cs-event"') == Event.objects.filter(actor=reviewer).count() > 0


def test_a_date_that_is_none_is_named(busy: Cast, browser: Browser) -> None:
    assert "“soon” is no date" in shown(browser, "?from=soon")


def test_pages_follow_each_other_without_gap_or_overlap(
    busy: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events_page, "PAGE_SIZE", 4)
    client, query, seen = browser("auditor"), "", []
    while True:
        answer = client.get(PAGE + query)
        seen += [item.event.index for item in answer.context["rows"]]
        if answer.context["next_before"] is None:
            break
        query = f"?before={answer.context['next_before']}"
    expected = Event.objects.filter(project="shop").order_by("-index").values_list("index", flat=True)
    assert seen == list(expected)


def test_nothing_but_the_bars_is_counted(busy: Cast, browser: Browser) -> None:
    client = browser("auditor")
    with CaptureQueriesContext(connection) as captured:
        client.get(PAGE)
    on_events = [q["sql"] for q in captured if 'FROM "audit_event"' in q["sql"]]
    counting = [sql for sql in on_events if "COUNT(" in sql.upper()]
    assert len(counting) == 1
    assert 'U0."index" >=' in counting[0]  # between positions, which an index holds
    assert all("LIMIT" in sql for sql in on_events if sql not in counting)


def test_bars_say_how_many_there_were_when_and_narrow_the_span(busy: Cast, browser: Browser) -> None:
    client = browser("auditor")
    every = Event.objects.filter(project="shop").count()
    found = client.get(PAGE).context["activity"]
    assert (found.step, found.total, found.highest.height) == ("hour", every, 100)
    # What happened is of this hour, or of this and the one before; their minutes tell more.
    happened = [bar for bar in found.bars if bar.count]
    context = client.get(f"{PAGE}?from={happened[0].first}&to={happened[-1].last}").context
    assert context["activity"].total == every
    assert len(context["rows"]) == min(every, events_page.PAGE_SIZE)
    later = client.get(f"{PAGE}?from={happened[-1].last}").context
    assert later["activity"] is None or later["activity"].total < every


def test_bars_follow_the_filters(busy: Cast, browser: Browser) -> None:
    client = browser("auditor")
    for query in (
        "type=flags.v1.flag.created",
        "subject=banner",
        "environment=production",
        "subject=b&type=x",
    ):
        answer = client.get(f"{PAGE}?{query}")
        assert answer.context["activity"].total == len(answer.context["rows"]), query
    assert client.get(f"{PAGE}?subject=no-such-thing").context["activity"] is None


def test_what_would_take_too_long_to_count_is_not_counted(
    busy: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity.Reach.SPREAD, "_value_", 1)
    assert "Too many events to count" in shown(browser, "?environment=production")
    assert "Too many events to count" not in shown(browser)


def test_one_line_per_change_folds_its_events(busy: Cast, browser: Browser) -> None:
    answer = browser("auditor").get(f"{PAGE}?by=change")
    html = answer.content.decode()
    changes = Event.objects.filter(project="shop").exclude(change_id="").values("change_id").distinct()
    folded = [chain for chain in answer.context["rows"] if chain.steps]
    assert len(folded) == changes.count() > 1
    change = ChangeRequest.objects.get(title="Change banner in production")
    [chain] = [each for each in folded if each.newest.event.change_id == change.change_id]
    assert [step.what for step in chain.steps] == [
        "Change proposed",
        "Change approved",
        "Flag changed in an environment",
        "Change applied",
    ]
    assert chain.newest.approvers
    for text in ("Its events one by one", "SHOP-7", "4 events"):
        assert text in html


def test_changes_are_paged_without_gap_or_overlap(
    busy: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [each.newest.event.index for each in browser("auditor").get(f"{PAGE}?by=change").context["rows"]]
    monkeypatch.setattr(events_page, "PAGE_SIZE", 2)
    seen: list[int] = []
    query = "?by=change"
    while query:
        context = browser("auditor").get(PAGE + query).context
        seen += [each.newest.event.index for each in context["rows"]]
        query = f"?by=change&before={context['next_before']}" if context["next_before"] else ""
    assert seen == whole


def test_what_an_event_is_about_is_a_link_with_its_name(busy: Cast, browser: Browser) -> None:
    html = shown(browser, "?type=flags.v1.configuration.updated&subject=banner")
    assert '<a href="/admin/p/shop/flags/banner/in/production/overview/">Banner in Production</a>' in html


def test_what_matches_too_much_is_told(busy: Cast, browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_page, "SEARCHED", 1)
    html = shown(browser, "?subject=n")
    assert "More than 1 match" in html
    assert html.count('class="cs-event"') == 2


@pytest.mark.parametrize(
    "query", ["", "?by=change", "?subject=banner", "?subject=nothing", "?type=flags.v1.flag.created"]
)
def test_no_more_is_asked_of_the_database_when_there_is_more_to_show(
    busy: Cast, browser: Browser, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where a bar ends between two events one more query looks for the place: all is of one moment here.
    now = Log.objects.get().last_time
    monkeypatch.setattr(timezone, "now", lambda: now)
    client = browser("auditor")
    client.get(PAGE)  # remembers the project
    counts = []
    for key in ("more", "still-more"):
        with CaptureQueriesContext(connection) as captured:
            client.get(PAGE + query)
        counts.append(len(captured))
        busy.flag(key)
    assert counts[0] == counts[1]


def test_the_head_and_the_last_checkpoint_are_shown(busy: Cast, browser: Browser) -> None:
    assert "none yet" in shown(browser)
    checkpoint = sign_current()
    assert f"signed at {checkpoint.size} events" in shown(browser)


def test_exports_are_offered_to_those_who_may_export(busy: Cast, browser: Browser) -> None:
    assert "Download report (CSV)" in shown(browser)
    assert "Export evidence (bundle)" in shown(browser)
    assert "Download report" not in shown(browser, name="author")


def test_an_event_has_an_address_of_its_own(busy: Cast, browser: Browser) -> None:
    event = Event.objects.filter(project="shop", type="flags.v1.configuration.updated").first()
    html = browser("auditor").get(f"{PAGE}{event.pk}/").content.decode()
    assert "The line that is hashed" in html
    foreign = Event.objects.filter(project="other").first()
    assert browser("auditor").get(f"{PAGE}{foreign.pk}/").status_code == 404


def test_large_documents_are_shown_from_their_blobs(cast: Cast, browser: Browser) -> None:
    cast.flag()
    many = {**ON, "targets": {"off": [f"customer-{number:05}" for number in range(2_000)]}}
    cast.propose(many, environment="development")
    assert "customer-00042" in shown(browser, "?environment=development")


def test_membership_changes_name_the_person_and_the_roles(busy: Cast, browser: Browser) -> None:
    html = shown(browser, "?type=access.v1.membership.changed")
    assert "Roles: none → Reviewer" in html


def test_a_role_that_a_provider_gave_is_told_with_its_name(cast: Cast, browser: Browser) -> None:
    roles = {"roles": [{"role": "editor", "environments": ["development"], "given_by": "acme"}]}
    with recording(cast.actor("root")) as record:
        grants.change_roles(record, cast.project, cast.users["outsider"].pseudonym, roles)
    html = browser("auditor").get("/admin/p/shop/audit/").content.decode()
    assert "Roles: none → Editor (in development, by acme)" in html


def test_spans_of_time_are_a_click_and_filters_are_kept_as_views(busy: Cast, browser: Browser) -> None:
    auditor = browser("auditor")
    page = auditor.get("/admin/p/shop/audit/?type=flags.v1.flag.created")
    first_day = page.context["presets"][1][1]
    assert f"?type=flags.v1.flag.created&amp;from={first_day}" in page.content.decode()
    kept = {"name": "New flags", "query": "type=flags.v1.flag.created"}
    assert auditor.post("/admin/p/shop/views/audit/", kept).status_code == 302
    assert "New flags" in auditor.get("/admin/p/shop/audit/").content.decode()
    assert "New flags" not in browser("root").get("/admin/p/shop/audit/").content.decode()
