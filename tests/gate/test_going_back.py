"""Changes that go back by themselves: unless somebody confirms them, or at their planned end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from access.permissions import ForbiddenError
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.tasks import carry_out_due
from approvals.workflow import InvalidError, StateError
from audit.models import Event
from flags.models import FlagConfiguration
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split

Clock = Callable[[timedelta], datetime]
MINUTE = timedelta(minutes=1)


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    """With a flag that is off in production."""
    cast.approve(cast.propose(OFF))
    return cast


def served() -> Any:
    return FlagConfiguration.objects.get().document


def test_what_nobody_confirms_goes_back_under_its_own_approval(shop: Cast, later: Clock) -> None:
    request = shop.propose(ON, confirm_within=600)
    assert request.change["confirm_within"] == 600
    assert [each.get("label") for each in request.change["operations"]] == [None, "revert"]
    shop.approve(request)
    assert served() == ON
    later(9 * MINUTE)
    carry_out_due()
    assert served() == ON
    later(2 * MINUTE)
    carry_out_due()
    carry_out_due()
    assert served() == OFF
    assert Event.objects.filter(type="approvals.v1.change_request.reverted").count() == 1


def test_what_is_confirmed_stays(shop: Cast, later: Clock) -> None:
    request = shop.approve(shop.propose(ON, confirm_within=600))
    with pytest.raises(ForbiddenError):
        workflow.confirm(shop.actor("viewer"), request)
    workflow.confirm(shop.actor("author"), request)
    with pytest.raises(StateError, match="does not wait"):
        workflow.confirm(shop.actor("author"), request)
    later(60 * MINUTE)
    carry_out_due()
    assert served() == ON


def test_a_rebase_keeps_when_it_goes_back_by_itself(shop: Cast) -> None:
    end = datetime.now(UTC) + timedelta(days=2)
    request = shop.propose(ON, confirm_within=600, ends_at=end)
    shop.approve(shop.propose({**OFF, "off": "on"}))
    rebased = workflow.rebase(shop.actor("author"), request)
    assert (rebased.change["confirm_within"], rebased.ends_at) == (600, end)
    shop.approve(rebased)
    rebased.refresh_from_db()
    assert rebased.confirm_by is not None


def test_after_downtime_what_nobody_confirmed_goes_back_late_rather_than_never(
    shop: Cast, later: Clock
) -> None:
    shop.approve(shop.propose(ON, confirm_within=600))
    later(timedelta(days=7))
    carry_out_due()
    assert served() == OFF


def test_a_change_ends_as_planned_and_the_end_is_approved_with_it(shop: Cast, later: Clock) -> None:
    end = datetime.now(UTC) + timedelta(days=2)
    request = shop.propose(ON, ends_at=end)
    assert request.change["operations"][1]["label"].startswith("end 20")
    shop.approve(request)
    later(timedelta(days=1))
    carry_out_due()
    assert served() == ON
    later(timedelta(days=1))
    carry_out_due()
    assert served() == OFF


def test_somebody_elses_change_since_is_not_overwritten(shop: Cast, later: Clock) -> None:
    request = shop.approve(shop.propose(ON, confirm_within=600))
    shop.approve(shop.propose(split(5)))
    later(11 * MINUTE)
    carry_out_due()
    assert served() == split(5)
    request.refresh_from_db()
    assert "not taken back" in request.problem
    assert request.confirm_by is None


def test_what_was_killed_meanwhile_stays_killed(shop: Cast, later: Clock) -> None:
    shop.approve(shop.propose(ON, ends_at=datetime.now(UTC) + timedelta(days=1)))
    workflow.kill(
        shop.actor("on_call"), Subject("configuration", "shop", "banner", "production"), shop.project
    )
    later(timedelta(days=2))
    carry_out_due()
    assert served()["killed"] is True


def test_a_request_whose_end_has_passed_is_not_applied(shop: Cast, later: Clock) -> None:
    request = shop.propose(ON, ends_at=datetime.now(UTC) + timedelta(days=1))
    later(timedelta(days=2))
    carry_out_due()
    made = shop.approve(request)
    assert "was to end before now" in made.problem
    assert served() == OFF


def test_it_goes_back_although_its_reviewer_left(shop: Cast, later: Clock) -> None:
    shop.approve(shop.propose(ON, confirm_within=600))
    shop.users["reviewer"].is_active = False
    shop.users["reviewer"].save()
    later(11 * MINUTE)
    carry_out_due()
    assert served() == OFF


def test_a_variant_and_its_use_end_together(shop: Cast, later: Clock) -> None:
    definition = ChangeRequest.objects.order_by("pk")[0].change["operations"][0]["after"]
    blue = {**definition, "variants": {**definition["variants"], "blue": True}}
    operations = [
        {"subject": "project/shop/flag/banner", "after": blue},
        {"subject": shop.subject(), "after": {**ON, "default": {"variant": "blue"}}},
    ]
    request = workflow.change(
        shop.actor("author"),
        shop.project,
        operations,
        title="Blue",
        rationale="sale",
        ends_at=datetime.now(UTC) + timedelta(days=1),
    )
    shop.approve(request)
    assert served()["default"] == {"variant": "blue"}
    later(timedelta(days=2))
    carry_out_due()
    assert served() == OFF


@pytest.mark.parametrize(
    ("times", "member", "says"),
    [
        ({"confirm_within": 5}, "confirm_within", "from a minute to a week"),
        ({"confirm_within": 10**7}, "confirm_within", "from a minute to a week"),
        ({"ends_at": datetime(2020, 1, 1, tzinfo=UTC)}, "ends_at", "name a later time"),
    ],
)
def test_times_that_cannot_be_are_refused_by_name(shop: Cast, times: Any, member: str, says: str) -> None:
    with pytest.raises(InvalidError, match=says) as caught:
        shop.propose(ON, **times)
    assert caught.value.member == member


def test_what_governs_does_not_go_back_by_itself(shop: Cast) -> None:
    with pytest.raises(InvalidError, match="not all of this can go back by itself"):
        workflow.propose(
            shop.actor("administrator"),
            shop.project,
            [{"subject": "project/shop/policy/two", "after": {"name": "Two", "approvals": 2}}],
            title="Two",
            rationale="agreed",
            confirm_within=600,
        )


@pytest.mark.parametrize("times", [{"ends_at": timedelta(hours=1)}, {"confirm_within": 600}])
def test_what_was_withdrawn_with_an_end_holds_nothing_up(shop: Cast, times: dict[str, Any]) -> None:
    author = shop.actor("author")
    to_beta = {
        "id": "r1",
        "constraints": [{"attribute": "", "operator": "in_segment", "values": ["beta"]}],
        "serve": {"variant": "on"},
    }

    def segment(*included: str) -> ChangeRequest:
        operation = {"subject": "project/shop/segment/beta", "after": {"included": list(included)}}
        return workflow.change(author, shop.project, [operation], title="Beta", rationale="planned")

    assert segment("u1").state == ChangeRequest.State.APPLIED
    if "ends_at" in times:
        times = {"ends_at": timezone.now() + times["ends_at"]}
    request = shop.propose({**OFF, "rules": [to_beta]}, **times)
    assert segment("u2").state == ChangeRequest.State.IN_REVIEW, "it would serve the segment in production"
    workflow.withdraw(author, request)
    assert segment("u3").state == ChangeRequest.State.APPLIED
