"""Roles that hold in some environments, for some flags only."""

from __future__ import annotations

from typing import Any

import pytest

from access import grants
from access.limits import Limits, LimitsError
from access.models import Membership
from access.permissions import ForbiddenError, may
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast

SEGMENT = {"included": ["customer-1"]}
RULE = {"attribute": "", "operator": "in_segment", "values": ["beta"]}


def limited(cast: Cast, name: str, role: str, **limits: Any) -> None:
    """Give somebody of the cast a role within limits, and nothing else."""
    member = cast.users[name].pseudonym
    grants.grant(cast.actor("administrator"), cast.project, member, role, limits=Limits.read(limits))
    for row in Membership.objects.filter(project=cast.project, member=member).exclude(role=role):
        grants.revoke(cast.actor("administrator"), row)


def test_an_editor_of_development_asks_for_nothing_in_production(cast: Cast) -> None:
    cast.flag()
    limited(cast, "author", Role.EDITOR, environments=["development"])
    cast.propose(environment="development")
    with pytest.raises(ForbiddenError, match=r"your role is limited \(in development\)"):
        cast.propose(environment="production")
    assert ChangeRequest.objects.filter(title__contains="production").count() == 0


def test_a_reviewer_of_payment_flags_does_not_count_for_others(cast: Cast) -> None:
    cast.flag("fees", tags=["payments"])
    cast.flag("banner")
    limited(cast, "reviewer", Role.REVIEWER, tags=["payments"])
    request = cast.propose(key="fees")
    assert cast.approve(request).state == ChangeRequest.State.APPLIED
    with pytest.raises(ForbiddenError, match="flags tagged payments"):
        cast.approve(cast.propose(key="banner"))


def test_an_approval_stops_counting_when_its_role_is_limited_before_it_is_applied(cast: Cast) -> None:
    cast.flag()
    request = cast.approve(cast.propose(scheduled_at=None))
    limited(cast, "reviewer", Role.REVIEWER, environments=["development"])
    with pytest.raises(workflow.StateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("administrator"), request)


def test_nobody_takes_a_flag_out_of_reach_or_into_their_own_by_its_tags(cast: Cast) -> None:
    cast.flag("fees", tags=["payments"])
    limited(cast, "author", Role.EDITOR, tags=["search"])
    for tags in (["search"], []):
        with pytest.raises(ForbiddenError, match="flags tagged search"):
            cast.flag("fees", tags=tags)


def test_a_definition_that_production_serves_is_out_of_reach_for_an_editor_of_development(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose())
    limited(cast, "author", Role.EDITOR, environments=["development"])
    cast.flag(purpose="Words that no environment serves")
    with pytest.raises(ForbiddenError):
        cast.flag(variants={"on": True, "off": False, "maybe": True})


def test_a_segment_reaches_the_flags_that_name_it(cast: Cast) -> None:
    def save(after: dict[str, Any]) -> None:
        subject = "project/shop/segment/beta"
        workflow.change(
            cast.actor("author"),
            cast.project,
            [{"subject": subject, "after": after}],
            title="t",
            rationale="r",
        )

    save(SEGMENT)
    cast.flag()
    rules = [{"id": "r1", "constraints": [RULE], "serve": {"variant": "on"}}]
    cast.approve(cast.propose({**ON, "rules": rules}))
    limited(cast, "author", Role.EDITOR, environments=["development"])
    with pytest.raises(ForbiddenError):
        save({"included": ["customer-2"]})


def test_on_call_for_some_flags_does_not_kill_critical_ones(cast: Cast) -> None:
    cast.flag("banner")
    cast.flag("checkout", critical=True)
    for key in ("banner", "checkout"):
        cast.approve(cast.propose(key=key))
    limited(cast, "on_call", Role.ON_CALL, critical=False)
    who = cast.actor("on_call")
    workflow.kill(who, Subject("configuration", "shop", "banner", "production"), cast.project)
    with pytest.raises(ForbiddenError, match="no critical flags"):
        workflow.kill(who, Subject("configuration", "shop", "checkout", "production"), cast.project)


def test_a_limited_administrator_neither_governs_nor_counts_as_one(cast: Cast) -> None:
    limited(cast, "viewer", Role.ADMINISTRATOR, environments=["development"])
    who = cast.actor("viewer")
    assert may(who, "change.approve", cast.project)
    for verb in ("access.manage", "policy.change", "project.administer", "sdk_key.manage", "audit.export"):
        assert not may(who, verb, cast.project)
    for row in Membership.objects.filter(project=cast.project, role=Role.ADMINISTRATOR, limits={})[1:]:
        grants.revoke(cast.actor("administrator"), row)
    last = Membership.objects.get(project=cast.project, role=Role.ADMINISTRATOR, limits={})
    root = cast.actor("root")
    with pytest.raises(grants.LastAdministratorError):
        grants.revoke(root, last)
    with pytest.raises(grants.LastAdministratorError):
        grants.grant(
            root,
            cast.project,
            last.member,
            Role.ADMINISTRATOR,
            limits=Limits.read({"environments": ["development"]}),
        )


def test_two_roles_add_up_each_within_its_own_limits(cast: Cast) -> None:
    cast.flag("fees", tags=["payments"])
    limited(cast, "author", Role.EDITOR, environments=["development"])
    grants.grant(
        cast.actor("administrator"),
        cast.project,
        cast.users["author"].pseudonym,
        Role.ON_CALL,
        limits=Limits.read({"tags": ["payments"]}),
    )
    cast.propose(key="fees", environment="production")
    cast.flag("banner")
    cast.propose(OFF, key="banner", environment="development")
    with pytest.raises(ForbiddenError):
        cast.propose(OFF, key="banner", environment="production")


@pytest.mark.parametrize(
    ("document", "member"),
    [
        ({"environments": "development"}, "limits.environments"),
        ({"kinds": [""]}, "limits.kinds"),
        ({"tags": [1]}, "limits.tags"),
        ({"critical": "no"}, "limits.critical"),
        ({"team": ["a"]}, "limits.team"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_member(document: dict[str, Any], member: str) -> None:
    with pytest.raises(LimitsError) as refused:
        Limits.read(document)
    assert refused.value.member == member


def test_limits_read_what_they_write() -> None:
    document = {"critical": False, "environments": ["a"], "kinds": ["release"], "tags": ["x", "y"]}
    assert Limits.read(document).document == document
    assert Limits.read({"critical": True, "tags": []}).document == {}
