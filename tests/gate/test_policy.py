"""Policies: what an environment asks for, who may change that, and that it counts when it is applied."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from access.permissions import ForbiddenError
from approvals import policies, workflow
from approvals.models import ApprovalPolicy, ChangeRequest
from approvals.policies import Requirements
from approvals.workflow import StateError
from audit.models import Event
from flags import catalogue
from flags.models import FlagConfiguration
from tests.cast import Cast


def set_policy(cast: Cast, by: str = "administrator", **members: Any) -> ApprovalPolicy:
    return policies.set_policy(cast.actor(by), cast.production, members)


def test_without_a_row_a_protected_environment_asks_for_one_approval_and_a_reason(cast: Cast) -> None:
    assert policies.requirements([cast.production]) == Requirements(1, True, False)
    assert policies.requirements([cast.development]) == Requirements(0, False, False)


def test_the_strictest_of_all_environments_counts(cast: Cast) -> None:
    policies.set_policy(cast.actor("administrator"), cast.development, {"require_ticket": True})
    set_policy(cast, required_approvals=3, require_rationale=False)
    both = [cast.development, cast.production]
    assert policies.requirements(both) == Requirements(3, False, True)
    assert policies.requirements_of(both) == {
        environment.pk: policies.requirements([environment]) for environment in both
    }


def test_no_policy_makes_a_protected_environment_ask_for_nobody(cast: Cast) -> None:
    set_policy(cast, required_approvals=0)
    assert policies.requirements([cast.production]).approvals == 1
    cast.flag()
    assert cast.propose().state == ChangeRequest.State.IN_REVIEW


@pytest.mark.parametrize("name", ["author", "reviewer", "on_call", "auditor", "viewer", "outsider"])
def test_only_administrators_change_a_policy(cast: Cast, name: str) -> None:
    with pytest.raises(ForbiddenError):
        set_policy(cast, name, required_approvals=0)
    assert not ApprovalPolicy.objects.exists()


def test_a_policy_change_is_in_the_ledger_whole(cast: Cast) -> None:
    set_policy(cast, required_approvals=2)
    set_policy(cast, require_ticket=True)
    first, second = (
        json.loads(event.line)["data"]
        for event in Event.objects.filter(type="approvals.v1.policy.changed").order_by("index")
    )
    assert first["before"] is None
    assert first["after"] == second["before"]
    assert second["after"] == {"required_approvals": 2, "require_rationale": True, "require_ticket": True}


@pytest.mark.parametrize(
    "members",
    [
        {"required_approvals": -1},
        {"required_approvals": 21},
        {"required_approvals": "x"},
        {"require_ticket": "x"},
    ],
    ids=repr,
)
def test_a_policy_that_cannot_be_is_refused_by_member(cast: Cast, members: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        set_policy(cast, **members)
    assert set(caught.value.message_dict) == set(members)
    assert not ApprovalPolicy.objects.exists()


def test_a_policy_raised_between_approval_and_applying_counts(cast: Cast) -> None:
    cast.flag()
    request = cast.approve(cast.propose(scheduled_at=None))
    set_policy(cast, required_approvals=2)
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
    assert workflow.apply(cast.actor("author"), edited).state == ChangeRequest.State.APPLIED


def test_a_policy_lowered_after_the_proposal_does_not_lower_what_was_promised(cast: Cast) -> None:
    cast.flag()
    set_policy(cast, required_approvals=2)
    request = cast.propose()
    set_policy(cast, required_approvals=1)
    assert cast.approve(request).state == ChangeRequest.State.IN_REVIEW
    assert cast.approve(request, "second_reviewer").state == ChangeRequest.State.APPLIED


def test_an_environment_that_became_protected_asks_for_review_of_what_was_proposed_before(cast: Cast) -> None:
    cast.flag()
    request = cast.propose(environment="development", scheduled_at=None)
    assert request.state == ChangeRequest.State.APPROVED
    catalogue.save_environment(cast.actor("administrator"), cast.project, "development", {"protected": True})
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)
    assert not FlagConfiguration.objects.exists()
