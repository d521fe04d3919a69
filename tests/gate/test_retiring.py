"""How a flag's life is bounded and ends: lifetimes, notices, hibernation, the archive."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from access.notifications import delivering
from approvals import archive, hibernation, rollouts, workflow
from approvals.models import ChangeRequest
from approvals.workflow import InvalidError, StateError
from audit.ledger import timestamp
from flags.compile import body
from flags.documents import definition_document
from flags.lifecycle import stale
from flags.models import Flag, FlagConfiguration
from flags.tasks import tell_of_days
from tests.cast import BANNER, OFF, ON, Cast, split

Clock = Callable[[timedelta], datetime]
DAY = timedelta(days=1)


def in_days(days: float) -> str:
    return timestamp(timezone.now() + days * DAY)


def flag(key: str = "banner") -> Flag:
    return Flag.objects.select_related("project").get(key=key)


@pytest.mark.parametrize(
    ("members", "member", "reason"),
    [
        ({"permanent_reason": ""}, "permanent_reason", "say why the flag stays"),
        ({"temporary": True}, "expires_at", "within 40 days"),
        ({"temporary": True, "expires_at": -1}, "expires_at", "is in the past"),
        ({"temporary": True, "expires_at": 41}, "expires_at", "more than 40 days from now"),
        ({"temporary": True, "kind": "experiment", "expires_at": 61}, "expires_at", "more than 60 days"),
        ({"temporary": True, "kind": "permission"}, "expires_at", "has a day on which"),
    ],
)
def test_a_flag_says_how_long_it_lives(cast: Cast, members: dict[str, Any], member: str, reason: str) -> None:
    if isinstance(members.get("expires_at"), int):
        members = {**members, "expires_at": in_days(members["expires_at"])}
    with pytest.raises(InvalidError, match=reason) as caught:
        cast.flag(**members)
    assert caught.value.member == member


def test_what_is_within_its_kinds_lifetime_is_taken(cast: Cast) -> None:
    cast.flag(temporary=True, expires_at=in_days(39), permanent_reason="")
    cast.flag("search", temporary=True, kind="permission", expires_at=in_days(4_000), permanent_reason="")
    assert Flag.objects.count() == 2


def test_a_date_that_has_passed_does_not_hold_up_other_edits(cast: Cast, later: Clock) -> None:
    cast.flag(temporary=True, expires_at=in_days(1))
    later(2 * DAY)
    kept = timestamp(flag().expires_at)  # type: ignore[arg-type]
    cast.flag(temporary=True, expires_at=kept, team="Night")
    assert flag().team == "Night"


def letters() -> list[Any]:
    """The mails to owners, after all that is due was delivered."""
    delivering.deliver_due()
    return [each for each in mail.outbox if "expires within" in each.subject or "wake" in each.subject]


def test_the_owner_hears_14_7_and_1_days_before_and_once_after_a_downtime(cast: Cast, later: Clock) -> None:
    cast.flag(owner=cast.users["author"].pseudonym, temporary=True, expires_at=in_days(20))
    tell_of_days()
    assert letters() == []
    for moved, days in ((6.5, "14 days"), (13, "1 day")):  # a downtime over the week before
        later(moved * DAY)
        tell_of_days()
        tell_of_days()
        assert letters()[-1].subject == f"[Shop] banner expires within {days}"
    assert len(letters()) == 2


@pytest.fixture
def asleep(cast: Cast) -> Cast:
    """Whose banner hibernates with off for everyone, and was on for a quarter in production."""
    cast.flag(owner=cast.users["author"].pseudonym)
    cast.propose(ON, environment="development")
    cast.approve(cast.propose({**split(25), "targets": {"on": ["u1"]}}))
    moment = timezone.now() + 9 * DAY
    made = hibernation.hibernate(
        cast.actor("author"), flag(), "off", moment, plan="Go on.", rationale="Later."
    )
    cast.approve(made)
    return cast


def test_while_it_hibernates_everyone_gets_one_variant_and_it_is_not_stale(
    asleep: Cast, later: Clock
) -> None:
    documents = FlagConfiguration.objects.values_list("document", flat=True)
    assert list(documents) == [{**ON, "default": {"variant": "off"}}] * 2
    assert flag().hibernation["plan"] == "Go on."
    with pytest.raises(StateError, match="hibernates already"):
        hibernation.hibernate(asleep.actor("author"), flag(), "on", timezone.now() + DAY)
    tell_of_days()
    assert letters() == []
    later(10 * DAY)
    tell_of_days()
    tell_of_days()
    (letter,) = letters()
    assert letter.subject == "[Shop] banner should wake"
    assert "Planned: Go on." in letter.body
    assert not stale(timezone.now() + 400 * DAY).exists()


def test_waking_brings_back_what_stood_but_for_what_was_changed_meanwhile(asleep: Cast) -> None:
    asleep.propose(OFF, environment="development")
    workflow.change(
        asleep.actor("author"),
        asleep.project,
        [{"subject": flag().ledger_subject, "after": {**definition_document(flag()), "team": "Night"}}],
        title="Team",
    )
    assert hibernation.waking_of(flag()).stays == (
        "It was changed in development while it hibernated; that stays as it is.",
    )
    asleep.approve(hibernation.wake(asleep.actor("author"), flag(), rationale="Now."))
    standing = FlagConfiguration.objects.order_by("environment__key").values_list("document", flat=True)
    assert list(standing) == [OFF, {**split(25), "targets": {"on": ["u1"]}}]
    assert (flag().hibernation, flag().team) == ({}, "Night")
    with pytest.raises(StateError, match="does not hibernate"):
        hibernation.wake(asleep.actor("author"), flag())


@pytest.mark.parametrize(
    ("variant", "days", "said"),
    [("blue", 9, "is no variant"), ("off", -1, "is in the past")],
)
def test_what_cannot_be_pinned_is_refused(cast: Cast, variant: str, days: int, said: str) -> None:
    cast.flag(owner=cast.users["author"].pseudonym)
    moment = timezone.now() + days * DAY
    with pytest.raises(InvalidError, match=said):
        hibernation.hibernate(cast.actor("author"), flag(), variant, moment)
    with pytest.raises(StateError, match="on nowhere"):
        hibernation.hibernate(cast.actor("author"), flag(), "on", timezone.now() + DAY)


def test_an_archived_flag_is_served_no_more_and_changed_no_more_until_it_is_restored(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    assert b"banner" in body(cast.production)
    made = archive.archive(cast.actor("author"), flag(), rationale="Done.")
    assert made.state == ChangeRequest.State.IN_REVIEW, "production serves something else without it"
    cast.approve(made)
    assert b"banner" not in body(cast.production)
    with pytest.raises(InvalidError, match="is archived; restore it first"):
        cast.propose(ON)
    with pytest.raises(StateError, match="archived already"):
        archive.archive(cast.actor("author"), flag())
    cast.approve(archive.unarchive(cast.actor("author"), flag(), rationale="Not quite."))
    assert b"banner" in body(cast.production)


def test_everything_that_keeps_a_flag_is_named(cast: Cast) -> None:
    cast.flag()
    cast.flag("checkout")
    cast.approve(cast.propose(ON))
    cast.approve(
        cast.propose({**ON, "prerequisites": [{"flag": "banner", "variants": ["on"]}]}, key="checkout")
    )
    waiting = cast.propose(OFF)
    cast.propose(ON, environment="development")
    rollouts.propose_plan(
        cast.actor("author"),
        flag(),
        cast.development,
        [{"weights": [["on", 1], ["off", 9]], "hold": 60}, {"weights": [["on", 1], ["off", 0]], "hold": 0}],
        title="Roll",
    )
    said = archive.why_not(flag())
    assert said == [
        "It is on in Development; turn it off there first.",
        "It is on in Production; turn it off there first.",
        "checkout in Production needs it; take that prerequisite away first.",
        f"{waiting.change_id} is open and about it; apply or close that first.",
        f"CR-{waiting.number + 2} is open and about it; apply or close that first.",
        "A rollout plan of it has not ended; abort that first.",
    ]
    with pytest.raises(InvalidError, match=r"cannot be archived\. It is on in Development"):
        archive.archive(cast.actor("author"), flag(), rationale="Done.")


def test_a_request_for_a_new_flag_does_not_stand_in_the_way_of_its_own_way_back(cast: Cast) -> None:
    operations = [
        {"subject": "project/shop/flag/banner", "after": BANNER},
        {"subject": cast.subject(), "after": ON},
    ]
    options: dict[str, Any] = {"title": "New", "rationale": "planned", "confirm_within": 600}
    request = workflow.change(cast.actor("author"), cast.project, operations, **options)
    request = workflow.revise(
        cast.actor("author"), request, operations, scheduled_at=timezone.now(), **options
    )
    assert {each.check for each in workflow.check_request(request) if each.blocks} == {"policy"}
    assert cast.approve(request).state == ChangeRequest.State.APPLIED


def test_what_is_expected_of_a_flag_ends_when_it_is_archived(cast: Cast) -> None:
    cast.flag()
    cast.propose(OFF, environment="development")
    expected = {
        "sentence": "Nobody",
        "environment": "development",
        "context": {"targetingKey": "u1"},
        "variant": "off",
    }
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": "project/shop/expectations/banner", "after": {"expectations": [expected]}}],
        title="Expected",
    )
    assert archive.archive(cast.actor("author"), flag()).state == ChangeRequest.State.APPLIED
    assert archive.unarchive(cast.actor("author"), flag()).state == ChangeRequest.State.APPLIED
    assert archive.expectations_of(flag()) == []


def test_turning_it_off_and_archiving_it_can_be_one_request(cast: Cast) -> None:
    cast.flag()
    cast.propose(ON, environment="development")
    made = workflow.change(
        cast.actor("author"),
        cast.project,
        [
            {"subject": cast.subject(environment="development"), "after": OFF},
            {"subject": flag().ledger_subject, "after": {**definition_document(flag()), "archived": True}},
        ],
        title="Away",
    )
    assert made.state == ChangeRequest.State.APPLIED
    cast.flag("checkout")
    with pytest.raises(InvalidError, match="banner"):
        cast.propose(
            {**ON, "prerequisites": [{"flag": "banner", "variants": ["on"]}]},
            key="checkout",
            environment="development",
        )
