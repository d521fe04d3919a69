"""Two verbs at the very same thing: one of them happens, or both one after the other, and nothing by halves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from access import grants
from access.models import Membership
from access.permissions import ForbiddenError
from access.roles import Role
from approvals import rollouts, tasks, workflow
from approvals.freezes import lift_freeze, save_freeze
from approvals.models import CarriedOut, ChangeRequest, Emergency, FreezeWindow
from approvals.workflow import GateError
from audit.checkpoints import sign_current
from audit.models import Event
from flags.models import Environment, Flag, FlagConfiguration, RolloutPlan
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split
from tests.gate.oracle import Oracle

# Each race is run with the second so many milliseconds behind the first: none of the ways it goes may be wrong.
BEHIND = (-30, 0, 30) if connection.vendor == "postgresql" else (15,)
Clock = Callable[[timedelta], datetime]
Verb = Callable[[], Any]


@pytest.fixture(autouse=True)
def unexpected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What our tasks would log and go on after."""
    found: list[str] = []
    monkeypatch.setattr(tasks.logger, "exception", lambda text, *what: found.append(text % what))
    return found


@pytest.fixture
def shop(committed_cast: Cast) -> Cast:
    """With a flag that is off in production."""
    committed_cast.flag()
    committed_cast.approve(committed_cast.propose(OFF))
    return committed_cast


def race(behind: int, first: Verb, second: Verb) -> list[Any]:
    """Run both at once, each over a connection of its own; what each returned, or the gate's refusal."""
    barrier, results = threading.Barrier(2), [None, None]

    def run(number: int, verb: Verb, wait: float) -> None:
        try:
            barrier.wait(timeout=30)
            time.sleep(max(0.0, wait))
            results[number] = verb() or True
        except Exception as problem:  # noqa: BLE001  (looked at by the thread that waits)
            results[number] = problem
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=run, args=(0, first, -behind / 1_000)),
        threading.Thread(target=run, args=(1, second, behind / 1_000)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive(), "they lock each other out"
    raised = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, GateError | ForbiddenError) for each in raised), raised
    is_as_recorded()
    return results


def is_as_recorded() -> None:
    """The rules, read a second time, allow what the ledger tells, and rows and history tell the same."""
    oracle = Oracle()
    oracle.read(list(Event.objects.order_by("index").values_list("line", flat=True)))
    for row in FlagConfiguration.objects.select_related("flag__project", "environment__project"):
        assert row.document == oracle.standing[row.ledger_subject]
        assert row.version == oracle.written[row.ledger_subject] == row.history.count()
    for request in ChangeRequest.objects.all():
        assert (request.state == "applied") == (oracle.proposals[request.change_id].applied is not None)
    assert {str(each.event_id) for each in Emergency.objects.all()} == set(oracle.debts)
    sign_current()  # refuses a head that is not the tree of its events


def happened(results: list[Any]) -> list[bool]:
    return [not isinstance(each, Exception) for each in results]


def served() -> Any:
    return FlagConfiguration.objects.get(flag__key="banner", environment__key="production").document


def approved(cast: Cast, after: Any, **options: Any) -> ChangeRequest:
    """Approved, and not yet due."""
    request = cast.approve(cast.propose(after, **{"scheduled_at": None, **options}))
    assert request.state == ChangeRequest.State.APPROVED
    return request


def running_plan(cast: Cast, second: dict[str, Any]) -> RolloutPlan:
    """With one stage done and two to go."""
    flag = Flag.objects.select_related("project").get(key="banner")
    where = Environment.objects.select_related("project").get(pk=cast.production.pk)
    stages = [
        {"weights": [["on", 5], ["off", 95]], "hold": 60},
        {"weights": [["on", 25], ["off", 75]], "hold": 60, **second},
        {"weights": [["on", 50], ["off", 50]], "hold": 60},
    ]
    request = rollouts.propose_plan(
        cast.actor("author"), flag, where, stages, title="Slowly", rationale="planned"
    )
    cast.approve(request)
    return RolloutPlan.objects.get(number=request.number)


def test_two_schedulers_do_what_is_due_once(shop: Cast, later: Clock, unexpected: list[str]) -> None:
    shop.flag("colour")
    shop.approve(shop.propose(OFF, key="colour"))
    for number, behind in enumerate(BEHIND):
        workflow.schedule(
            shop.actor("author"),
            approved(shop, split(10 + number)),
            later(timedelta()) + timedelta(minutes=1),
        )
        shop.approve(shop.propose(ON, key="colour", confirm_within=60))
        later(timedelta(minutes=2))
        before = Event.objects.count()
        race(behind, tasks.carry_out_due, tasks.carry_out_due)
        kinds = Event.objects.filter(index__gte=before).values_list("type", flat=True)
        assert sorted(kinds) == [
            "approvals.v1.change_request.applied",
            "approvals.v1.change_request.reverted",
            *["flags.v1.configuration.updated"] * 2,
        ]
    assert unexpected == []


def test_two_schedulers_carry_out_a_stage_once(shop: Cast, later: Clock, unexpected: list[str]) -> None:
    plan = running_plan(shop, {})
    for behind, stage in zip((0, 15), (2, 3), strict=True):
        later(timedelta(minutes=2))
        race(behind, tasks.carry_out_due, tasks.carry_out_due)
        plan.refresh_from_db()
        assert plan.done == stage
        assert CarriedOut.objects.filter(request=plan.change_request).count() == stage
    assert unexpected == []


def test_a_kill_during_an_apply_is_what_stands_in_the_end(shop: Cast) -> None:
    subject = Subject.parse(shop.subject())
    for number, behind in enumerate(BEHIND):
        request = approved(shop, split(10 + number))
        results = race(
            behind,
            lambda request=request: workflow.apply(shop.actor("author"), request),
            lambda: workflow.kill(shop.actor("on_call"), subject, shop.project),
        )
        is_applied, is_killed = happened(results)
        assert is_killed
        assert served()["killed"]
        assert is_applied or "at version" in str(results[0])
        shop.approve(shop.propose(OFF, title="It may serve again"))


def test_an_edit_during_an_approval_is_never_applied_unseen(shop: Cast) -> None:
    def edit(request: ChangeRequest) -> Any:
        operation = {"subject": shop.subject(), "after": split(90)}
        return workflow.revise(
            shop.actor("author"),
            request,
            [operation],
            title="More",
            rationale="planned",
            scheduled_at=timezone.now(),
        )

    for number, behind in enumerate(BEHIND):
        request = shop.propose(split(10 + number))
        is_approved, is_edited = happened(
            race(behind, lambda request=request: shop.approve(request), lambda request=request: edit(request))
        )
        assert served() != split(90), "nobody approved that"
        request.refresh_from_db()
        assert is_edited == (request.state == ChangeRequest.State.IN_REVIEW)
        assert is_edited or (is_approved and served() == split(10 + number))
        if is_edited:
            workflow.withdraw(shop.actor("author"), request)


def test_what_is_confirmed_in_time_stays_and_what_is_not_goes_back(shop: Cast, later: Clock) -> None:
    for behind in BEHIND:
        request = shop.approve(shop.propose(ON, confirm_within=60))
        later(timedelta(minutes=2))
        is_confirmed, _ = happened(
            race(
                behind,
                lambda request=request: workflow.confirm(shop.actor("author"), request),
                tasks.carry_out_due,
            )
        )
        assert served() == (ON if is_confirmed else OFF)
        if is_confirmed:
            shop.approve(shop.propose(OFF))


@pytest.mark.parametrize(
    ("second_stage", "verb", "people"),
    [
        ({"go_ahead": True}, lambda who, plan: rollouts.give_go_ahead(who, plan), "reviewers"),
        ({}, lambda who, plan: rollouts.jump(who, plan, 3), "anybody"),
    ],
    ids=["give a go-ahead", "jump"],
)
def test_of_two_who_move_a_plan_on_one_does(shop: Cast, second_stage: Any, verb: Any, people: str) -> None:
    plan = running_plan(shop, second_stage)
    names = ("reviewer", "second_reviewer" if people == "reviewers" else "author")
    first, second = (lambda name=name: verb(shop.actor(name), plan) for name in names)
    assert sum(happened(race(0, first, second))) == 1
    plan.refresh_from_db()
    assert (plan.state, plan.done) == (("running", 1) if people == "reviewers" else ("done", 3))


def strict(cast: Cast) -> tuple[Verb, Verb]:
    """A policy of two approvals is applied; and taken away again."""
    request = workflow.change(
        cast.actor("administrator"),
        cast.project,
        [{"subject": "project/shop/policy/strict", "after": {"name": "Strict", "approvals": 2}}],
        title="Stricter",
        rationale="agreed",
        scheduled_at=None,
    )
    cast.approve(request)
    return (
        lambda: workflow.apply(cast.actor("administrator"), request),
        lambda: cast.govern("project/shop/policy/strict", None),
    )


def frozen(cast: Cast) -> tuple[Verb, Verb]:
    """Production is frozen; and open again."""
    now = timezone.now()
    members = {"reason": "Sale", "starts_at": now - timedelta(hours=1), "ends_at": now + timedelta(hours=1)}
    return (
        lambda: save_freeze(cast.actor("administrator"), cast.project, "sale", members),
        lambda: lift_freeze(cast.actor("root"), FreezeWindow.objects.get()),
    )


def without_reviewer(cast: Cast) -> tuple[Verb, Verb]:
    """The reviewer who approved loses the role; and gets it again."""
    administrator, member = cast.actor("administrator"), cast.users["reviewer"].pseudonym
    role = Membership.objects.get(project=cast.project, member=member)
    return (
        lambda: grants.revoke(administrator, role),
        lambda: grants.grant(administrator, cast.project, member, Role.REVIEWER),
    )


@pytest.mark.parametrize("governing", [strict, frozen, without_reviewer])
def test_what_governs_an_apply_holds_before_it_or_after_it(
    shop: Cast, governing: Callable[[Cast], tuple[Verb, Verb]]
) -> None:
    """The ledger has the one before the other, and what the rules ask for there was kept."""
    for number, behind in enumerate(BEHIND):
        request = approved(shop, split(10 + number))
        govern, undo = governing(shop)
        is_governed, is_applied = happened(
            race(behind, govern, lambda request=request: workflow.apply(shop.actor("author"), request))
        )
        assert is_governed
        undo()
        if not is_applied:
            workflow.withdraw(shop.actor("author"), request)
