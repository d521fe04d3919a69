"""Freezes: when they hold, what they stop, what they never stop, and who may loosen one that holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from access import grants, machines, teams
from access.permissions import ForbiddenError, service_actor
from access.roles import Role
from approvals import rollouts, workflow
from approvals.freezes import lift_freeze, next_open_slot, save_freeze, windows
from approvals.freezes.wording import in_words
from approvals.models import ChangeRequest, FreezeWindow
from approvals.tasks import carry_out_due
from approvals.workflow import BlockedError, StateError
from audit.history import OutdatedBaseError
from audit.models import Event
from flags.models import Flag, FlagConfiguration, RolloutPlan
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast

Clock = Callable[[timedelta], datetime]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
State = ChangeRequest.State


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def freeze(cast: Cast, key: str = "sale", by: str = "administrator", **members: Any) -> FreezeWindow:
    """A freeze that holds from an hour ago for a day, unless said otherwise."""
    now = timezone.now()
    if "rrule" not in members:
        members.setdefault("ends_at", now + DAY)
    members.setdefault("starts_at", now - HOUR)
    members.setdefault("reason", "The sale is on")
    return save_freeze(cast.actor(by), cast.project, key, members)


def recurring(rrule: str, start: str, hours: float, zone: str = "Europe/Berlin") -> FreezeWindow:
    return FreezeWindow(
        key=rrule, rrule=rrule, starts_at=at(start), zone=zone, duration=int(hours * 3_600), exempt={}
    )


def times(row: FreezeWindow, start: str, end: str) -> list[tuple[str, str]]:
    return [(f"{w.start:%m-%d %H:%M}", f"{w.end:%m-%d %H:%M}") for w in windows(row, at(start), at(end))]


@pytest.mark.parametrize(
    ("rule", "start", "hours", "words"),
    [
        ("FREQ=WEEKLY;BYDAY=FR", "2026-12-04T15:00", 64, "every Friday 16:00 to Monday 08:00"),
        ("FREQ=WEEKLY", "2026-12-04T15:00", 2, "every Friday 16:00 to 18:00"),
        (
            "FREQ=WEEKLY;BYDAY=MO,TU,WE",
            "2026-12-07T19:00",
            10,
            "every Monday, Tuesday and Wednesday 20:00 to 06:00 the next day",
        ),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=FR", "2026-12-04T15:00", 1, "every 2 weeks on Friday 16:00 to 17:00"),
        ("FREQ=DAILY;UNTIL=20270104", "2026-12-04T15:00", 1, "every day 16:00 to 17:00, until 4 Jan 2027"),
        ("FREQ=DAILY;COUNT=3", "2026-12-04T15:00", 1, "every day 16:00 to 17:00, 3 times from 4 Dec 2026 on"),
        (
            "FREQ=MONTHLY;BYMONTHDAY=-1",
            "2026-12-31T15:00",
            50,
            "every month on the last day 16:00 for 2 d 2 h",
        ),
        ("FREQ=MONTHLY", "2026-12-04T15:00", 1, "every month on day 4 16:00 to 17:00"),
        (
            "FREQ=MONTHLY;BYDAY=-1FR;BYMONTH=3,6",
            "2026-12-04T15:00",
            1,
            "every month on the last Friday in March and June 16:00 to 17:00",
        ),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "2026-12-04T15:00",
            1,
            "every month on the last of Monday, Tuesday, Wednesday, Thursday and Friday 16:00 to 17:00",
        ),
        ("FREQ=YEARLY", "2026-12-24T11:00", 336, "every year on day 24 in December 12:00 for 14 d"),
    ],
)
def test_a_rule_is_told_in_words(rule: str, start: str, hours: float, words: str) -> None:
    assert in_words(recurring(rule, start, hours)) == f"{words}, Europe/Berlin"


@pytest.mark.parametrize(
    ("rule", "start", "hours", "expected"),
    [
        # 18:00 on Friday to 06:00 on Monday, on the weekend that has an hour too few or one too many.
        ("FREQ=WEEKLY;BYDAY=FR", "2026-03-20T17:00", 60, ("03-27 17:00", "03-30 04:00")),
        ("FREQ=WEEKLY;BYDAY=FR", "2026-10-16T16:00", 60, ("10-23 16:00", "10-26 05:00")),
        # 02:30, which the night of 2026-03-29 does not have: what would have been 02:30.
        ("FREQ=DAILY", "2026-03-20T01:30", 1, ("03-29 01:30", "03-29 02:30")),
        # 02:30, which that of 2026-10-25 has twice: the first.
        ("FREQ=DAILY", "2026-10-16T00:30", 1, ("10-25 00:30", "10-25 01:30")),
        # A day of the calendar, which has 23 or 25 hours then.
        ("FREQ=DAILY;INTERVAL=9", "2026-03-19T23:00", 24, ("03-28 23:00", "03-29 22:00")),
        ("FREQ=DAILY;INTERVAL=9", "2026-10-15T22:00", 24, ("10-24 22:00", "10-25 23:00")),
    ],
)
def test_what_recurs_is_the_wall_clock_also_on_the_nights_when_clocks_change(
    rule: str, start: str, hours: int, expected: tuple[str, str]
) -> None:
    night = expected[0].replace(" ", "T")
    day = f"2026-{night[:5]}T00:00"
    found = times(recurring(rule, start, hours), day, f"2026-{expected[1].replace(' ', 'T')}")
    assert expected in found


def test_rules_end_by_count_and_until_and_know_the_last_working_day() -> None:
    whole = ("2026-01-01T00:00", "2028-01-01T00:00")
    assert len(times(recurring("FREQ=WEEKLY;COUNT=3", "2026-01-02T12:00", 1), *whole)) == 3
    # UNTIL is a day of the zone, all of it.
    until = recurring("FREQ=DAILY;UNTIL=20260104", "2026-01-02T12:00", 1)
    assert [start for start, _ in times(until, *whole)] == ["01-02 12:00", "01-03 12:00", "01-04 12:00"]
    last = recurring("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-01-30T12:00", 1, "UTC")
    assert [start for start, _ in times(last, "2026-01-01T00:00", "2026-04-01T00:00")] == [
        "01-30 12:00",
        "02-27 12:00",
        "03-31 12:00",
    ]


def test_the_next_open_slot_lies_behind_all_that_overlap() -> None:
    weekend = recurring("FREQ=WEEKLY;BYDAY=FR", "2026-12-04T17:00", 60)
    holidays = FreezeWindow(starts_at=at("2026-12-21T10:00"), ends_at=at("2027-01-01T20:00"), exempt={})
    stock = FreezeWindow(starts_at=at("2026-12-20T22:00"), ends_at=at("2026-12-21T11:00"), exempt={})
    all_three = [weekend, holidays, stock]
    # Friday's weekend, the stock-taking, the holidays, and the weekend in which these end.
    assert next_open_slot(all_three, at("2026-12-18T20:00")) == at("2027-01-04T05:00")
    assert next_open_slot([weekend], at("2026-12-18T20:00")) == at("2026-12-21T05:00")
    assert next_open_slot(all_three, at("2027-01-04T05:00")) == at("2027-01-04T05:00")
    assert (
        next_open_slot([*all_three, recurring("FREQ=DAILY", "2026-12-01T00:00", 24)], at("2026-12-18T20:00"))
        is None
    )


@pytest.mark.parametrize(
    ("members", "member", "said"),
    [
        ({"ends_at": at("2020-01-01T00:00")}, "ends_at", "is not after it starts"),
        ({"ends_at": None}, "ends_at", "say when it ends, or by which rule"),
        ({"zone": "Mars/Olympus"}, "zone", "no time zone; use a name such as Europe/Berlin"),
        ({"environments": ["staging"]}, "environments", "there are: development, production"),
        ({"regions": ["mars"]}, "regions", "mars is no region there; there are: eu, us"),
        ({"exempt": {"members": ["user:nobody"]}}, "exempt", "name people and teams by their id"),
        ({"exempt": {"roles": ["boss"]}}, "exempt", "boss is no role"),
        ({"reason": ""}, "reason", "blank"),
        ({"rrule": "FREQ=DAILY", "duration": None}, "duration", "how long it lasts each time"),
        ({"rrule": "FREQ=DAILY", "duration": 86_400}, "rrule", "leaves no open slot within a year"),
        ({"rrule": "FREQ=SECONDLY", "duration": 1}, "rrule", "a day is the shortest"),
        ({"rrule": "FREQ=DAILY;BYHOUR=3", "duration": 1}, "rrule", "has the part BYHOUR"),
        ({"rrule": "FREQ=WEEKLY;BYDAY=XX", "duration": 1}, "rrule", "write it like FREQ=WEEKLY;BYDAY=FR"),
        ({"rrule": "weekly", "duration": 1}, "rrule", "no NAME=VALUE"),
        (
            {"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "duration": 1},
            "rrule",
            "no date within five years",
        ),
        ({"rrule": "FREQ=DAILY;COUNT=3;UNTIL=20300101", "duration": 1}, "rrule", "UNTIL and COUNT"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_a_freeze_that_cannot_be_is_refused_by_member(
    cast: Cast, members: Any, member: str, said: str
) -> None:
    started = time.monotonic()
    with pytest.raises(ValidationError) as caught:
        freeze(cast, **members)
    assert time.monotonic() - started < 5  # also for a rule that never has a date
    assert said in " ".join(caught.value.message_dict[member])
    assert not FreezeWindow.objects.exists()


def test_while_it_holds_nothing_is_applied_and_what_is_approved_waits(cast: Cast, later: Clock) -> None:
    cast.flag()
    freeze(cast, environments=["production"])
    request = cast.approve(cast.propose())
    assert (request.state, request.scheduled_at) == (State.APPROVED, None)
    assert "Production is frozen until" in request.problem
    assert "The next open slot is" in request.problem
    assert not FlagConfiguration.objects.exists()
    with pytest.raises(BlockedError, match="The sale is on"):
        workflow.apply(cast.actor("author"), request)
    [finding] = workflow.check_request(request)
    assert (finding.check, finding.severity) == ("freeze", "block")
    assert finding.open_slot == FreezeWindow.objects.get().ends_at
    # The slot that is offered, taken: then it is applied by our task.
    request = workflow.schedule(cast.actor("author"), request, finding.open_slot)
    assert request.problem == ""
    assert not [each for each in workflow.check_request(request) if each.blocks]
    later(DAY + HOUR)
    carry_out_due()
    request.refresh_from_db()
    assert request.state == State.APPLIED


def test_a_change_that_is_scheduled_into_a_freeze_says_so_before_and_waits_then(
    cast: Cast, later: Clock
) -> None:
    cast.flag()
    request = cast.approve(cast.propose(scheduled_at=timezone.now() + 2 * DAY))
    freeze(cast, starts_at=timezone.now() + DAY, ends_at=timezone.now() + 3 * DAY)
    [finding] = workflow.check_request(request)
    assert (finding.check, finding.severity) == ("freeze", "warn")
    assert "when this is to be applied, Production is frozen" in finding.text
    later(2 * DAY)
    carry_out_due()
    carry_out_due()
    request.refresh_from_db()
    assert (request.state, request.scheduled_at) == (State.APPROVED, None)
    assert "is frozen until" in request.problem


def test_where_nobody_approves_a_change_waits_as_well_and_can_be_applied_once_it_is_lifted(
    cast: Cast,
) -> None:
    cast.flag()
    row = freeze(cast, environments=["development"])
    request = cast.propose(environment="development")
    assert request.state == State.APPROVED
    assert "is frozen until" in request.problem
    lift_freeze(cast.actor("administrator"), row)  # of no protected environment: whoever made it may
    assert workflow.apply(cast.actor("author"), request).state == State.APPLIED


def test_a_kill_and_the_way_back_of_a_rollout_never_wait(cast: Cast, later: Clock) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    stages = [{"weights": [["on", on], ["off", 100 - on]], "hold": 3_600} for on in (10, 50)]
    flag = Flag.objects.get(key="banner")
    request = rollouts.propose_plan(
        cast.actor("author"), flag, cast.production, stages, title="Roll out", rationale="why"
    )
    cast.approve(request)
    freeze(cast)
    later(HOUR)
    carry_out_due()
    plan = RolloutPlan.objects.get()
    assert (plan.state, plan.done) == ("paused", 1)
    assert "is frozen until" in plan.problem
    rollouts.abort(cast.actor("on_call"), plan)
    assert FlagConfiguration.objects.get().document == OFF
    workflow.kill(
        cast.actor("on_call"), Subject("configuration", "shop", "banner", "production"), cast.project
    )
    assert FlagConfiguration.objects.get().document["killed"] is True


@pytest.mark.parametrize(
    ("members", "stopped"),
    [
        ({}, True),
        ({"environments": ["development"]}, False),
        ({"tags": ["checkout"]}, True),
        ({"tags": ["search"]}, False),
        ({"regions": ["us"]}, True),
        ({"exempt": {"tags": ["legal"]}}, False),
        ({"exempt": {"roles": ["editor"]}}, False),
        ({"exempt": {"roles": ["on-call"]}}, True),
    ],
    ids=str,
)
def test_what_it_covers_and_whom_it_does_not_stop(cast: Cast, members: Any, stopped: bool) -> None:
    cast.flag(tags=["checkout", "legal"])
    request = cast.approve(cast.propose(scheduled_at=None))
    freeze(cast, **members)
    if stopped:
        with pytest.raises(BlockedError):
            workflow.apply(cast.actor("author"), request)
    else:
        workflow.apply(cast.actor("author"), request)


def test_people_and_teams_are_exempt_when_they_apply_themselves_and_our_tasks_never_are(cast: Cast) -> None:
    cast.flag()
    team = teams.save_team(
        cast.actor("root"), "night", name="Night", members=[cast.users["on_call"].pseudonym]
    )
    freeze(cast, exempt={"members": [team.pseudonym]})
    request = cast.approve(cast.propose(scheduled_at=timezone.now()))
    carry_out_due()
    request.refresh_from_db()
    assert request.state == State.APPROVED
    assert not workflow.check_request(request, cast.actor("on_call"))
    assert workflow.apply(cast.actor("on_call"), request).state == State.APPLIED


def test_a_freeze_of_a_region_lets_a_switch_of_another_one_through(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose(ON))
    freeze(cast, regions=["us"])
    assert cast.approve(cast.propose({**ON, "regions": {"eu": False}})).state == State.APPLIED
    both = {**ON, "regions": {"eu": False, "us": False}}
    assert cast.approve(cast.propose(both)).state == State.APPROVED


@pytest.mark.parametrize("name", ["author", "reviewer", "on_call", "auditor", "viewer", "outsider"])
def test_only_who_holds_the_verb_plans_and_lifts_freezes(cast: Cast, name: str) -> None:
    row = freeze(cast)
    with pytest.raises(ForbiddenError):
        freeze(cast, "other", name)
    with pytest.raises(ForbiddenError):
        lift_freeze(cast.actor(name), row)


def test_who_made_a_freeze_does_not_loosen_it_alone_while_it_holds_or_soon_will(
    cast: Cast, later: Clock
) -> None:
    root = cast.actor("root")
    grants.grant(root, cast.project, cast.users["second_reviewer"].pseudonym, Role.RELEASE_MANAGER)
    start = timezone.now() + 3 * DAY
    shown = {"starts_at": start, "ends_at": start + 9 * DAY}
    row = freeze(cast, **shown)
    freeze(cast, **{**shown, "ends_at": start + 8 * DAY})  # long before, it is a plan like any other
    later(2 * DAY + HOUR)
    with pytest.raises(StateError, match="a person who did not make it"):
        lift_freeze(cast.actor("administrator"), row)
    for loosened in (
        {"ends_at": start + 7 * DAY},
        {"environments": ["development"]},
        {"exempt": {"roles": ["editor"]}},
        {"starts_at": start + DAY},
    ):
        with pytest.raises(StateError, match="To loosen it takes a person who did not make it"):
            freeze(cast, **{**shown, "ends_at": start + 8 * DAY, **loosened})
    freeze(cast, **{**shown, "ends_at": start + 9 * DAY, "reason": "Longer"})
    program = machines.create_service_account(root, "pipeline")
    grants.grant(root, cast.project, program.pseudonym, Role.ADMINISTRATOR)
    with pytest.raises(StateError):
        lift_freeze(service_actor(program), row)
    lift_freeze(cast.actor("second_reviewer"), row)
    assert not FreezeWindow.objects.exists()


def test_every_word_of_a_freeze_is_in_history_and_ledger(cast: Cast) -> None:
    freeze(cast, environments=["development"])
    freeze(cast, environments=["development"], reason="Longer", ends_at=timezone.now() + 2 * DAY)
    lift_freeze(cast.actor("administrator"), FreezeWindow.objects.get())
    events = Event.objects.filter(type__startswith="approvals.v1.freeze").order_by("index")
    assert [event.type.rpartition(".")[2] for event in events] == ["created", "updated", "lifted"]
    told = [json.loads(event.line)["data"] for event in events]
    assert [each["before"] for each in told[1:]] == [each["after"] for each in told[:-1]]
    assert (told[0]["before"], told[2]["after"]) == (None, None)
    assert told[1]["after"]["reason"] == "Longer"
    assert FreezeWindow.history.count() == 3


def test_a_change_that_somebody_else_made_meanwhile_is_not_overwritten(cast: Cast) -> None:
    row = freeze(cast)
    with pytest.raises(OutdatedBaseError):
        save_freeze(
            cast.actor("administrator"), cast.project, "sale", {"reason": "x"}, base={row.ledger_subject: 0}
        )
