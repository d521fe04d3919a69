"""Expectations: a flag's own tests hold every change to them that could alter an answer."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from access import grants
from access.limits import Limits
from access.permissions import ForbiddenError, user_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest
from approvals.workflow import BlockedError, InvalidError
from audit.models import Event
from flags.models import Expectations, FlagConfiguration
from flags.subjects import Subject
from tests.cast import BANNER, OFF, ON, Cast, _user

State = ChangeRequest.State
SUBJECT = "project/shop/expectations/banner"
BETA = "project/shop/segment/beta"
RULED = {
    "enabled": True,
    "off": "off",
    "rules": [
        {
            "id": "r1",
            "constraints": [{"attribute": "", "operator": "in_segment", "values": ["beta"]}],
            "serve": {"variant": "on"},
        }
    ],
    "default": {"variant": "off"},
}


def expected(variant: str | None = "on", **members: Any) -> dict[str, Any]:
    return {
        "sentence": "Customer 1 has the banner",
        "environment": "production",
        "context": {"targetingKey": "customer-1"},
        "variant": variant,
        **members,
    }


def expect(cast: Cast, *entries: Any, by: str = "author", **options: Any) -> ChangeRequest:
    operations = [{"subject": SUBJECT, "after": {"expectations": list(entries)}}]
    options = {"title": "Expected", "rationale": "planned", **options}
    return workflow.change(cast.actor(by), cast.project, operations, **options)


def change(cast: Cast, subject: str, after: Any) -> ChangeRequest:
    return workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": subject, "after": after}],
        title="Change",
        rationale="planned",
    )


@pytest.fixture
def shop(cast: Cast, banner: None) -> Cast:
    """The banner is on in production for the segment beta, and that is expected of customer 1."""
    change(cast, BETA, {"included": ["customer-1"]})
    cast.approve(cast.propose(RULED))
    assert expect(cast, expected()).state == State.APPLIED
    return cast


def blocking(request: ChangeRequest) -> list[Any]:
    return [each for each in workflow.check_request(request) if each.check == "expectation" and each.blocks]


def test_a_change_that_breaks_one_is_told_so_and_not_applied_though_it_is_approved(shop: Cast) -> None:
    request = shop.propose({**RULED, "rules": []})
    [finding] = blocking(request)
    assert "“Customer 1 has the banner” would fail" in finding.text
    assert 'in Production, {"targetingKey": "customer-1"} is expected to get on of banner' in finding.text
    assert "would get off. It gets off, by the default" in finding.text
    assert finding.subject == SUBJECT
    approved = shop.approve(request)
    assert approved.state == State.APPROVED
    assert "would fail" in approved.problem
    assert FlagConfiguration.objects.get().document == RULED
    assert shop.approve(shop.propose({**RULED, "default": {"variant": "on"}})).state == State.APPLIED


def test_a_changed_segment_is_held_to_the_flags_that_use_it(shop: Cast) -> None:
    request = change(shop, BETA, {"included": ["customer-2"]})
    [finding] = blocking(request)
    assert "The flag is switched on" in finding.text  # the way to the answer
    assert "segment beta get on" in finding.text
    assert shop.approve(request).state == State.APPROVED


def test_a_changed_prerequisite_is_held_to_the_flags_that_need_it(shop: Cast) -> None:
    shop.flag("checkout")
    shop.approve(shop.propose(ON, key="checkout"))
    needing = {**RULED, "prerequisites": [{"flag": "checkout", "variants": ["on"]}]}
    assert shop.approve(shop.propose(needing)).state == State.APPLIED
    request = shop.propose(OFF, key="checkout")
    [finding] = blocking(request)
    assert "a flag that this one needs does not serve what it must" in finding.text


def test_a_removed_variant_is_held_to_who_should_get_it(shop: Cast) -> None:
    definition = {**BANNER, "variants": {"yes": True, "off": False}}
    serving = {**RULED, "rules": [], "default": {"variant": "yes"}}
    request = workflow.propose(
        shop.actor("author"),
        shop.project,
        [
            {"subject": "project/shop/flag/banner", "after": definition},
            {"subject": shop.subject(), "after": serving},
        ],
        title="Rename",
        rationale="planned",
    )
    assert "expected to get on of banner, and would get yes" in blocking(request)[0].text


def test_flag_and_expectation_change_in_one_request(shop: Cast) -> None:
    request = workflow.change(
        shop.actor("author"),
        shop.project,
        [
            {"subject": shop.subject(), "after": OFF},
            {"subject": SUBJECT, "after": {"expectations": [expected("off")]}},
        ],
        title="Off for good",
        rationale="planned",
    )
    assert not blocking(request)
    assert shop.approve(request).state == State.APPLIED


def test_a_new_flag_comes_with_what_is_expected_of_it(cast: Cast) -> None:
    operations = [
        {"subject": SUBJECT, "after": {"expectations": [expected("on", environment="development")]}},
        {"subject": cast.subject(environment="development"), "after": OFF},
        {"subject": "project/shop/flag/banner", "after": BANNER},
    ]
    options = {"title": "New", "rationale": "planned"}
    with pytest.raises(BlockedError, match="would get off"):
        workflow.change(cast.actor("author"), cast.project, operations, **options)
    operations[1]["after"] = ON
    made = workflow.change(cast.actor("author"), cast.project, operations, **options)
    assert made.state == State.APPLIED


def test_after_a_kill_what_fails_already_holds_nothing_up(shop: Cast) -> None:
    workflow.kill(
        shop.actor("on_call"), Subject("configuration", "shop", "banner", "production"), shop.project
    )
    request = shop.propose({**RULED, "killed": True, "regions": {"us": False}})
    [finding] = [each for each in workflow.check_request(request) if each.check == "expectation"]
    assert (finding.severity, "as it does now" in finding.text) == ("warn", True)
    assert shop.approve(request).state == State.APPLIED
    assert shop.approve(shop.propose(RULED)).state == State.APPLIED


def test_one_more_takes_effect_at_once_and_one_fewer_is_reviewed(shop: Cast) -> None:
    more = expect(shop, expected(), expected("off", context={"targetingKey": "customer-9"}))
    assert (more.state, more.required_approvals) == (State.APPLIED, 0)
    # Nothing that is served changed, so nothing is published again.
    shop.production.refresh_from_db()
    revision = shop.production.revision
    fewer = expect(shop, expected())
    assert (fewer.state, fewer.required_approvals) == (State.IN_REVIEW, 1)
    weaker = expect(shop, expected(), expected("off", context={"targetingKey": "customer-8"}))
    assert weaker.state == State.IN_REVIEW
    assert shop.approve(fewer).state == State.APPLIED
    shop.production.refresh_from_db()
    assert shop.production.revision == revision


def test_one_that_does_not_hold_now_is_refused_when_it_is_added(shop: Cast) -> None:
    with pytest.raises(BlockedError, match="Customer 1 has the banner"):
        expect(shop, expected(), expected("off"))
    assert Expectations.objects.get().version == 1


def test_regions_count(shop: Cast) -> None:
    shop.approve(shop.propose({**RULED, "regions": {"us": False}}))
    assert expect(shop, expected(), expected("off", region="us")).state == State.APPLIED
    request = shop.propose(RULED)
    assert "in Production, region us" in blocking(request)[0].text


def test_they_are_versioned_in_history_and_in_the_ledger(shop: Cast) -> None:
    expect(shop, expected(), expected("off", context={}))
    events = Event.objects.filter(subject=SUBJECT).order_by("index")
    assert [event.type for event in events] == [
        "flags.v1.expectations.created",
        "flags.v1.expectations.updated",
    ]
    before, after = (json.loads(event.line)["data"] for event in events)
    assert after["before"] == before["after"] == {"expectations": [expected()]}
    row = Expectations.objects.get()
    assert (row.version, Expectations.history.count()) == (2, 2)


def test_who_may_not_ask_for_changes_here_may_not_expect_anything(shop: Cast) -> None:
    for name in ("viewer", "reviewer", "auditor", "outsider"):
        with pytest.raises(ForbiddenError):
            expect(shop, by=name)
    limited = _user("limited")
    limits = Limits(frozenset({"development"}))
    grants.grant(shop.actor("root"), shop.project, limited.pseudonym, Role.EDITOR, limits=limits)
    with pytest.raises(ForbiddenError, match="your role is limited"):
        workflow.change(
            user_actor(limited, "ui"),
            shop.project,
            [{"subject": SUBJECT, "after": {"expectations": []}}],
            title="None",
        )


@pytest.mark.parametrize(
    ("entry", "member", "said"),
    [
        (expected("blue"), "expectations[0].variant", "'blue' is no variant of the flag; it has on, off"),
        (
            expected(environment="staging"),
            "expectations[0].environment",
            "there are: development, production",
        ),
        (
            expected(region="mars"),
            "expectations[0].region",
            "'mars' is no region of production; it has: eu, us",
        ),
        (expected(sentence=" "), "expectations[0].sentence", "must say in at most 200 characters"),
        (expected(context="x"), "expectations[0].context", "must be an object such as"),
        (expected(note="x"), "expectations[0].note", "is unknown"),
        ({"sentence": "x"}, "expectations[0].environment", "is missing"),
        (7, "expectations[0]", "must be an object"),
    ],
    ids=lambda each: str(each)[:30],
)
def test_an_expectation_that_cannot_be_is_refused_by_member(
    cast: Cast, entry: Any, member: str, said: str
) -> None:
    cast.flag()
    with pytest.raises(InvalidError, match=said) as caught:
        expect(cast, entry)
    assert caught.value.member == member
    assert not Expectations.objects.exists()


def test_evaluating_many_is_quick(shop: Cast) -> None:
    """A segment that some flags use, 100 expectations each: what a preview of its change takes."""
    entries = [
        expected(environment="development", context={"targetingKey": "customer-1", "n": n})
        for n in range(100)
    ]
    for n in range(5):
        shop.flag(f"f{n}")
        operations = [
            {"subject": shop.subject(f"f{n}", "development"), "after": RULED},
            {"subject": f"project/shop/expectations/f{n}", "after": {"expectations": entries}},
        ]
        workflow.change(shop.actor("author"), shop.project, operations, title="x", rationale="x")
    started = time.process_time()
    found = workflow.foresee(
        shop.actor("author"), shop.project, [{"subject": BETA, "after": {"included": ["customer-2"]}}]
    )
    assert len([each for each in found if each.check == "expectation"]) == 501
    assert time.process_time() - started < 5  # 0.3 s on 2 cores
