"""The way back: the inverse of what was applied, by review or, where policy allows, at once by on-call."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from access.permissions import ForbiddenError
from approvals import rollback, workflow
from approvals.inverse import document_before, way_back
from approvals.models import ChangeRequest, Emergency
from approvals.workflow import ConflictError, StateError
from audit.models import Event
from flags.models import Flag, FlagConfiguration, Segment
from flags.subjects import Subject
from tests.cast import BANNER, OFF, ON, Cast, split
from tests.ledger.test_export import exported

PRODUCTION = "project/shop/environment/production/flag/banner"


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    """With a flag that is on for 25 % in production, and was on for everyone before."""
    cast.approve(cast.propose(ON))
    cast.approve(cast.propose(split(25)))
    return cast


def latest() -> ChangeRequest:
    found = ChangeRequest.objects.filter(state="applied").order_by("-applied_at", "-pk").first()
    assert found is not None
    return found


def revert(cast: Cast, request: ChangeRequest, by: str = "author") -> ChangeRequest:
    made = rollback.propose_revert(cast.actor(by), request, rationale="It hurts.")
    return cast.approve(made) if made.state == "in_review" else made


def standing() -> Any:
    return FlagConfiguration.objects.get(environment__key="production").document


def let_on_call(cast: Cast) -> None:
    cast.policy(on_call_may_revert=True)


def test_a_revert_is_a_request_that_brings_back_what_stood(shop: Cast) -> None:
    request = latest()
    made = rollback.propose_revert(shop.actor("author"), request, rationale="It hurts.")
    assert made.state == ChangeRequest.State.IN_REVIEW
    assert made.title == f"Revert {request.change_id}: Change banner in production"
    assert made.change["base"] == {PRODUCTION: 2}
    assert (made.reverts, list(request.reverted_by.all())) == (request, [made])
    shop.approve(made)
    assert standing() == ON


def test_the_inverse_of_the_inverse_is_identity(shop: Cast) -> None:
    request = latest()
    undone = revert(shop, request)
    assert standing() == ON
    revert(shop, undone)
    assert standing() == split(25)


def test_a_change_set_goes_back_as_one_also_where_nothing_can_be_removed(cast: Cast) -> None:
    made = workflow.change(
        cast.actor("author"),
        cast.project,
        [
            {"subject": "project/shop/flag/banner", "after": BANNER},
            {"subject": "project/shop/environment/development/flag/banner", "after": ON},
            {"subject": "project/shop/segment/beta", "after": {"included": ["u1"]}},
        ],
        title="New",
    )
    inverse = rollback.inverse_of(made)
    assert [each["subject"].split("/")[2] for each in inverse.operations] == ["environment", "flag"]
    assert inverse.stays == ("The segment beta stays: nothing of that kind is removed.",)
    undone = revert(cast, made)
    flag = Flag.objects.get(key="banner")
    assert (undone.state, flag.archived, Segment.objects.count()) == ("applied", True, 1)
    # As before there was one: off, and callers get their own default.
    assert FlagConfiguration.objects.get().document == {"enabled": False, "default": {"variant": "on"}}
    revert(cast, undone)
    flag.refresh_from_db()
    assert (flag.archived, FlagConfiguration.objects.get().document) == (False, ON)


def test_what_changed_since_is_not_overwritten(shop: Cast) -> None:
    request = latest()
    shop.approve(shop.propose(split(50)))
    assert rollback.inverse_of(request).obstacles == (
        f"banner in production was changed since by {latest().change_id}.",
    )
    with pytest.raises(StateError, match="Restore an earlier version"):
        rollback.propose_revert(shop.actor("author"), request)
    assert standing() == split(50)


def test_what_was_not_applied_or_is_back_already_has_nothing_to_take_back(shop: Cast) -> None:
    request = latest()
    waiting = shop.propose(split(50))
    with pytest.raises(StateError, match="was not applied"):
        rollback.propose_revert(shop.actor("author"), waiting)
    revert(shop, request)
    with pytest.raises(StateError, match="as it was before already"):
        rollback.propose_revert(shop.actor("author"), request)


def test_any_earlier_version_is_restored_by_a_request(shop: Cast) -> None:
    first = Event.objects.filter(type="flags.v1.configuration.updated").order_by("index").first()
    assert first is not None
    made = rollback.propose_restore(
        shop.actor("author"), shop.project, first, rationale="As in May.", base={PRODUCTION: 2}
    )
    assert made.title.startswith("Restore banner in production as of 20")
    shop.approve(made)
    assert standing() == ON
    proposal = Event.objects.filter(type="approvals.v1.change_request.proposed").first()
    assert proposal is not None
    with pytest.raises(StateError, match="about no flag"):
        rollback.propose_restore(shop.actor("author"), shop.project, proposal)


def test_on_call_takes_back_at_once_what_was_approved_with_its_way_back(shop: Cast, tmp_path: Path) -> None:
    let_on_call(shop)
    shop.approve(shop.propose(split(50)))
    debt = workflow.revert_at_once(shop.actor("on_call"), latest())
    assert standing() == split(25)
    assert (debt.request, debt.reviewed_by, debt.subject) == (latest(), "", f"change/{latest().change_id}")
    event = Event.objects.get(type="approvals.v1.change_request.reverted")
    assert (event.actor, event.pk) == (shop.users["on_call"].pseudonym, debt.event_id)
    # A verifier that wants every change of production reviewed accepts it: it was, with the change itself.
    report = exported(shop, tmp_path / "before")
    assert (len(report.log_vouched), report.emergency) == (5, ())
    workflow.review_emergency(shop.actor("reviewer"), debt)
    told = json.loads(Event.objects.get(type="approvals.v1.revert.reviewed").line)["data"]
    assert told["event"] == str(event.pk)
    exported(shop, tmp_path / "after")
    with pytest.raises(StateError, match="taken back already"):
        workflow.revert_at_once(shop.actor("on_call"), latest())


def test_at_once_needs_the_policy_the_role_and_haste(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    on_call = shop.actor("on_call")
    with pytest.raises(StateError, match="approved without its way back"):
        workflow.revert_at_once(on_call, latest())
    let_on_call(shop)
    request = shop.approve(shop.propose(split(50)))
    for name in ("author", "reviewer", "viewer"):
        with pytest.raises(ForbiddenError):
            workflow.revert_at_once(shop.actor(name), request)
    later(timedelta(hours=24, minutes=1))
    with pytest.raises(StateError, match="more than 24 hours ago"):
        workflow.revert_at_once(on_call, request)
    later(timedelta(hours=-2))
    shop.policy()
    with pytest.raises(StateError, match="does not let on-call revert at once any more"):
        workflow.revert_at_once(on_call, request)
    assert standing() == split(50)
    assert not Emergency.objects.exists()


def test_at_once_is_exactly_the_inverse_or_nothing(shop: Cast) -> None:
    let_on_call(shop)
    shop.approve(shop.propose(split(50)))
    request = latest()
    shop.approve(shop.propose(split(75)))
    with pytest.raises(StateError, match="changed since"):
        workflow.revert_at_once(shop.actor("on_call"), request)
    assert standing() == split(75)


def put(cast: Cast, subject: str = PRODUCTION) -> Event:
    """The event that put there what stands there."""
    found = Event.objects.filter(subject=subject, type__endswith=".updated").order_by("-index").first()
    assert found is not None
    return found


def test_on_call_restores_at_once_what_stood_by_all_the_ways_back_since(shop: Cast, tmp_path: Path) -> None:
    let_on_call(shop)
    version = put(shop)
    for share in (50, 75):
        shop.approve(shop.propose(split(share)))
    requests = list(ChangeRequest.objects.order_by("-pk")[:2])
    for name in ("author", "reviewer", "viewer", "outsider"):
        with pytest.raises(ForbiddenError):
            workflow.restore_at_once(shop.actor(name), shop.project, version)
    with pytest.raises(ConflictError):
        workflow.restore_at_once(shop.actor("on_call"), shop.project, version, base={PRODUCTION: 3})
    debts = workflow.restore_at_once(shop.actor("on_call"), shop.project, version, base={PRODUCTION: 4})
    assert standing() == split(25)
    assert [(debt.request, debt.reviewed_by) for debt in debts] == [(each, "") for each in requests]
    # To a verifier each step is a reviewed change.
    assert exported(shop, tmp_path / "bundle").emergency == ()
    with pytest.raises(StateError, match="going back"):
        workflow.restore_at_once(shop.actor("on_call"), shop.project, version)


def test_what_is_restored_at_once_is_all_of_it_or_nothing(
    shop: Cast, later: Callable[[timedelta], datetime]
) -> None:
    on_call, version = shop.actor("on_call"), put(shop)
    shop.approve(shop.propose(split(50)))
    let_on_call(shop)
    shop.approve(shop.propose(split(75)))
    with pytest.raises(StateError, match="approved without its way back"):
        workflow.restore_at_once(on_call, shop.project, version)
    version = put(shop)
    with pytest.raises(StateError, match="stands there now"):
        workflow.restore_at_once(on_call, shop.project, version)
    shop.approve(shop.propose(OFF))
    later(timedelta(hours=23))
    shop.approve(shop.propose(ON))
    later(timedelta(hours=2))
    with pytest.raises(StateError, match="more than 24 hours ago"):
        workflow.restore_at_once(on_call, shop.project, version)
    assert standing() == ON
    assert not Emergency.objects.exists()


def test_nothing_is_restored_at_once_over_a_kill_or_beyond_its_subject(shop: Cast) -> None:
    let_on_call(shop)
    on_call, version = shop.actor("on_call"), put(shop)
    shop.flag("colour")
    both = [{"subject": shop.subject(key), "after": OFF} for key in ("banner", "colour")]
    shop.approve(
        workflow.propose(
            shop.actor("author"),
            shop.project,
            both,
            title="Both",
            rationale="planned",
            scheduled_at=timezone.now(),
        )
    )
    with pytest.raises(StateError, match="changed more than this"):
        workflow.restore_at_once(on_call, shop.project, version)
    workflow.revert_at_once(on_call, latest())
    version = put(shop)
    shop.approve(shop.propose(OFF))
    workflow.kill(on_call, Subject.parse(PRODUCTION), shop.project)
    with pytest.raises(StateError, match="Undoing a kill is an ordinary change"):
        workflow.restore_at_once(on_call, shop.project, version)
    for event in Event.objects.filter(type="approvals.v1.policy.changed"), Event.objects.filter(subject=""):
        for each in event[:1]:
            with pytest.raises(StateError, match="put no version there"):
                workflow.restore_at_once(on_call, shop.project, each)
            # Who may not is told just that, whatever the event is.
            with pytest.raises(ForbiddenError):
                workflow.restore_at_once(shop.actor("author"), shop.project, each)


CONFIGURATIONS = st.sampled_from(
    [ON, OFF, split(10), split(90), {"enabled": True, "default": {"variant": "on"}}]
)


@given(before=st.none() | CONFIGURATIONS, after=CONFIGURATIONS)
def test_the_way_back_of_the_way_back_is_what_was_done(before: Any, after: Any) -> None:
    done = {"subject": PRODUCTION, "type": "flags.v1.configuration.updated", "before": before, "after": after}
    if before == after:
        assert way_back([done]) == []
        return
    for back in way_back([done]):
        assert back["before"] == after
        assert before is None or back["after"] == before
        assert document_before(back) == after
