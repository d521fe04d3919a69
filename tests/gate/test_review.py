"""Approving, rejecting, withdrawing, editing, commenting: by whom, and on exactly what they saw."""

from __future__ import annotations

import json

import pytest

from access import grants, machines
from access.models import Membership
from access.permissions import ForbiddenError, service_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest, Review
from approvals.workflow import InvalidError, StateError
from audit.models import Event
from flags.models import FlagConfiguration
from tests.cast import OFF, ON, Cast, split

State = ChangeRequest.State


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    return cast


def test_nobody_approves_their_own_change(shop: Cast) -> None:
    request = shop.propose()
    grants.grant(shop.actor("administrator"), shop.project, shop.users["author"].pseudonym, Role.REVIEWER)
    with pytest.raises(StateError, match="your own change"):
        shop.approve(request, "author")
    with pytest.raises(StateError, match="withdraw it"):
        workflow.reject(shop.actor("author"), request, digest=request.digest)
    assert not Review.objects.exists()


def test_nobody_approves_twice(shop: Cast) -> None:
    shop.policy(approvals=2)
    request = shop.propose()
    shop.approve(request)
    with pytest.raises(StateError, match=r"reviewed .* already"):
        shop.approve(request)
    with pytest.raises(StateError, match=r"reviewed .* already"):
        workflow.reject(shop.actor("reviewer"), request, digest=request.digest)
    assert Review.objects.filter(request=request).count() == 1


@pytest.mark.parametrize("name", ["viewer", "author", "on_call", "auditor", "outsider"])
def test_who_is_no_reviewer_neither_approves_nor_rejects(shop: Cast, name: str) -> None:
    request = workflow.propose(
        shop.actor("administrator"),
        shop.project,
        [{"subject": shop.subject(), "after": ON}],
        title="t",
        rationale="r",
    )
    with pytest.raises(ForbiddenError):
        shop.approve(request, name)
    with pytest.raises(ForbiddenError):
        workflow.reject(shop.actor(name), request, digest=request.digest)


def test_a_service_account_does_not_count_as_a_reviewer(shop: Cast) -> None:
    account = machines.create_service_account(shop.actor("root"), "pipeline")
    grants.grant(shop.actor("administrator"), shop.project, account.pseudonym, Role.REVIEWER)
    request = shop.propose()
    with pytest.raises(StateError, match="service account"):
        workflow.approve(service_actor(account), request, digest=request.digest)


def test_an_approval_of_something_else_than_was_seen_does_not_stand(shop: Cast) -> None:
    request = shop.propose()
    for verb in (workflow.approve, workflow.reject):
        with pytest.raises(StateError, match="not what you saw"):
            verb(shop.actor("reviewer"), request, digest="sha256:0")
    assert not Review.objects.exists()


@pytest.mark.parametrize("closed", ["applied", "rejected", "withdrawn"])
def test_a_closed_request_takes_no_further_verb(shop: Cast, closed: str) -> None:
    request = shop.propose()
    if closed == "applied":
        shop.approve(request)
    elif closed == "rejected":
        workflow.reject(shop.actor("reviewer"), request, digest=request.digest)
    else:
        workflow.withdraw(shop.actor("author"), request)
    operations = [{"subject": shop.subject(), "after": OFF}]
    second, author = shop.actor("second_reviewer"), shop.actor("author")
    for verb in (
        lambda: workflow.approve(second, request, digest=request.digest),
        lambda: workflow.reject(second, request, digest=request.digest),
        lambda: workflow.withdraw(author, request),
        lambda: workflow.revise(author, request, operations, title="t", rationale="r"),
        lambda: workflow.schedule(author, request, None),
        lambda: workflow.apply(author, request),
    ):
        with pytest.raises(StateError, match=f"{closed}"):
            verb()
    request.refresh_from_db()
    assert request.state == closed


def test_two_approvals_are_of_two_people(shop: Cast) -> None:
    shop.policy(approvals=2)
    request = shop.propose()
    assert shop.approve(request).state == State.IN_REVIEW
    assert not FlagConfiguration.objects.exists()
    assert shop.approve(request, "second_reviewer").state == State.APPLIED


def test_an_approver_who_lost_the_role_before_it_is_applied_does_not_count(shop: Cast) -> None:
    request = shop.approve(shop.propose(scheduled_at=None))
    lost = Membership.objects.get(member=shop.users["reviewer"].pseudonym, project=shop.project)
    grants.revoke(shop.actor("administrator"), lost)
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(shop.actor("author"), request)
    shop.approve(request, "second_reviewer")
    assert workflow.apply(shop.actor("author"), request).state == State.APPLIED


def test_an_approver_whose_account_was_closed_does_not_count(shop: Cast) -> None:
    request = shop.approve(shop.propose(scheduled_at=None))
    user = shop.users["reviewer"]
    user.is_active = False
    user.save()
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(shop.actor("author"), request)


def test_a_rejection_ends_the_request_and_is_in_the_ledger(shop: Cast) -> None:
    request = shop.propose()
    request = workflow.reject(shop.actor("reviewer"), request, digest=request.digest, comment="Not on Friday")
    assert request.state == State.REJECTED
    event = Event.objects.get(type="approvals.v1.change_request.rejected")
    data = json.loads(event.line)["data"]
    assert set(data) == {"actor", "change_id", "digest", "personal"}
    assert data["digest"] == request.digest
    assert request.reviews.get().comment == "Not on Friday"
    assert not FlagConfiguration.objects.exists()


def test_only_its_proposer_withdraws_a_request(shop: Cast) -> None:
    request = shop.propose()
    with pytest.raises(StateError, match="somebody else's"):
        workflow.withdraw(shop.actor("administrator"), request)
    assert workflow.withdraw(shop.actor("author"), request).state == State.WITHDRAWN
    rejected = Event.objects.get(type="approvals.v1.change_request.rejected")
    assert rejected.actor == shop.users["author"].pseudonym


# --- editing -------------------------------------------------------------------------------------


def revise(cast: Cast, request: ChangeRequest, after: object = OFF, by: str = "author") -> ChangeRequest:
    operations = [{"subject": cast.subject(), "after": after}]
    return workflow.revise(cast.actor(by), request, operations, title="Edited", rationale="better")


def test_an_edit_is_a_revision_with_an_id_and_digest_of_its_own(shop: Cast) -> None:
    request = shop.propose()
    edited = revise(shop, request)
    assert (edited.pk, edited.change_id) == (request.pk, f"{request.change_id}.2")
    assert edited.change["id"] == edited.change_id
    assert edited.digest != request.digest
    assert edited.change["operations"][0]["after"] == OFF
    third = revise(shop, edited, split(5))
    assert third.change_id == f"{request.change_id}.3"


def test_approvals_do_not_carry_over_a_revision(shop: Cast) -> None:
    request = shop.approve(shop.propose(scheduled_at=None))
    assert request.state == State.APPROVED
    edited = revise(shop, request)
    assert edited.state == State.IN_REVIEW
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(shop.actor("author"), edited)
    with pytest.raises(StateError, match="not what you saw"):
        workflow.approve(shop.actor("reviewer"), edited, digest=request.digest)
    edited = shop.approve(edited)
    assert workflow.apply(shop.actor("author"), edited).state == State.APPLIED
    assert FlagConfiguration.objects.get().change_id == edited.change_id


def test_an_edit_to_the_very_same_still_asks_everybody_again(shop: Cast) -> None:
    request = shop.approve(shop.propose(title="Edited", rationale="better", scheduled_at=None))
    edited = revise(shop, request, ON)
    assert edited.state == State.IN_REVIEW
    assert edited.digest != request.digest


def test_only_its_proposer_edits_a_request(shop: Cast) -> None:
    request = shop.propose()
    with pytest.raises(StateError, match="somebody else's"):
        revise(shop, request, by="administrator")


def test_an_edit_that_is_refused_leaves_the_request_as_it_was(shop: Cast) -> None:
    request = shop.propose()
    events = Event.objects.count()
    with pytest.raises(InvalidError):
        revise(shop, request, {})
    request.refresh_from_db()
    assert (request.revision, request.state) == (1, State.IN_REVIEW)
    assert Event.objects.count() == events
    assert shop.approve(request).state == State.APPLIED


# --- commenting ----------------------------------------------------------------------------------


def test_a_comment_is_no_verdict_and_no_evidence(shop: Cast) -> None:
    request = shop.propose()
    events = Event.objects.count()
    workflow.comment(shop.actor("reviewer"), request, " Looks good? ")
    assert request.reviews.get().comment == "Looks good?"
    assert Event.objects.count() == events
    assert shop.approve(request).state == State.APPLIED


@pytest.mark.parametrize(
    "text", [" ", "x" * 4_001, "a\x00b", "a\ud800b"], ids=["empty", "long", "nul", "surrogate"]
)
def test_a_comment_that_cannot_be_kept_is_refused_by_name(shop: Cast, text: str) -> None:
    request = shop.propose()
    with pytest.raises(InvalidError) as caught:
        workflow.comment(shop.actor("reviewer"), request, text)
    assert caught.value.member == "comment"
    if text.strip():
        with pytest.raises(InvalidError) as caught:
            workflow.approve(shop.actor("reviewer"), request, digest=request.digest, comment=text)
        assert caught.value.member == "comment"
    assert not Review.objects.exists()


def test_who_may_only_look_does_not_comment(shop: Cast) -> None:
    request = shop.propose()
    for name in ("viewer", "auditor", "outsider"):
        with pytest.raises(ForbiddenError):
            workflow.comment(shop.actor(name), request, "Hello")
