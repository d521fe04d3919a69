"""Scheduling: our task applies what was approved once its time has come, however late it looks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from access.permissions import ForbiddenError
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.tasks import carry_out_due
from approvals.workflow import InvalidError, StateError
from audit.models import Event
from flags.models import FlagConfiguration
from tests.cast import OFF, ON, Cast

State = ChangeRequest.State
HOUR = timedelta(hours=1)


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    return cast


def state_of(request: ChangeRequest) -> str:
    request.refresh_from_db()
    return request.state


def test_an_approved_request_waits_for_its_time_and_is_then_applied_by_the_task(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    request = shop.approve(shop.propose(scheduled_at=timezone.now() + HOUR))
    assert request.state == State.APPROVED
    carry_out_due()
    assert state_of(request) == State.APPROVED
    later(HOUR)
    carry_out_due()
    assert state_of(request) == State.APPLIED
    applied = Event.objects.get(type="flags.v1.configuration.updated")
    assert applied.actor == "system:scheduler"
    carry_out_due()
    assert FlagConfiguration.objects.get().version == 1


def test_after_downtime_everything_that_was_missed_is_applied(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    shop.flag("other")
    requests = [
        shop.approve(shop.propose(scheduled_at=timezone.now() + HOUR)),
        shop.approve(shop.propose(key="other", scheduled_at=timezone.now() + 2 * HOUR)),
    ]
    later(timedelta(days=30))
    carry_out_due()
    assert [state_of(request) for request in requests] == [State.APPLIED] * 2


def test_a_request_that_is_due_but_not_approved_waits(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    request = shop.propose(scheduled_at=timezone.now() + HOUR)
    later(2 * HOUR)
    carry_out_due()
    assert state_of(request) == State.IN_REVIEW
    assert shop.approve(request).state == State.APPLIED, "approved late, applied at once"


def test_one_that_fails_says_why_and_keeps_no_other_waiting(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    shop.flag("other")
    stale = shop.approve(shop.propose(scheduled_at=timezone.now() + HOUR))
    good = shop.approve(shop.propose(key="other", scheduled_at=timezone.now() + 2 * HOUR))
    shop.approve(shop.propose(OFF))
    later(3 * HOUR)
    carry_out_due()
    assert (state_of(stale), state_of(good)) == (State.APPROVED, State.APPLIED)
    assert "Nothing was overwritten" in stale.problem
    assert stale.scheduled_at is None
    assert FlagConfiguration.objects.get(flag__key="banner").document == OFF


def test_a_request_may_not_be_applied_before_its_time(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    moment = timezone.now() + HOUR
    request = shop.approve(shop.propose(not_before=moment))
    assert request.state == State.APPROVED
    with pytest.raises(StateError, match="may not be applied before"):
        workflow.apply(shop.actor("author"), request)
    carry_out_due()
    request.refresh_from_db()
    assert (request.state, request.problem) == (State.APPROVED, "")
    later(HOUR)
    carry_out_due()
    assert state_of(request) == State.APPLIED


def test_a_time_in_the_past_or_before_the_approval_holds_is_refused(shop: Cast) -> None:
    request = shop.propose(not_before=timezone.now() + 2 * HOUR)
    for moment in (timezone.now() - HOUR, timezone.now() + HOUR):
        with pytest.raises(InvalidError) as caught:
            workflow.schedule(shop.actor("author"), request, moment)
        assert caught.value.member == "scheduled_at"
    workflow.schedule(shop.actor("author"), request, timezone.now() + 3 * HOUR)


def test_a_schedule_can_be_moved_and_taken_away(shop: Cast, later: Callable[[timedelta], datetime]) -> None:
    request = shop.approve(shop.propose(scheduled_at=timezone.now() + HOUR))
    workflow.schedule(shop.actor("reviewer"), request, timezone.now() + 3 * HOUR)
    later(2 * HOUR)
    carry_out_due()
    assert state_of(request) == State.APPROVED
    workflow.schedule(shop.actor("author"), request, None)
    later(2 * HOUR)
    carry_out_due()
    assert state_of(request) == State.APPROVED
    assert Event.objects.filter(type="approvals.v1.change_request.scheduled").count() == 2
    assert workflow.apply(shop.actor("author"), request).state == State.APPLIED
    assert FlagConfiguration.objects.get().document == ON


def test_who_may_not_schedule_does_not(shop: Cast) -> None:
    request = shop.propose()
    for name in ("viewer", "auditor", "on_call", "outsider"):
        with pytest.raises(ForbiddenError):
            workflow.schedule(shop.actor(name), request, None)
