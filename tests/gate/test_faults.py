"""What goes wrong around the gate: a worker killed in the middle of each task, a week of downtime, odd clocks."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from approvals import rollouts, workflow
from approvals.freezes import save_freeze
from approvals.models import ChangeRequest, Emergency
from approvals.tasks import carry_out_due, escalate_overdue_reviews, expire_flags
from audit.checkpoints import sign_current
from audit.models import Event
from distribution.publish import due, publish_due
from flags.models import Flag, FlagConfiguration, RolloutPlan
from flags.subjects import Subject
from tests.cast import BANNER, OFF, ON, Cast, split

Clock = Callable[[timedelta], datetime]
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STAGES = [{"weights": [["on", on], ["off", 100 - on]], "hold": 3_600} for on in (10, 50, 100)]
# Statements between two crashes: all of them on SQLite would take as long as the rest of the suite.
STRIDE = {"sqlite": 9, "postgresql": 31}


def schedule(cast: Cast) -> None:
    cast.approve(cast.propose(split(25), scheduled_at=timezone.now() + HOUR))


def leave_unconfirmed(cast: Cast) -> None:
    cast.approve(cast.propose(split(25), confirm_within=600))


def end_as_planned(cast: Cast) -> None:
    cast.approve(cast.propose(split(25), ends_at=timezone.now() + HOUR))


def roll_out(cast: Cast) -> None:
    flag = Flag.objects.select_related("project").get(key="banner")
    cast.approve(
        rollouts.propose_plan(
            cast.actor("author"), flag, cast.production, STAGES, title="Roll out", rationale="planned"
        )
    )


def expire(cast: Cast) -> None:
    moment = f"{timezone.now().astimezone(UTC) + HOUR:%Y-%m-%dT%H:%M:%S.%f}Z"
    members = {name: value for name, value in BANNER.items() if name != "permanent_reason"}
    members |= {"temporary": True, "expires_at": moment, "on_expiry": "off"}
    operations = [
        {"subject": "project/shop/flag/banner", "after": members},
        {"subject": cast.subject(), "after": split(25)},
    ]
    cast.approve(
        workflow.propose(
            cast.actor("author"),
            cast.project,
            operations,
            title="For an hour",
            rationale="planned",
            scheduled_at=timezone.now(),
        )
    )


def owe_a_review(cast: Cast) -> None:
    cast.approve(cast.propose(ON))
    workflow.kill(cast.actor("on_call"), Subject.parse(cast.subject()), cast.project)


def in_a_child_killed_before(statement: int, task: Callable[[], None]) -> bool:
    """Run a task in a process that dies before its n-th statement; whether it did die."""
    connections.close_all()
    if hasattr(connection, "close_pool"):
        connection.close_pool()  # no connection, and no thread that minds one, is shared with the child
    child = os.fork()
    if child == 0:
        left = [statement]

        def count(execute: Any, *rest: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*rest)

        code = 1
        try:
            with connection.execute_wrapper(count):
                task()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def what_stands() -> tuple[Any, ...]:
    """What people would see of it: document, requests, plans, debts that were told, and the types of events."""
    kinds = Event.objects.order_by("type").values_list("type", flat=True)
    return (
        FlagConfiguration.objects.get(environment__key="production").document,
        list(ChangeRequest.objects.order_by("pk").values_list("state", "problem")),
        list(RolloutPlan.objects.values_list("state", "done")),
        [each.escalated_at is not None for each in Emergency.objects.all()],
        [kind for kind in kinds if not kind.startswith("audit.")],
    )


@pytest.mark.parametrize(
    ("prepare", "task", "serves"),
    [
        (schedule, carry_out_due, split(25)),
        (leave_unconfirmed, carry_out_due, OFF),
        (end_as_planned, carry_out_due, OFF),
        (roll_out, carry_out_due, {**split(50, seed="banner")}),
        (expire, expire_flags, {**split(25), "enabled": False}),
        (owe_a_review, escalate_overdue_reviews, {**ON, "killed": True}),
    ],
    ids=["schedule", "unconfirmed", "end", "stage", "expiry", "overdue"],
)
def test_a_worker_killed_in_the_middle_of_a_task_leaves_all_or_nothing_and_the_next_one_all(
    committed_cast: Cast, later: Clock, prepare: Callable[[Cast], None], task: Any, serves: Any
) -> None:
    cast = committed_cast
    cast.flag()
    cast.approve(cast.propose(OFF))
    prepare(cast)
    later(25 * HOUR if task is escalate_overdue_reviews else 61 * MINUTE)
    before = what_stands()
    statement, seen = 1, []
    while in_a_child_killed_before(statement, task):
        seen.append(what_stands())
        statement += STRIDE[connection.vendor]
        if seen[-1] != before:
            break  # done by the one that was killed: it died after its transaction
    assert seen, "there were moments to be killed at"
    assert all(each == before for each in seen[:-1])
    task()
    task()
    after = what_stands()
    assert after[0] == serves
    assert seen[-1] in (before, after), "half of it is nothing that anybody sees"
    sign_current()  # refuses a head that is not the tree of its events


def test_after_a_week_of_downtime_all_that_was_missed_is_done_once_and_said(cast: Cast, later: Clock) -> None:
    keys = ("banner", "unconfirmed", "ending", "rolling", "frozen")
    for key in keys:
        cast.flag(key)
        cast.approve(cast.propose(OFF, key=key))
    scheduled = cast.approve(cast.propose(split(25), scheduled_at=timezone.now() + DAY))
    cast.approve(cast.propose(split(25), key="unconfirmed", confirm_within=600))
    cast.approve(cast.propose(split(25), key="ending", ends_at=timezone.now() + DAY))
    flag = Flag.objects.get(key="rolling")
    plan = rollouts.propose_plan(
        cast.actor("author"), flag, cast.production, STAGES, title="Roll out", rationale="planned"
    )
    cast.approve(plan)
    workflow.kill(cast.actor("on_call"), Subject.parse(cast.subject("frozen")), cast.project)

    later(7 * DAY)
    for _ in range(4):  # a stage each time, and nothing else twice
        carry_out_due()
        escalate_overdue_reviews()
        later(HOUR)
    stands = {row.flag.key: row.document for row in FlagConfiguration.objects.all()}
    assert stands["banner"] == split(25)
    assert stands["unconfirmed"] == stands["ending"] == OFF
    assert stands["rolling"]["default"]["split"]["weights"] == [["on", 100], ["off", 0]]
    said = Event.objects.filter(type="approvals.v1.change_request.applied", change_id=scheduled.change_id)
    assert said.count() == 1
    assert Event.objects.filter(type="approvals.v1.change_request.reverted").count() == 2
    assert Event.objects.filter(type="approvals.v1.emergency.overdue").count() == 1
    publish_due()
    assert not due().exists()


def test_a_clock_that_jumps_ahead_and_back_does_nothing_twice_and_loses_nothing(
    cast: Cast, later: Clock
) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    request = cast.approve(cast.propose(split(25), scheduled_at=timezone.now() + HOUR, confirm_within=600))
    later(2 * HOUR)  # as a clock that is wrong
    carry_out_due()
    later(-2 * HOUR)
    carry_out_due()
    request.refresh_from_db()
    assert (request.state, FlagConfiguration.objects.get().version) == (ChangeRequest.State.APPLIED, 2)
    with pytest.raises(workflow.StateError, match="has been applied already"):
        workflow.apply(cast.actor("author"), request)
    # It goes back ten minutes after the time at which it was applied, by the clock that applied it.
    later(2 * HOUR + 9 * MINUTE)
    carry_out_due()
    assert FlagConfiguration.objects.get().document == split(25)
    later(2 * MINUTE)
    carry_out_due()
    assert FlagConfiguration.objects.get().document == OFF
    times = list(Event.objects.order_by("log_id", "index").values_list("time", flat=True))
    assert times == sorted(times), "the ledger's time never goes back"


def test_overlapping_freezes_say_each_for_itself_and_offer_the_slot_behind_all(
    cast: Cast, later: Clock
) -> None:
    cast.flag()
    now = timezone.now()
    for key, hours in (("sale", 4), ("audit", 6)):
        members = {"reason": f"The {key}", "starts_at": now - HOUR, "ends_at": now + hours * HOUR}
        save_freeze(cast.actor("administrator"), cast.project, key, members)
    request = cast.approve(cast.propose())
    found = [each for each in workflow.check_request(request) if each.check == "freeze"]
    assert [each.text.rpartition(": ")[2] for each in found] == ["The sale (sale).", "The audit (audit)."]
    behind = (now + 6 * HOUR).replace(microsecond=0)
    assert {each.open_slot for each in found} == {behind}
    assert "The next open slot is" in request.problem
    later(5 * HOUR)
    with pytest.raises(workflow.BlockedError, match="The audit") as caught:
        workflow.apply(cast.actor("author"), request)
    assert "The sale" not in str(caught.value)
    later(HOUR + MINUTE)
    assert workflow.apply(cast.actor("author"), request).state == ChangeRequest.State.APPLIED
