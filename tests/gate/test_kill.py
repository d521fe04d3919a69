"""The kill switch: at once, without review, and reviewed afterwards by somebody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail

from access import grants, machines
from access.limits import Limits
from access.notifications import delivering
from access.permissions import ForbiddenError, service_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest, Emergency
from approvals.tasks import escalate_overdue_reviews
from approvals.workflow import ConflictError, StateError
from audit.ledger import timestamp
from audit.models import Event
from flags.models import Flag, FlagConfiguration
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, _user, split

BANNER = Subject("configuration", "shop", "banner", "production")


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    """With a flag that is on in production."""
    cast.approve(cast.propose())
    return cast


def kill(cast: Cast, by: str = "on_call", subject: Subject = BANNER) -> Emergency:
    return workflow.kill(cast.actor(by), subject, cast.project)


def test_a_kill_takes_effect_at_once_and_leaves_a_debt(shop: Cast) -> None:
    revision = type(shop.production).objects.get(pk=shop.production.pk).revision
    emergency = kill(shop)
    assert FlagConfiguration.objects.get().document == {**ON, "killed": True}
    assert type(shop.production).objects.get(pk=shop.production.pk).revision == revision + 1
    data = json.loads(Event.objects.get(type="flags.v1.configuration.killed").line)["data"]
    assert set(data) == {"actor", "before", "after", "personal"}
    assert (data["before"], data["after"]) == (ON, {**ON, "killed": True})
    assert (emergency.killed_by, emergency.reviewed_by) == (shop.users["on_call"].pseudonym, "")


@pytest.mark.parametrize("name", ["author", "reviewer", "viewer", "auditor", "outsider"])
def test_only_on_call_and_administrators_kill(shop: Cast, name: str) -> None:
    with pytest.raises(ForbiddenError):
        kill(shop, name)
    assert FlagConfiguration.objects.get().document == ON


def test_what_is_killed_is_not_killed_again(shop: Cast) -> None:
    kill(shop)
    with pytest.raises(StateError, match="killed in production already"):
        kill(shop, "administrator")
    assert Emergency.objects.count() == 1


@pytest.mark.parametrize(
    "subject",
    [
        Subject("configuration", "shop", "banner", "development"),
        Subject("configuration", "shop", "ghost", "production"),
        Subject("configuration", "shop", "banner", "moon"),
        Subject("configuration", "other", "banner", "production"),
        Subject("definition", "shop", "banner"),
        Subject("segment", "shop", "banner"),
    ],
    ids=str,
)
def test_where_nothing_is_served_there_is_nothing_to_kill(shop: Cast, subject: Subject) -> None:
    with pytest.raises(StateError):
        kill(shop, subject=subject)
    assert FlagConfiguration.objects.get().document == ON
    assert not Emergency.objects.exists()


def test_somebody_else_reviews_a_kill_once(shop: Cast) -> None:
    grants.grant(shop.actor("administrator"), shop.project, shop.users["on_call"].pseudonym, Role.REVIEWER)
    emergency = kill(shop)
    with pytest.raises(StateError, match="somebody else"):
        workflow.review_emergency(shop.actor("on_call"), emergency)
    with pytest.raises(ForbiddenError):
        workflow.review_emergency(shop.actor("author"), emergency)
    reviewed = workflow.review_emergency(shop.actor("reviewer"), emergency)
    assert reviewed.reviewed_by == shop.users["reviewer"].pseudonym
    with pytest.raises(StateError, match="reviewed already"):
        workflow.review_emergency(shop.actor("second_reviewer"), emergency)
    data = json.loads(Event.objects.get(type="approvals.v1.emergency.reviewed").line)["data"]
    assert (data["event"], data["digest"]) == (str(emergency.event_id), emergency.digest)


def test_a_kill_is_undone_by_an_ordinary_change(shop: Cast) -> None:
    kill(shop)
    request = shop.propose(ON)
    assert request.state == ChangeRequest.State.IN_REVIEW
    shop.approve(request)
    assert FlagConfiguration.objects.get().document == ON
    kill(shop)
    assert Emergency.objects.count() == 2


def test_a_request_made_before_a_kill_does_not_undo_it(shop: Cast) -> None:
    request = shop.propose(split(50))
    kill(shop)
    request = shop.approve(request)
    assert request.state == ChangeRequest.State.APPROVED
    assert "Nothing was overwritten" in request.problem
    with pytest.raises(ConflictError):
        workflow.apply(shop.actor("author"), request)
    assert FlagConfiguration.objects.get().document == {**ON, "killed": True}


def test_what_is_off_can_be_killed_so_that_nobody_turns_it_on_unseen(shop: Cast) -> None:
    shop.approve(shop.propose(OFF))
    kill(shop)
    assert FlagConfiguration.objects.get().document == {**OFF, "killed": True}


def test_a_service_account_pays_no_debt_of_a_review(shop: Cast) -> None:
    emergency = kill(shop)
    account = machines.create_service_account(shop.actor("root"), "pipeline")
    grants.grant(shop.actor("administrator"), shop.project, account.pseudonym, Role.REVIEWER)
    with pytest.raises(StateError, match="Only people review"):
        workflow.review_emergency(service_actor(account), emergency)
    assert not Event.objects.filter(type="approvals.v1.emergency.reviewed").exists()


def test_one_act_kills_everywhere_or_nowhere(shop: Cast) -> None:
    shop.propose(OFF, environment="development")
    banner = Flag.objects.select_related("project").get()
    night = shop.users["night"] = _user("night")
    limits = Limits(frozenset({"development"}))
    grants.grant(shop.actor("administrator"), shop.project, night.pseudonym, Role.ON_CALL, limits=limits)
    with pytest.raises(ForbiddenError):
        workflow.kill_everywhere(shop.actor("night"), banner)
    assert not Emergency.objects.exists()
    made = workflow.kill_everywhere(shop.actor("on_call"), banner)
    assert [each.subject.split("/")[3] for each in made] == ["development", "production"]
    assert all(row.document["killed"] for row in FlagConfiguration.objects.all())
    with pytest.raises(StateError, match="in every environment"):
        workflow.kill_everywhere(shop.actor("on_call"), banner)


def letters() -> list[Any]:
    """The mails about overdue reviews, after all that is due was delivered."""
    delivering.deliver_due()
    return [each for each in mail.outbox if "Overdue" in each.subject]


def test_a_review_that_is_overdue_is_told_at_the_deadline_and_daily_until_somebody_looks(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    emergency = kill(shop)
    assert emergency.due_at - emergency.killed_at == pytest.approx(
        timedelta(hours=24), abs=timedelta(minutes=1)
    )
    escalate_overdue_reviews()
    assert letters() == []
    for told in (1, 2):
        later(timedelta(hours=25))
        escalate_overdue_reviews()
        escalate_overdue_reviews()
        assert Event.objects.filter(type="approvals.v1.emergency.overdue").count() == told
    data = json.loads(Event.objects.filter(type="approvals.v1.emergency.overdue").latest("index").line)[
        "data"
    ]
    assert (data["event"], data["due_at"]) == (str(emergency.event_id), timestamp(emergency.due_at))
    reached = {address for letter in letters() for address in letter.to}
    assert reached == {
        f"{name}@example.com" for name in ("reviewer", "second_reviewer", "administrator", "root")
    }
    assert "the review of the kill of banner in production" in letters()[0].subject
    emergency.refresh_from_db()
    workflow.review_emergency(shop.actor("reviewer"), emergency)
    later(timedelta(days=2))
    escalate_overdue_reviews()
    assert Event.objects.filter(type="approvals.v1.emergency.overdue").count() == 2
