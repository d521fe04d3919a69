"""The home page: what waits for whom, what comes, what happened, and the way to a first answer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals import rollouts, workflow
from approvals.coming import Kind, coming
from approvals.freezes import save_freeze
from approvals.models import Emergency
from audit.ledger import timestamp
from distribution import keys
from distribution.models import SdkKey
from flags.models import RolloutPlan
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split
from tests.ui.conftest import Browser

HOME = "/admin/p/shop/home/"


def seen(browser: Browser, name: str) -> dict[str, Any]:
    answer = browser(name).get(HOME)
    assert answer.status_code == 200
    return answer.context


def called(cast: Cast) -> None:
    """A program has asked: the first steps are done."""
    key, _secret = keys.issue(cast.actor("administrator"), cast.development, "checkout", "server")
    SdkKey.objects.filter(pk=key.pk).update(last_used_on=timezone.now().date())


def plan(cast: Cast, **second: Any) -> RolloutPlan:
    """A plan of two stages, approved, its first stage carried out."""
    cast.approve(cast.propose(OFF))
    stages = [{"weights": [["on", share], ["off", 100 - share]], "hold": 86_400} for share in (10, 50)]
    stages[1] |= second
    flag = cast.project.flags.get(key="banner")
    made = rollouts.propose_plan(
        cast.actor("author"), flag, cast.production, stages, title="Roll out", rationale="planned"
    )
    cast.approve(made)
    return RolloutPlan.objects.get(number=made.number)


def test_one_lands_at_home(cast: Cast, browser: Browser) -> None:
    assert browser("author").get("/admin/", follow=True).redirect_chain[-1][0] == HOME
    assert browser("outsider").get(HOME).status_code == 404


def test_a_request_waits_for_its_reviewer_and_not_for_its_author_who_sees_what_it_needs(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    cast.propose(ON, title="Everybody gets the banner")
    assert [each["request"].title for each in seen(browser, "reviewer")["reviews"]] == [
        "Everybody gets the banner"
    ]
    for name in ("author", "viewer", "on_call"):
        assert seen(browser, name)["reviews"] == []
    mine = seen(browser, "author")["mine"]
    assert [str(each["needs"]) for each in mine] == ["0 of 1 approvals"]
    assert "0 of 1 approvals" in browser("author").get(HOME).content.decode()


def test_what_was_approved_and_has_no_time_waits_for_whoever_asked(cast: Cast, browser: Browser) -> None:
    cast.flag()
    made = workflow.propose(
        cast.actor("author"),
        cast.project,
        [{"subject": cast.subject(), "after": ON}],
        title="By hand",
        rationale="planned",
    )
    cast.approve(made)
    assert str(seen(browser, "author")["mine"][0]["needs"]) == "approved: apply it"


def test_a_kill_waits_for_a_reviewer_and_is_told_to_all_as_what_happened(
    cast: Cast, browser: Browser
) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    workflow.kill(
        cast.actor("on_call"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    shown = browser("reviewer").get(HOME).content.decode()
    assert "Review the kill of banner in Production" in shown
    assert seen(browser, "viewer")["health"]["overdue"] == 0
    Emergency.objects.update(due_at=timezone.now() - timedelta(minutes=1))
    assert "overdue since" in browser("reviewer").get(HOME).content.decode()
    assert seen(browser, "viewer")["health"]["overdue"] == 1
    shown = browser("viewer").get(HOME).content.decode()
    assert "Review the kill" not in shown
    assert "banner killed in Production" in shown
    assert "On Call" in shown
    assert "approved by Reviewer" in shown


def test_a_plan_that_waits_for_a_go_ahead_waits_for_reviewers(cast: Cast, browser: Browser) -> None:
    cast.flag()
    plan(cast, go_ahead=True)
    assert "Let banner in Production go on" in browser("reviewer").get(HOME).content.decode()
    shown = browser("author").get(HOME).content.decode()
    assert "Let banner in Production go on" not in shown
    assert "stage 1 of 2" in shown


def test_the_timeline_has_schedules_stages_deadlines_ends_expiries_and_freezes_in_their_order(
    cast: Cast, browser: Browser
) -> None:
    now = timezone.now()
    cast.flag("expiring", expires_at=timestamp(now + timedelta(days=4)), temporary=True, permanent_reason="")
    cast.flag()
    plan(cast)
    cast.flag("later")
    cast.propose(ON, key="later", scheduled_at=now + timedelta(days=2), ends_at=now + timedelta(days=6))
    cast.flag("tried")
    cast.propose(ON, key="tried", environment="development", confirm_within=3600)
    save_freeze(
        cast.actor("administrator"),
        cast.project,
        "sale",
        {"reason": "Sale", "starts_at": now + timedelta(days=5), "ends_at": now + timedelta(days=7)},
    )
    found = coming(cast.project, now, now + timedelta(days=14))
    assert [each.kind for each in found] == [
        Kind.CONFIRM,
        Kind.STAGE,
        Kind.SCHEDULED,
        Kind.EXPIRY,
        Kind.FREEZE,
        Kind.END,
    ]
    assert [each.is_sure for each in found if each.kind is Kind.SCHEDULED] == [False]
    shown = browser("viewer").get(HOME).content.decode()
    for words in ("Rollout stage", "not approved yet", "Planned end", "Flag expires", "Sale", "stage 2 of 2"):
        assert words in shown
    assert coming(cast.project, now + timedelta(days=14), now + timedelta(days=28)) == []


def test_nothing_of_another_project_comes(cast: Cast, browser: Browser) -> None:
    cast.flag(expires_at=timestamp(timezone.now() + timedelta(days=1)))
    other = browser("outsider").get("/admin/p/other/home/")
    assert "banner" not in other.content.decode()


def test_health_says_to_each_what_they_may_know(cast: Cast, browser: Browser) -> None:
    cast.flag()
    assert "checkpoint" not in seen(browser, "viewer")["health"]
    assert "failed" not in seen(browser, "auditor")["health"]
    assert {"snapshots", "checkpoint", "failed"} <= set(seen(browser, "administrator")["health"])
    assert "Last checkpoint of the ledger" in browser("auditor").get(HOME).content.decode()


def test_the_first_steps_are_ticked_off_as_they_are_done_and_go_away(cast: Cast, browser: Browser) -> None:
    steps = seen(browser, "administrator")["steps"]
    assert (steps.done, steps.is_beginning) == (1, True)
    assert "/admin/p/shop/new-flag/" in browser("administrator").get(HOME).content.decode()
    viewer = browser("viewer").get(HOME).content.decode()
    assert "/admin/p/shop/new-flag/" not in viewer
    assert "ask Administrator, Author" in viewer
    cast.flag()
    assert (
        "/admin/p/shop/environments/development/new-key/"
        in browser("administrator").get(HOME).content.decode()
    )
    key, _secret = keys.issue(cast.actor("administrator"), cast.development, "checkout", "server")
    shown = browser("author").get(HOME).content.decode()
    assert "/ofrep/v1/evaluate/flags/banner" in shown
    assert "COUNTERSIGN_DSN" in shown
    SdkKey.objects.filter(pk=key.pk).update(last_used_on=timezone.now().date())
    assert seen(browser, "author")["steps"] is None


def _grow(cast: Cast, prefix: str, count: int) -> None:
    now = timezone.now()
    for number in range(count):
        key = f"{prefix}-{number}"
        cast.flag(key, expires_at=timestamp(now + timedelta(days=number + 1)), temporary=True)
        cast.approve(cast.propose(split(number + 1, key), key=key))
        cast.propose(OFF, key=key, scheduled_at=now + timedelta(days=number + 1))
        subject = Subject("configuration", "shop", key, "production")
        workflow.kill(cast.actor("on_call"), subject, cast.project)


def test_it_costs_the_same_number_of_queries_for_few_and_for_many(cast: Cast, browser: Browser) -> None:
    # Everybody in one test: growing by verbs takes longer than asking all of them.
    def costs() -> dict[str, int]:
        counts = {}
        for name in ("author", "reviewer", "administrator", "viewer"):
            client = browser(name)
            client.get(HOME)
            with CaptureQueriesContext(connection) as queries:
                assert client.get(HOME).status_code == 200
            counts[name] = len(queries)
        return counts

    called(cast)
    _grow(cast, "first", 2)
    few = costs()
    _grow(cast, "second", 7)
    assert costs() == few
    assert max(few.values()) <= 45
