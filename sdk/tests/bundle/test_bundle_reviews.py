"""Approvals, rejections, carrying out, kills, and what the auditor asks for (sections 6 and 9)."""

from __future__ import annotations

from typing import Any

import pytest
from bundle_writer import CONFIGURATION, HALF, OFF, ON, Ledger, change, operation, stand_in

PRODUCTION = {"review_required": ["project/shop/environment/production/"]}
SEGMENT = "project/shop/segment/s"


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def stages(**members: Any) -> dict[str, Any]:
    """Off to half to on, and from either back to off as often as needed."""
    return change(
        "CR-1",
        operation(OFF, HALF),
        operation(HALF, ON),
        operation(before=..., before_any=[HALF, ON], after=OFF, label="revert", repeat=True),
        **members,
    )


def test_stages_are_carried_out_under_one_approval(accept, ledger: Ledger) -> None:
    plan = stages()
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan, 0)
    ledger.carry_out(plan, 1)
    ledger.review("applied", "service:applier", plan)
    ledger.carry_out(plan, 2, ON)
    assert accept(ledger, policy=PRODUCTION).log_vouched == (3, 4, 6)


def test_the_way_back_is_open_again_and_again_and_an_operation_is_not(accept, refuse, ledger: Ledger) -> None:
    plan = stages()
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan, 0)
    ledger.carry_out(plan, 2, HALF)
    ledger.document(OFF, HALF)
    ledger.carry_out(plan, 2, HALF)
    accept(ledger)
    ledger.carry_out(plan, 0)
    refuse(ledger, "operation 0 of change CR-1 was carried out before")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"reference": {"id": "CR-2"}}, "was not proposed before"),
        ({"reference": {"id": 1}}, "was not proposed before"),
        ({"reference": {"digest": "sha256:" + "0" * 64}}, "digest is not that of change"),
        ({"reference": {"operation": 9}}, "no such operation"),
        ({"reference": {"operation": -1}}, "no such operation"),
        ({"reference": {"operation": True}}, "no such operation"),
        ({"reference": {"more": 1}}, "does not belong there"),
        ({"subject": CONFIGURATION + "2"}, "another subject or type"),
        ({"kind": "flags.v1.configuration.created"}, "another subject or type"),
        ({"after": ON}, "'after' is not that of operation"),
        ({"start": None}, "'before' is not one that operation"),
        ({"change": {"id": "CR-1"}}, "unsupported"),
    ],
)
def test_what_is_carried_out_is_what_was_approved(
    refuse, ledger: Ledger, arguments: dict[str, Any], reason: str
) -> None:
    plan = stages()
    ledger.agree(plan, "user:b")
    others = {name: value for name, value in arguments.items() if name != "start"}
    ledger.carry_out(plan, 0, arguments.get("start", ...), **others)
    refuse(ledger, reason)


def test_a_change_request_without_documents_is_refused(refuse, ledger: Ledger) -> None:
    plan = stages()
    ledger.agree(plan, "user:b")
    data = ledger.carry_out(plan, 0)["data"]
    ledger.event("app.v1.happened", {"actor": data["actor"], "change_request": data["change_request"]})
    refuse(ledger, "without 'before' and 'after'")


def test_a_personally_signed_change_is_unsupported_also_without_documents(refuse, ledger: Ledger) -> None:
    reference = {"id": "CR-1", "digest": "sha256:" + "0" * 64, "operation": 0}
    ledger.event("app.v1.happened", {"actor": {"id": "user:a", "via": "ui"}, "change": reference})
    refuse(ledger, "'change' names a personally signed proposal: unsupported here")


def test_a_change_is_carried_out_within_its_time_but_the_way_back_is_never_late(accept, refuse) -> None:
    plan = stages(not_before="2026-01-05T09:00:03.000000Z", not_after="2026-01-05T09:00:03.000000Z")
    ledger = Ledger()
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan, 0)  # exactly at both bounds
    ledger.carry_out(plan, 2, HALF)
    accept(ledger)
    ledger.document(OFF, HALF)
    ledger.carry_out(plan, 1)
    refuse(ledger, "after its 'not_after'")
    late = stages(not_before="2026-01-05T09:00:03.000001Z")
    for n, before in ((0, OFF), (2, HALF)):
        ledger = Ledger()
        ledger.agree(late, "user:b")
        ledger.carry_out(late, n, before)
        refuse(ledger, "before its 'not_before'")


def test_approvals_are_counted_by_person_and_come_first(accept, refuse) -> None:
    plan = stages(required_approvals=2)
    for approvers, accepted in [
        ((), 0),
        (("user:b",), 0),
        (("user:b", "user:b"), 0),
        (("user:b", "user:c"), 1),
    ]:
        ledger = Ledger()
        ledger.agree(plan, *approvers)
        ledger.carry_out(plan, 0)
        ledger.review("approved", "user:d", plan)
        if accepted:
            accept(ledger)
        else:
            refuse(ledger, "approvals of 2")


def test_nobody_approves_their_own_change(refuse, ledger: Ledger) -> None:
    ledger.agree(stages(), "user:a")
    refuse(ledger, "approved by its proposer")


@pytest.mark.parametrize("verb", ["approved", "rejected", "applied"])
def test_a_review_names_a_proposal_before_it_and_its_digest(refuse, verb: str) -> None:
    ledger = Ledger()
    ledger.review(verb, "user:b", stages())
    refuse(ledger, "was not proposed before")
    ledger = Ledger()
    ledger.propose(stages())
    ledger.review(verb, "user:b", stages(title="edited"))
    refuse(ledger, "the digest is not that of change")
    ledger = Ledger()
    ledger.propose(stages())
    ledger.review(verb, "user:b", stages(), comment="fine")
    refuse(ledger, "does not belong there")


def test_a_record_of_applying_follows_something_carried_out(refuse, ledger: Ledger) -> None:
    ledger.agree(stages(), "user:b")
    ledger.review("applied", "service:applier", stages())
    refuse(ledger, "nothing of it was carried out")


def test_nothing_is_carried_out_after_a_rejection_the_proposers_own_included(refuse) -> None:
    for actor in ("user:a", "user:c"):
        for n, before in ((0, OFF), (2, HALF)):
            ledger = Ledger()
            ledger.agree(stages(), "user:b")
            ledger.review("rejected", actor, stages())
            ledger.carry_out(stages(), n, before)
            refuse(ledger, "was rejected")


def test_the_way_back_stays_open_when_something_was_carried_out_before_the_rejection(accept, refuse) -> None:
    ledger = Ledger()
    ledger.agree(stages(), "user:b")
    ledger.carry_out(stages(), 0)
    ledger.review("rejected", "user:c", stages())
    ledger.carry_out(stages(), 2, HALF)
    accept(ledger)
    ledger.document(OFF, HALF)
    ledger.carry_out(stages(), 1)
    refuse(ledger, "was rejected")


def test_no_document_passes_for_a_record_where_review_is_required(accept, refuse) -> None:
    ledger = Ledger()
    actor = {"id": "user:a", "via": "ui"}
    ledger.event("ledger.v1.exported", {"actor": actor}, CONFIGURATION)
    accept(ledger, policy=PRODUCTION)
    ledger.event("ledger.v1.exported", {"actor": actor, "before": OFF, "after": ON}, CONFIGURATION)
    refuse(ledger, "a record carries out no change", policy=PRODUCTION)
    accept(ledger)


def test_a_report_says_that_it_cannot_see_a_rejection_that_is_withheld(accept, refuse) -> None:
    """An export that keeps to the format withholds none; whoever signs one that does not leaves this trace."""
    ledger, plan = Ledger(), change("CR-1", operation(OFF, ON))
    ledger.agree(plan, "user:b")
    ledger.review("rejected", "user:c", plan)
    ledger.carry_out(plan)
    refuse(ledger, "was rejected")
    unseen = "that nothing withheld is a rejection, a review or a kill"
    assert unseen in accept(ledger, withheld=[3], policy={"max_withheld": 1}).as_text()
    assert unseen not in accept(Ledger()).as_text()


def test_the_way_back_stays_open_when_something_carried_out_may_be_withheld(accept, refuse) -> None:
    ledger = Ledger()
    ledger.agree(stages(), "user:b")
    ledger.carry_out(stages(), 0)
    ledger.review("rejected", "user:c", stages())
    ledger.carry_out(stages(), 2, HALF)
    accept(ledger, withheld=[3], policy={"max_withheld": 1})
    ledger = Ledger()
    ledger.document(None, OFF)
    ledger.agree(stages(), "user:b")
    ledger.review("rejected", "user:c", stages())
    ledger.carry_out(stages(), 2, HALF)
    refuse(ledger, "was rejected", withheld=[1], policy={"max_withheld": 1})


def test_a_change_that_needed_nobody_is_unreviewed(accept, refuse, ledger: Ledger) -> None:
    plan = stages(required_approvals=0)
    ledger.propose(plan)
    ledger.carry_out(plan, 0)
    assert accept(ledger).unreviewed == (2,)
    refuse(ledger, "review is required for this subject with 1 approvals, and there are 0", policy=PRODUCTION)


def test_where_review_is_required_a_change_is_carried_out(accept, refuse, ledger: Ledger) -> None:
    ledger.document(OFF, ON)
    assert accept(ledger).unreviewed == (1,)
    accept(ledger, policy={**PRODUCTION, "review_from": 2})
    accept(ledger, policy={"review_required": ["project/shop/environment/prod", "project/shop/segment"]})
    for prefix in ("", "project", "project/shop/environment/production", CONFIGURATION, CONFIGURATION + "/"):
        refuse(ledger, "no change is carried out", policy={"review_required": [prefix]})


def test_where_review_is_required_the_auditor_says_how_many_approve(accept, refuse, ledger: Ledger) -> None:
    plan = stages()
    ledger.agree(plan, "user:b", "user:c")
    ledger.carry_out(plan, 0)
    for minimum in (0, 1, 2):
        accept(ledger, policy={**PRODUCTION, "min_approvals": minimum})
    refuse(ledger, "with 3 approvals, and there are 2", policy={**PRODUCTION, "min_approvals": 3})


def test_unsigned_reviews_suffice_only_where_the_auditor_accepts_them(accept, refuse, ledger: Ledger) -> None:
    plan = stages()
    ledger.agree(plan, "user:b")
    ledger.carry_out(plan, 0)
    refuse(ledger, "unsigned reviews do not suffice", policy={**PRODUCTION, "accept_log_vouched": False})
    assert accept(ledger, policy={"accept_log_vouched": False}).log_vouched == (3,)


def test_a_kill_needs_no_review_and_is_reviewed_later(accept, ledger: Ledger) -> None:
    ledger.document(None, ON)
    kill = ledger.kill(ON)
    report = accept(ledger, policy={**PRODUCTION, "review_from": 2})
    assert report.emergency == (2,)
    assert report.emergency_unreviewed == (kill["id"],)
    ledger.review_kill(kill, change_id="CR-9")
    assert accept(ledger).emergency_unreviewed == ()
    assert accept(ledger, policy={"accept_log_vouched": False}).emergency_unreviewed == (kill["id"],)


def test_a_kill_may_start_from_killed_false(accept, ledger: Ledger) -> None:
    ledger.kill({"enabled": True, "killed": False})
    accept(ledger)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"subject": "project/shop/flag/banner"}, "not of a configuration"),
        ({"subject": "project/shop/segment/production/flag/banner"}, "not of a configuration"),
        ({"subject": CONFIGURATION + "/x"}, "not of a configuration"),
        ({"change_request": {}}, "names a change"),
        ({"change": {}}, "names a change"),
        ({"before": {"killed": True}}, "'killed' absent or false"),
        ({"before": {"killed": None}}, "'killed' absent or false"),
        ({"before": {"killed": 0}}, "'killed' absent or false"),
        ({"before": None, "after": {"killed": True}}, "is not an object"),
        ({"after": {"enabled": True}}, "with 'killed' true"),
        ({"after": {"enabled": True, "killed": 1}}, "with 'killed' true"),
        ({"after": {"enabled": False, "killed": True}}, "with 'killed' true"),
        ({"after": None}, "with 'killed' true"),
    ],
)
def test_a_kill_does_nothing_but_kill(refuse, ledger: Ledger, arguments: dict[str, Any], reason: str) -> None:
    ledger.kill(**arguments)
    refuse(ledger, reason)


def test_the_blobs_of_a_kill_must_travel(accept, refuse, ledger: Ledger) -> None:
    big = {"t": "x" * 9000}
    dead = {**big, "killed": True}
    ledger.kill(stand_in(big), stand_in(dead))
    accept(ledger, blobs=[big, dead])
    refuse(ledger, "which is not in the bundle", blobs=[big])
    refuse(ledger, "which is not in the bundle", blobs=[dead])
    ledger = Ledger()
    ledger.kill(stand_in(big), stand_in({**dead, "t": "y" * 9000}))
    refuse(ledger, "with 'killed' true", blobs=[big, {**dead, "t": "y" * 9000}])


def test_kills_are_counted_against_the_auditors_limit(accept, refuse, ledger: Ledger) -> None:
    ledger.kill(ON)
    ledger.document({**ON, "killed": True}, ON)
    ledger.kill(ON)
    accept(ledger, policy={"max_emergency": 2})
    refuse(ledger, "more kills than max_emergency (1)", policy={"max_emergency": 1})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"event": "0f0f0f0f-0f0f-4f0f-8f0f-0f0f0f0f0f0f"}, "not a kill before"),
        ({"event": []}, "not a kill before"),
        ({"digest": "sha256:" + "0" * 64}, "not that of the kill's data"),
        ({"actor": "user:a"}, "by its own actor"),
        ({"change_id": "a/b"}, "'change_id'"),
        ({"more": 1}, "does not belong there"),
    ],
)
def test_a_review_of_a_kill_is_of_that_kill_and_by_somebody_else(
    refuse, ledger: Ledger, arguments: dict[str, Any], reason: str
) -> None:
    kill = ledger.kill(ON)
    ledger.review_kill(kill, **arguments)
    refuse(ledger, reason)


def test_an_ordinary_event_cannot_be_reviewed_as_a_kill(refuse, ledger: Ledger) -> None:
    ledger.review_kill(ledger.document(None, ON))
    refuse(ledger, "not a kill before")
