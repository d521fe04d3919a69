"""Roles in a project whose policy covers access: given and taken by a reviewed request, by no other door."""

from __future__ import annotations

import json

import pytest

from access import grants
from access.grants import ReviewNeededError
from access.limits import Limits
from access.models import Membership
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import InvalidError, StateError
from audit.models import Event
from tests.cast import Cast

State = ChangeRequest.State


def held(cast: Cast, name: str) -> set[str]:
    rows = Membership.objects.filter(project=cast.project, member=cast.users[name].pseudonym)
    return set(rows.values_list("role", flat=True))


def give(cast: Cast, name: str = "viewer", role: str = Role.EDITOR, **limits: list[str]) -> ChangeRequest:
    made = workflow.give_role(
        cast.actor("administrator"),
        cast.project,
        cast.users[name].pseudonym,
        role,
        Limits.read(limits),
        rationale="joins the team",
    )
    assert made is not None
    return made


@pytest.fixture
def covered(cast: Cast) -> Cast:
    """A project in which roles take an approval."""
    cast.policy("production", approvals=1, access=True)
    return cast


def test_without_such_a_policy_a_role_is_given_at_once(cast: Cast) -> None:
    person = cast.users["viewer"].pseudonym
    assert workflow.give_role(cast.actor("administrator"), cast.project, person, Role.EDITOR) is None
    assert held(cast, "viewer") == {Role.VIEWER, Role.EDITOR}
    assert not ChangeRequest.objects.exists()


def test_a_role_is_given_once_somebody_else_approved_it(covered: Cast) -> None:
    request = give(covered, environments=["development"])
    assert request.state == State.IN_REVIEW
    assert held(covered, "viewer") == {Role.VIEWER}
    with pytest.raises(StateError, match="your own change"):
        covered.approve(request, "administrator")
    assert covered.approve(request).state == State.APPLIED
    row = Membership.objects.get(member=covered.users["viewer"].pseudonym, role=Role.EDITOR)
    assert row.limits == {"environments": ["development"]}
    event = json.loads(Event.objects.filter(type="access.v1.membership.changed").latest("index").line)
    assert event["data"]["change_request"]["id"] == request.change_id
    assert event["data"]["after"] == {
        "roles": [{"role": "editor", "environments": ["development"]}, "viewer"]
    }


def test_a_role_is_taken_by_request_as_well(covered: Cast) -> None:
    row = Membership.objects.get(member=covered.users["author"].pseudonym)
    request = workflow.take_role(covered.actor("administrator"), row, rationale="left")
    assert request is not None
    assert held(covered, "author") == {Role.EDITOR}
    covered.approve(request)
    assert held(covered, "author") == set()


def test_no_other_door_gives_or_takes_one(covered: Cast) -> None:
    administrator, person = covered.actor("administrator"), covered.users["viewer"].pseudonym
    with pytest.raises(ReviewNeededError, match="by a reviewed request"):
        grants.grant(administrator, covered.project, person, Role.REVIEWER)
    with pytest.raises(ReviewNeededError):
        grants.revoke(administrator, Membership.objects.get(member=person))
    assert held(covered, "viewer") == {Role.VIEWER}


def test_what_changed_meanwhile_is_not_overwritten(covered: Cast) -> None:
    first, second = give(covered), give(covered, role=Role.AUDITOR)
    covered.approve(first)
    made = covered.approve(second)
    assert made.state == State.APPROVED
    assert "Nothing was overwritten" in made.problem
    assert held(covered, "viewer") == {Role.VIEWER, Role.EDITOR}


def test_the_last_administrator_stays(covered: Cast) -> None:
    root = Membership.objects.get(project=covered.project, member=covered.users["root"].pseudonym)
    subject = "access/project/shop/member/"
    requests = [
        workflow.propose(
            covered.actor("administrator"),
            covered.project,
            [{"subject": subject + covered.users[name].pseudonym, "after": None}],
            title=f"Away {name}",
            rationale="clean",
        )
        for name in ("root", "administrator")
    ]
    assert covered.approve(requests[0]).state == State.APPROVED
    workflow.apply(covered.actor("administrator"), requests[0])
    assert not Membership.objects.filter(pk=root.pk).exists()
    covered.approve(requests[1])
    with pytest.raises(InvalidError, match="without an administrator"):
        workflow.apply(covered.actor("reviewer"), requests[1])
    assert held(covered, "administrator") == {Role.ADMINISTRATOR}


@pytest.mark.parametrize(
    "after",
    [{"roles": ["king"]}, {"roles": "editor"}, {"verbs": []}, {"roles": [{"role": "editor", "x": 1}]}],
)
def test_roles_that_cannot_be_are_refused(covered: Cast, after: object) -> None:
    person = covered.users["viewer"].pseudonym
    with pytest.raises(InvalidError):
        workflow.propose(
            covered.actor("administrator"),
            covered.project,
            [{"subject": f"access/project/shop/member/{person}", "after": after}],
            title="King",
            rationale="no",
        )


def test_nobody_gives_roles_to_nobody(covered: Cast) -> None:
    with pytest.raises(InvalidError, match="no person, service account or team"):
        workflow.propose(
            covered.actor("administrator"),
            covered.project,
            [{"subject": "access/project/shop/member/user:ffffffffffff", "after": {"roles": ["editor"]}}],
            title="Ghost",
            rationale="no",
        )
