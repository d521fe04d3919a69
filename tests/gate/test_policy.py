"""Policies: what a change needs, who may change that, and that it counts when it is applied."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from access import teams
from access.permissions import ForbiddenError
from approvals import policies, workflow
from approvals.models import ApprovalPolicy, ChangeRequest
from approvals.policy_document import Requirements
from approvals.workflow import InvalidError, StateError
from audit.models import Event
from flags.models import Environment, FlagConfiguration
from tests.cast import OFF, ON, Cast

State = ChangeRequest.State


def needs(cast: Cast, *environments: Environment) -> Requirements:
    return policies.requirements(cast.project, environments)


def ask(cast: Cast, by: str = "administrator", key: str = "production", **members: Any) -> ChangeRequest:
    document = {"name": "Production", "environments": ["production"], **members}
    return workflow.propose(
        cast.actor(by),
        cast.project,
        [{"subject": f"project/shop/policy/{key}", "after": document}],
        title="Policy",
        rationale="agreed",
    )


def test_without_a_policy_a_protected_environment_asks_for_one_approval_and_a_reason(cast: Cast) -> None:
    assert needs(cast, cast.production) == Requirements(1, True, False)
    assert needs(cast, cast.development) == Requirements(0, False, False)


def test_all_policies_that_match_count_together_and_say_which_asks_for_what(cast: Cast) -> None:
    cast.policy("development", ticket=True)
    cast.policy("production", approvals=3)
    found = needs(cast, cast.development, cast.production)
    assert found == Requirements(3, True, True)
    assert dict(found.asked_by) == {
        "Protected environments": "1 approval and a rationale",
        "Development": "a ticket",
        "Production": "3 approvals by other people",
    }
    both = [cast.development, cast.production]
    assert policies.requirements_of(both) == {each.pk: needs(cast, each) for each in both}


def test_no_policy_makes_a_protected_environment_ask_for_nobody(cast: Cast) -> None:
    cast.policy(approvals=0)
    assert needs(cast, cast.production).approvals == 1
    cast.flag()
    assert cast.propose().state == State.IN_REVIEW


def test_a_policy_is_about_the_flags_that_it_names(cast: Cast) -> None:
    cast.flag()
    cast.flag("till", critical=True, tags=["payments"])
    cast.govern(
        "project/shop/policy/till",
        {
            "name": "Till",
            "environments": ["production"],
            "tags": ["payments"],
            "critical": True,
            "approvals": 2,
        },
    )
    assert cast.propose().required_approvals == 1
    assert cast.propose(key="till").required_approvals == 2
    assert cast.propose(key="till", environment="development").required_approvals == 0


def test_approvals_come_from_whom_the_policy_names(cast: Cast) -> None:
    root, person = cast.actor("root"), cast.users["second_reviewer"].pseudonym
    teams.save_team(root, "payments", name="Payments", members=[person])
    cast.policy(**{"from": [{"team": "payments", "count": 1}]})
    cast.flag()
    request = cast.approve(cast.propose())
    assert request.state == State.IN_REVIEW, "the one approval that is needed is another one"
    assert workflow.Basis(request).missing == ["0 of 1 approvals from the team payments"]
    with pytest.raises(StateError, match="0 of 1 approvals from the team payments"):
        workflow.apply(cast.actor("author"), request)
    assert cast.approve(request, "second_reviewer").state == State.APPLIED


def test_somebody_who_left_the_team_is_no_approval_from_it(cast: Cast) -> None:
    root, person = cast.actor("root"), cast.users["second_reviewer"].pseudonym
    teams.save_team(root, "payments", name="Payments", members=[person])
    cast.policy(**{"from": [{"team": "payments", "count": 1}]})
    cast.flag()
    request = cast.approve(cast.propose(scheduled_at=None), "second_reviewer")
    assert request.state == State.APPROVED
    teams.save_team(root, "payments", name="Payments", members=[])
    with pytest.raises(StateError, match="0 of 1 approvals from the team payments"):
        workflow.apply(cast.actor("author"), request)


def test_a_flag_is_served_before_it_is_promoted(cast: Cast) -> None:
    cast.policy(served_in={"environment": "development", "hours": 24})
    cast.flag()
    waiting = cast.approve(cast.propose(scheduled_at=None))
    with pytest.raises(StateError, match="24 h on in development, unchanged before it is on in production"):
        workflow.apply(cast.actor("author"), waiting)
    cast.propose(environment="development")
    with pytest.raises(StateError, match="24 h on in development"):
        workflow.apply(cast.actor("author"), waiting)
    _let_pass(cast, hours=25)
    assert workflow.apply(cast.actor("author"), waiting).state == State.APPLIED
    off = cast.approve(cast.propose(OFF))
    assert off.state == State.APPLIED, "turning something off waits for nothing"


def _let_pass(cast: Cast, hours: int) -> None:
    from django.db.models import QuerySet

    QuerySet(FlagConfiguration).filter(environment=cast.development).update(
        changed_at=timezone.now() - timedelta(hours=hours)
    )


@pytest.mark.parametrize("name", ["author", "reviewer", "on_call", "auditor", "viewer", "outsider"])
def test_only_administrators_ask_for_another_policy(cast: Cast, name: str) -> None:
    with pytest.raises(ForbiddenError):
        ask(cast, name)
    assert not ChangeRequest.objects.exists()


def test_a_policy_change_is_a_reviewed_change(cast: Cast) -> None:
    request = ask(cast, approvals=2)
    assert (request.state, request.required_approvals) == (State.IN_REVIEW, 1)
    assert not ApprovalPolicy.objects.exists()
    with pytest.raises(StateError, match="your own change"):
        cast.approve(request, "administrator")
    cast.approve(request)
    workflow.apply(cast.actor("administrator"), request)
    assert needs(cast, cast.production).approvals == 2
    lowered = ask(cast, approvals=1)
    assert lowered.required_approvals == 2, "it is changed under what stands"


def test_a_policy_is_lowered_under_what_it_asks_for_itself(cast: Cast) -> None:
    subject, members = "project/shop/policy/critical", {"name": "Critical", "critical": True}
    cast.govern(subject, {**members, "approvals": 3, "environments": ["development"]})
    request = workflow.propose(
        cast.actor("administrator"), cast.project, [{"subject": subject, "after": None}], title="Away"
    )
    assert request.required_approvals == 3


def test_protection_is_taken_away_by_review_alone(cast: Cast) -> None:
    request = workflow.change(
        cast.actor("administrator"),
        cast.project,
        [{"subject": cast.production.ledger_subject, "after": {"name": "Production", "kind": "production"}}],
        title="Open it",
        rationale="quicker",
    )
    assert request.state == State.IN_REVIEW
    assert Environment.objects.get(key="production").protected
    cast.approve(request)
    assert not Environment.objects.get(key="production").protected


def test_a_policy_change_is_in_the_ledger_whole(cast: Cast) -> None:
    cast.policy(approvals=2)
    cast.policy(approvals=2, ticket=True)
    first, second = (
        json.loads(event.line)["data"]
        for event in Event.objects.filter(type="approvals.v1.policy.changed").order_by("index")
    )
    assert first["before"] is None
    assert first["after"] == second["before"]
    assert second["after"] == {
        "name": "Production",
        "environments": ["production"],
        "approvals": 2,
        "ticket": True,
    }
    assert second["change_request"]["id"].startswith("CR-")


@pytest.mark.parametrize(
    ("member", "members"),
    [
        ("approvals", {"approvals": -1}),
        ("approvals", {"approvals": 21}),
        ("approvals", {"approvals": "x"}),
        ("approvals", {"approvals": True}),
        ("ticket", {"ticket": "x"}),
        ("name", {"name": ""}),
        ("environments", {"environments": ["nowhere"]}),
        ("environments", {"served_in": {"environment": "nowhere", "hours": 1}}),
        ("served_in.hours", {"served_in": {"environment": "development", "hours": 0}}),
        ("from", {"from": [{"team": "nobody"}]}),
        ("from", {"from": [{"role": "king"}]}),
        ("from[0]", {"from": [{"role": "reviewer", "team": "payments"}]}),
        ("from[0]", {"from": ["reviewer"]}),
        ("from[0].count", {"from": [{"role": "reviewer", "count": 0}]}),
        ("tags", {"tags": "payments"}),
        ("surprise", {"surprise": 1}),
    ],
    ids=repr,
)
def test_a_policy_that_cannot_be_is_refused_by_member(cast: Cast, member: str, members: Any) -> None:
    with pytest.raises(InvalidError) as caught:
        ask(cast, **members)
    assert caught.value.member == member
    assert not ChangeRequest.objects.exists()


def test_a_policy_raised_between_approval_and_applying_counts(cast: Cast) -> None:
    cast.flag()
    request = cast.approve(cast.propose(scheduled_at=None))
    cast.policy(approvals=2)
    with pytest.raises(StateError, match="1 of 2 approvals"):
        workflow.apply(cast.actor("author"), request)
    cast.approve(request, "second_reviewer")
    with pytest.raises(StateError, match="reviewed under the present policy"):
        workflow.apply(cast.actor("author"), request)
    assert not FlagConfiguration.objects.exists()
    operations = [{"subject": cast.subject(), "after": request.change["operations"][0]["after"]}]
    edited = workflow.revise(cast.actor("author"), request, operations, title="Again", rationale="policy")
    assert edited.required_approvals == 2
    cast.approve(edited)
    cast.approve(edited, "second_reviewer")
    assert workflow.apply(cast.actor("author"), edited).state == State.APPLIED


def test_a_policy_lowered_after_the_proposal_does_not_lower_what_was_promised(cast: Cast) -> None:
    cast.flag()
    cast.policy(approvals=2)
    request = cast.propose()
    cast.policy(approvals=1)
    assert cast.approve(request).state == State.IN_REVIEW
    assert cast.approve(request, "second_reviewer").state == State.APPLIED


def test_an_environment_that_became_protected_asks_for_review_of_what_was_proposed_before(cast: Cast) -> None:
    cast.flag()
    request = cast.propose(ON, environment="development", scheduled_at=None)
    assert request.state == State.APPROVED
    cast.settings("development", protected=True)
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)
    assert not FlagConfiguration.objects.exists()
