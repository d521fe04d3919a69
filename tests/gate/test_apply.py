"""Applying what was approved: once, whole, and only on what the reviewers saw."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connections

from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import ConflictError, StateError
from audit import blobs
from audit.jcs import digest
from audit.models import Event
from flags.models import FlagConfiguration
from tests.cast import OFF, ON, Cast, split


def configuration(cast: Cast, environment: str = "production") -> FlagConfiguration:
    return FlagConfiguration.objects.get(flag__key="banner", environment__key=environment)


def test_an_unprotected_environment_applies_at_once_through_the_same_door(cast: Cast) -> None:
    cast.flag()
    request = cast.propose(environment="development")
    assert request.state == ChangeRequest.State.APPLIED
    assert configuration(cast, "development").document == ON
    types = list(
        Event.objects.filter(change_id=request.change_id).order_by("index").values_list("type", flat=True)
    )
    assert types == [
        "approvals.v1.change_request.proposed",
        "flags.v1.configuration.updated",
        "approvals.v1.change_request.applied",
    ]


def test_a_protected_environment_serves_nothing_new_until_somebody_else_approves(cast: Cast) -> None:
    cast.flag()
    request = cast.propose()
    assert request.state == ChangeRequest.State.IN_REVIEW
    assert not FlagConfiguration.objects.exists()
    request = cast.approve(request)
    assert request.state == ChangeRequest.State.APPLIED
    assert configuration(cast).document == ON
    assert configuration(cast).change_id == request.change_id


def test_the_revision_of_the_environment_grows_with_each_change_and_of_no_other(cast: Cast) -> None:
    cast.flag()
    before = cast.production.revision
    cast.approve(cast.propose())
    cast.production.refresh_from_db()
    cast.development.refresh_from_db()
    assert cast.production.revision == before + 1
    assert cast.development.revision == 1


def test_applying_twice_is_told(cast: Cast) -> None:
    cast.flag()
    request = cast.approve(cast.propose())
    with pytest.raises(StateError, match="applied already"):
        workflow.apply(cast.actor("author"), request)


def test_a_change_made_for_an_older_version_is_a_conflict_and_overwrites_nothing(cast: Cast) -> None:
    cast.flag()
    first, second = cast.propose(ON), cast.propose(split(25))
    cast.approve(first)
    second = cast.approve(second)
    assert second.state == ChangeRequest.State.APPROVED
    assert "version 1, this change was made for version 0" in second.problem
    assert configuration(cast).document == ON
    with pytest.raises(ConflictError) as caught:
        workflow.apply(cast.actor("author"), second)
    assert (caught.value.expected, caught.value.found) == (0, 1)


def test_proposing_on_a_version_that_has_gone_is_a_conflict(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose())
    with pytest.raises(ConflictError):
        cast.propose(OFF, base={cast.subject(): 0})


def test_a_request_whose_stored_content_was_changed_behind_the_gate_is_not_applied(cast: Cast) -> None:
    cast.flag()
    request = cast.propose(OFF, scheduled_at=None)
    request = cast.approve(request)
    request.change["operations"][0]["after"] = ON
    request.save()
    with pytest.raises(StateError, match="does not match its digest"):
        workflow.apply(cast.actor("author"), request)
    assert not FlagConfiguration.objects.exists()


def test_rows_made_to_agree_with_each_other_behind_the_gate_do_not_pass(cast: Cast) -> None:
    cast.flag()
    request = cast.approve(cast.propose(OFF, scheduled_at=None))
    request.change["operations"][0]["after"] = ON
    request.digest = digest(blobs.event_change(request.change))
    request.save()
    request.reviews.update(digest=request.digest)
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)
    assert not FlagConfiguration.objects.exists()


def test_who_proposed_is_known_from_the_ledger_whatever_the_row_says(cast: Cast) -> None:
    cast.flag()
    request = workflow.propose(
        cast.actor("administrator"),
        cast.project,
        [{"subject": cast.subject(), "after": ON}],
        title="Banner",
        rationale="mine",
    )
    ChangeRequest.objects.filter(pk=request.pk).update(proposer=cast.users["author"].pseudonym)
    request.refresh_from_db()
    request = workflow.approve(cast.actor("administrator"), request, digest=request.digest)
    assert request.state == ChangeRequest.State.IN_REVIEW
    assert not FlagConfiguration.objects.exists()


def test_an_approval_that_is_not_in_the_ledger_does_not_count(cast: Cast) -> None:
    from approvals.models import Review

    cast.flag()
    request = cast.propose()
    some_event = Event.objects.first()
    assert some_event is not None
    Review.objects.create(
        request=request,
        change_id=request.change_id,
        digest=request.digest,
        reviewer=cast.users["reviewer"].pseudonym,
        verdict="approved",
        event=some_event,
    )
    ChangeRequest.objects.filter(pk=request.pk).update(state=ChangeRequest.State.APPROVED)
    with pytest.raises(StateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)


def test_of_two_appliers_at_once_one_wins_and_the_other_is_told(committed_cast: Cast) -> None:
    cast = committed_cast
    cast.flag()
    request = cast.approve(cast.propose(scheduled_at=None))
    assert request.state == ChangeRequest.State.APPROVED
    outcomes: list[Any] = []
    barrier = threading.Barrier(4)

    def run() -> None:
        try:
            barrier.wait()
            outcomes.append(workflow.apply(cast.actor("author"), request).state)
        except StateError as error:
            outcomes.append(str(error))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [f"{request.change_id} has been applied already."] * 3 + ["applied"]
    assert configuration(cast).version == 1
    assert Event.objects.filter(type="flags.v1.configuration.updated").count() == 1
