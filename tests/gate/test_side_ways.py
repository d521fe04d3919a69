"""Ways around an approval that lead nowhere: through what it depends on, who asked, who approves, and by whom."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from access import grants, machines, teams
from access.limits import Limits
from access.models import Membership, User
from access.permissions import service_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest, Emergency
from approvals.tasks import carry_out_due
from approvals.workflow import InvalidError, StateError
from flags.models import FlagConfiguration, Segment
from flags.subjects import Subject
from tests.cast import BANNER, OFF, ON, Cast

Clock = Callable[[timedelta], datetime]
State = ChangeRequest.State
STAFF = "project/shop/segment/staff"
FOR_STAFF = {
    **OFF,
    "enabled": True,
    "default": {"variant": "off"},
    "rules": [
        {
            "id": "staff",
            "constraints": [{"attribute": "", "operator": "in_segment", "values": ["staff"]}],
            "serve": {"variant": "on"},
        }
    ],
}


def ask(cast: Cast, subject: str, after: Any, by: str = "author", **options: Any) -> ChangeRequest:
    options = {"title": "Ask", "rationale": "planned", **options}
    return workflow.change(cast.actor(by), cast.project, [{"subject": subject, "after": after}], **options)


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    return cast


def test_a_segment_is_held_by_what_waits_to_use_it(shop: Cast) -> None:
    ask(shop, STAFF, {"included": ["ann"]})
    shop.approve(shop.propose(FOR_STAFF, scheduled_at=None))
    widened = ask(shop, STAFF, {"included": ["ann", "everybody"]})
    assert (widened.state, widened.required_approvals) == (State.IN_REVIEW, 1)
    assert Segment.objects.get().document == {"included": ["ann"]}


def test_variants_are_held_by_what_waits_to_serve_them(shop: Cast) -> None:
    shop.approve(shop.propose(ON, scheduled_at=None))
    evil = {**BANNER, "variants": {"on": False, "off": False}, "permanent_reason": "ours"}
    assert ask(shop, "project/shop/flag/banner", evil).state == State.IN_REVIEW


def test_a_tag_is_taken_away_under_the_policy_that_it_stands_for(cast: Cast) -> None:
    cast.govern(
        "project/shop/policy/till",
        {"name": "Till", "environments": ["production"], "tags": ["payments"], "approvals": 2},
    )
    cast.flag("till", tags=["payments"])
    standing = ChangeRequest.objects.latest("pk").change["operations"][0]["after"]
    without = {name: value for name, value in standing.items() if name != "tags"}
    request = ask(cast, "project/shop/flag/till", without)
    assert (request.state, request.required_approvals) == (State.IN_REVIEW, 2)
    described = ask(cast, "project/shop/flag/till", {**standing, "description": "The till"})
    assert described.state == State.APPLIED, "other words need nobody"


def test_the_strictest_policy_says_whether_on_call_may_revert(cast: Cast) -> None:
    cast.policy("production", on_call_may_revert=True, approvals=1)
    cast.govern(
        "project/shop/policy/till",
        {"name": "Till", "environments": ["production"], "tags": ["payments"], "approvals": 2},
    )
    cast.flag()
    cast.flag("till", tags=["payments"])
    labels = [
        [each.get("label") for each in cast.propose(ON, key=key).change["operations"]]
        for key in ("banner", "till")
    ]
    assert labels == [[None, "revert"], [None]]


def test_what_somebody_queued_is_not_carried_out_after_they_left(shop: Cast, later: Clock) -> None:
    at = datetime.now(UTC) + timedelta(days=1)
    request = shop.propose(ON, environment="development", scheduled_at=at)
    assert request.state == State.APPROVED
    User.objects.filter(pk=shop.users["author"].pk).update(is_active=False)
    later(timedelta(days=2))
    carry_out_due()
    request.refresh_from_db()
    assert "account is closed" in request.problem
    assert not FlagConfiguration.objects.exists()


def test_nobody_approves_their_own_roles(cast: Cast) -> None:
    cast.policy(access=True, approvals=1)
    reviewer = cast.users["reviewer"].pseudonym
    request = workflow.give_role(
        cast.actor("administrator"), cast.project, reviewer, Role.ADMINISTRATOR, rationale="up"
    )
    assert request is not None
    with pytest.raises(StateError, match="about your own roles"):
        cast.approve(request)
    assert cast.approve(request, "second_reviewer").state == State.APPLIED


def test_roles_are_proposed_as_they_will_stand(cast: Cast) -> None:
    cast.policy(access=True, approvals=1)
    subject = f"access/project/shop/member/{cast.users['viewer'].pseudonym}"
    for after, says in (
        ({"roles": [5]}, "text or an object"),
        ({"roles": [{"role": "editor", "given_by": "okta"}]}, "no provider gave"),
        ({"roles": [{"role": "viewer"}]}, "nothing to change"),
    ):
        with pytest.raises(InvalidError, match=says):
            ask(cast, subject, after, "administrator")
    cast.approve(ask(cast, subject, {"roles": ["viewer", {"role": "auditor"}]}, "administrator"))
    assert Membership.objects.filter(member=cast.users["viewer"].pseudonym).count() == 2


def test_a_share_counts_roles_that_reach_the_change(shop: Cast) -> None:
    shop.policy(**{"from": [{"role": "release-manager", "count": 1}]})
    administrator = shop.actor("administrator")
    for name, limits in (("reviewer", {"environments": ["development"]}), ("second_reviewer", {})):
        member = shop.users[name].pseudonym
        grants.grant(administrator, shop.project, member, "release-manager", limits=Limits.read(limits))
    request = shop.approve(shop.propose())
    assert request.state == State.IN_REVIEW
    assert shop.approve(request, "second_reviewer").state == State.APPLIED


def test_nobody_reviews_the_kill_of_a_program_whose_token_they_made(shop: Cast) -> None:
    root, reviewer = shop.actor("root"), shop.users["reviewer"]
    team = teams.save_team(root, "ops", name="Ops", members=[reviewer.pseudonym])
    robot = machines.create_service_account(root, "robot", team)
    grants.grant(shop.actor("administrator"), shop.project, robot.pseudonym, Role.ON_CALL)
    machines.issue_token(shop.actor("reviewer"), robot, "mine")
    shop.approve(shop.propose())
    workflow.kill(
        service_actor(robot), Subject("configuration", "shop", "banner", "production"), shop.project
    )
    with pytest.raises(StateError, match="somebody else"):
        workflow.review_emergency(shop.actor("reviewer"), Emergency.objects.get())
    workflow.review_emergency(shop.actor("second_reviewer"), Emergency.objects.get())
