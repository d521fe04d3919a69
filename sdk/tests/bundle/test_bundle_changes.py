"""The exact shape of a change (section 6)."""

from __future__ import annotations

from typing import Any

import pytest
from bundle_writer import CONFIGURATION, HALF, OFF, ON, Ledger, change, jcs, operation, stand_in


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def test_a_change_may_have_every_member_there_is(accept, ledger: Ledger) -> None:
    steps = [
        operation(None, HALF, label="stage 1"),
        operation(before=..., before_any=[None, HALF], after=OFF, label="revert", repeat=True),
    ]
    bounds = {"not_before": "2026-01-01T00:00:00.000000Z", "not_after": "2027-01-01T00:00:00.000000Z"}
    ledger.propose(change("CR-1", *steps, confirm_within=60, title="", ticket="", **bounds))
    accept(ledger)


def test_the_base_may_cover_more_than_the_operations(accept, ledger: Ledger) -> None:
    ledger.propose(change(base={CONFIGURATION: 3, "project/shop/segment/s": 1}))
    accept(ledger)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"id": "CR/1"}, "'id'"),
        ({"id": None}, "'id'"),
        ({"title": ...}, "no 'title'"),
        ({"title": None}, "'title'"),
        ({"rationale": 1}, "'rationale'"),
        ({"ticket": ...}, "no 'ticket'"),
        ({"required_approvals": -1}, "'required_approvals'"),
        ({"required_approvals": True}, "'required_approvals'"),
        ({"required_approvals": "1"}, "'required_approvals'"),
        ({"required_approvals": 1.5}, "'required_approvals'"),
        ({"not_before": "2026"}, "'not_before'"),
        ({"not_after": None}, "'not_after'"),
        ({"confirm_within": 60}, "labelled revert"),
        ({"confirm_within": -1}, "'confirm_within'"),
        ({"base": []}, "'base'"),
        ({"base": {}}, "does not cover"),
        ({"base": {CONFIGURATION: -1}}, "version"),
        ({"base": {CONFIGURATION: False}}, "version"),
        ({"base": {CONFIGURATION: 0, "a//b": 0}}, "subject"),
        ({"operations": {}}, "'operations' is not a list"),
        ({"operations": [5]}, "not an object"),
        ({"more": 1}, "does not belong there"),
    ],
)
def test_a_change_of_another_shape_is_refused(
    refuse, ledger: Ledger, members: dict[str, Any], reason: str
) -> None:
    ledger.propose(change(**members))
    refuse(ledger, reason)


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"subject": ...}, "no 'subject'"),
        ({"subject": "a b"}, "'subject'"),
        ({"type": ""}, "'type'"),
        ({"type": 1}, "'type'"),
        ({"after": ...}, "no 'after'"),
        ({"before": ...}, "exactly one of"),
        ({"before_any": [None]}, "exactly one of"),
        ({"before": ..., "before_any": None}, "'before_any'"),
        ({"label": 1}, "'label'"),
        ({"repeat": False}, "'repeat'"),
        ({"repeat": 1}, "'repeat'"),
        ({"more": 1}, "does not belong there"),
        ({"after": {"t": "x" * 9000}}, "does not stand as a blob"),
        ({"before": ..., "before_any": [stand_in({"t": "x"})]}, "stands as a blob"),
    ],
)
def test_an_operation_of_another_shape_is_refused(
    refuse, ledger: Ledger, members: dict[str, Any], reason: str
) -> None:
    ledger.propose(change("CR-1", operation(**members)))
    refuse(ledger, reason)


def long_change(length: int) -> dict[str, Any]:
    """A change whose JCS with its operations in place has this length."""
    empty = change("CR-1", operation(None, ON))
    return change("CR-1", operation(None, ON), rationale="x" * (length - len(jcs(empty))))


def test_operations_stand_as_a_blob_when_the_change_is_too_long_and_only_then(accept, refuse) -> None:
    for length, as_blob, reason in [
        (32_768, False, None),
        (32_768, True, "or less has its operations as a blob"),
        (32_769, True, None),
        (32_769, False, "has its operations in place"),
    ]:
        ledger = Ledger()
        whole = long_change(length)
        assert len(jcs(whole)) == length
        operations = whole["operations"]
        proposed = {**whole, "operations": stand_in(operations)} if as_blob else whole
        ledger.agree(proposed, "user:b")
        ledger.carry_out(proposed, operations=operations)
        blobs = [operations] if as_blob else []
        if reason is None:
            assert accept(ledger, blobs=blobs).log_vouched == (4 - 1,)
        else:
            refuse(ledger, reason, blobs=blobs)


def test_the_blob_of_operations_must_travel(refuse, ledger: Ledger) -> None:
    whole = long_change(40_000)
    ledger.propose({**whole, "operations": stand_in(whole["operations"])})
    refuse(ledger, "which is not in the bundle")


def test_blobs_named_inside_a_blob_of_operations_may_travel(accept, ledger: Ledger) -> None:
    big = {"t": "x" * 9000}
    operations = [operation(None, stand_in(big))]
    whole = change("CR-1", *operations, rationale="x" * 33_000)
    ledger.propose({**whole, "operations": stand_in(operations)})
    accept(ledger, blobs=[operations, big])


def test_an_id_of_a_change_is_used_once(refuse, ledger: Ledger) -> None:
    ledger.propose(change())
    ledger.propose(change(title="another"))
    refuse(ledger, "was used before")


def test_a_proposal_has_just_its_members_and_its_subject(refuse) -> None:
    ledger = Ledger()
    ledger.propose(change(), more=1)
    refuse(ledger, "does not belong there")
    ledger = Ledger()
    data = {"actor": {"id": "user:a", "via": "ui"}, "change": change()}
    ledger.event("approvals.v1.change_request.proposed", data, "change/CR-2")
    refuse(ledger, "the subject is not the change")


def test_a_proposal_may_have_personal_data_and_no_subject(accept, ledger: Ledger) -> None:
    data = {"actor": {"id": "user:a", "via": "ui"}, "change": change(), "personal": {}}
    ledger.event("approvals.v1.change_request.proposed", data)
    accept(ledger)
