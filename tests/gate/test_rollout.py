"""A rollout plan: approved once as a whole, carried out stage by stage, stopped by whoever has to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from access import grants
from access.models import Membership
from access.permissions import ForbiddenError, system_actor
from approvals import rollout_templates, rollouts, workflow
from approvals.again import propose_again
from approvals.models import CarriedOut, ChangeRequest
from approvals.tasks import carry_out_due
from approvals.workflow import InvalidError, StateError
from audit.ledger import timestamp
from audit.models import Event
from countersign.document import DocumentError
from flags.models import Flag, FlagConfiguration, RolloutPlan, RolloutTemplate
from flags.stages import read_window
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast

Clock = Callable[[timedelta], datetime]
HOUR = timedelta(hours=1)
STAGES = [{"weights": [["on", on], ["off", 100 - on]], "hold": 3_600} for on in (10, 50, 100)]


def configured(cast: Cast) -> Cast:
    cast.flag()
    cast.approve(cast.propose(OFF))
    return cast


@pytest.fixture
def shop(cast: Cast) -> Cast:
    """With a flag that is configured in production, off."""
    return configured(cast)


def propose(cast: Cast, stages: Any = STAGES, by: str = "author") -> ChangeRequest:
    return rollouts.propose_plan(
        cast.actor(by),
        Flag.objects.get(key="banner"),
        cast.production,
        stages,
        title="Roll out",
        rationale="why",
    )


def running(cast: Cast) -> RolloutPlan:
    """A plan whose first stage is carried out."""
    request = cast.approve(propose(cast))
    assert request.state == ChangeRequest.State.APPLIED
    return RolloutPlan.objects.get()


def share() -> Any:
    document = FlagConfiguration.objects.get().document
    return document["default"]["split"]["weights"][0][1] if "split" in document["default"] else document


def test_the_stages_are_carried_out_in_order_when_each_is_due(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    assert (share(), plan.state, plan.done) == (10, "running", 1)
    carry_out_due()
    assert share() == 10
    for on in (50, 100):
        later(HOUR)
        carry_out_due()
        carry_out_due()
        assert share() == on
    plan.refresh_from_db()
    assert (plan.state, plan.done, plan.next_at) == ("done", 3, None)
    later(10 * HOUR)
    carry_out_due()
    assert CarriedOut.objects.filter(request=plan.change_request).count() == 3


def test_until_it_is_approved_a_plan_does_nothing(shop: Cast, later: Clock) -> None:
    propose(shop)
    later(HOUR)
    carry_out_due()
    assert share() == OFF
    assert RolloutPlan.objects.get().state == "proposed"


def test_a_plan_that_is_rejected_or_withdrawn_is_over(shop: Cast) -> None:
    request = propose(shop)
    workflow.reject(shop.actor("reviewer"), request, digest=request.digest)
    assert RolloutPlan.objects.get().state == "aborted"
    workflow.withdraw(shop.actor("author"), propose(shop))
    assert set(RolloutPlan.objects.values_list("state", flat=True)) == {"aborted"}


def test_after_downtime_a_plan_catches_up_one_stage_at_a_time(shop: Cast, later: Clock) -> None:
    """Each stage is to be looked at for its hold time, also when it came late."""
    running(shop)
    later(timedelta(days=7))
    carry_out_due()
    assert share() == 50
    carry_out_due()
    assert share() == 50
    later(HOUR)
    carry_out_due()
    assert share() == 100


def test_a_paused_plan_waits_and_goes_on_when_resumed(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    rollouts.pause(shop.actor("on_call"), plan)
    with pytest.raises(StateError, match="paused"):
        rollouts.pause(shop.actor("on_call"), plan)
    later(5 * HOUR)
    carry_out_due()
    assert share() == 10
    rollouts.resume(shop.actor("author"), plan)
    with pytest.raises(StateError, match="running"):
        rollouts.resume(shop.actor("author"), plan)
    carry_out_due()
    assert share() == 50


def test_aborting_goes_back_to_what_stood_before(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    later(HOUR)
    carry_out_due()
    rollouts.abort(shop.actor("on_call"), plan)
    assert share() == OFF
    later(HOUR)
    carry_out_due()
    assert share() == OFF
    plan.refresh_from_db()
    assert plan.state == "aborted"
    with pytest.raises(StateError, match="aborted"):
        rollouts.abort(shop.actor("on_call"), plan)
    propose(shop)


def test_a_change_by_hand_in_between_pauses_the_plan_with_the_reason(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    shop.approve(shop.propose(ON))
    later(HOUR)
    carry_out_due()
    plan.refresh_from_db()
    assert plan.state == "paused"
    assert "Nothing was overwritten" in plan.problem
    assert share() == ON
    events = Event.objects.filter(subject=plan.ledger_subject).count()
    later(HOUR)
    carry_out_due()
    assert Event.objects.filter(subject=plan.ledger_subject).count() == events


def test_a_plan_that_met_a_change_by_hand_can_be_ended_and_leaves_that_change(shop: Cast) -> None:
    plan = running(shop)
    shop.approve(shop.propose(ON))
    rollouts.abort(shop.actor("author"), plan)
    plan.refresh_from_db()
    assert plan.state == "aborted"
    assert "not restored" in plan.problem
    assert share() == ON
    propose(shop)


def test_a_change_by_hand_before_it_is_applied_is_shown_as_a_conflict(shop: Cast) -> None:
    request = propose(shop)
    shop.approve(shop.propose({**OFF, "targets": {"on": ["u1"]}}))
    assert "conflict" in {each.check for each in workflow.check_request(request)}
    [found] = workflow.divergences(request)
    assert found.subject == shop.subject()
    with pytest.raises(StateError, match="withdraw it and propose another"):
        workflow.rebase(shop.actor("author"), request)


def test_what_lapsed_is_proposed_again_with_its_times(shop: Cast) -> None:
    window = {"zone": "UTC", "from": "09:00", "to": "17:00", "weekdays": ["Mon"]}
    plan = rollouts.propose_plan(
        shop.actor("author"),
        Flag.objects.get(),
        shop.production,
        STAGES,
        title="Roll",
        rationale="why",
        window=window,
    )
    workflow.withdraw(shop.actor("author"), plan)
    times = {"not_before": timezone.now() + HOUR, "ends_at": timezone.now() + 9 * HOUR, "confirm_within": 600}
    request = shop.propose(**times)
    ChangeRequest.objects.update(state=ChangeRequest.State.LAPSED)
    plan, request = (ChangeRequest.objects.get(pk=each.pk) for each in (plan, request))
    made = propose_again(shop.actor("author"), plan)
    assert made.plan.window == window
    anew = propose_again(shop.actor("author"), request)
    assert anew.ends_at == times["ends_at"]
    for name in ("not_before", "confirm_within"):
        assert anew.change[name] == request.change[name]


def test_a_kill_in_between_stays(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    workflow.kill(
        shop.actor("on_call"), Subject("configuration", "shop", "banner", "production"), shop.project
    )
    later(HOUR)
    carry_out_due()
    plan.refresh_from_db()
    assert plan.state == "paused"
    assert FlagConfiguration.objects.get().document["killed"] is True


def test_one_plan_at_a_time_for_a_flag_in_an_environment(shop: Cast) -> None:
    propose(shop)
    with pytest.raises(StateError, match="a rollout plan in production already"):
        propose(shop)
    assert ChangeRequest.objects.filter(title="Roll out").count() == 1


def test_a_flag_that_is_not_configured_has_nothing_to_return_to(cast: Cast) -> None:
    cast.flag()
    with pytest.raises(InvalidError, match="not configured") as caught:
        propose(cast)
    assert caught.value.member == "flag"


@pytest.mark.parametrize(
    ("stages", "member"),
    [
        ([], "stages"),
        (STAGES * 17, "stages"),
        ([7], "stages[0]"),
        ([{"weights": STAGES[0]["weights"]}], "stages[0]"),
        ([{**STAGES[0], "guard": "none"}], "stages[0]"),
        ([STAGES[0], {**STAGES[0], "hold": -1}], "stages[1].hold"),
        ([{**STAGES[0], "hold": True}], "stages[0].hold"),
        ([{**STAGES[0], "hold": 1.5}], "stages[0].hold"),
        ([{**STAGES[0], "hold": 10**9}], "stages[0].hold"),
        ([{**STAGES[0], "weights": "all"}], "stages[0].weights"),
        ([{**STAGES[0], "weights": [["on"]]}], "stages[0].weights"),
        ([{**STAGES[0], "weights": []}], "stages[0].weights"),
        ([{**STAGES[0], "weights": [["on", 0]]}], "stages[0].weights"),
        ([{**STAGES[0], "weights": [["on", -1]]}], "stages[0].weights"),
        ([{**STAGES[0], "weights": [["blue", 1]]}], "flags.banner.default.split.weights"),
        ([{**STAGES[0], "weights": [[["on"], 1]]}], "flags.banner.default.split.weights"),
        ([{**STAGES[0], "weights": [["on", float("nan")]]}], "stages[0].weights"),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_stages_that_make_no_sense_are_refused_by_member(shop: Cast, stages: Any, member: str) -> None:
    with pytest.raises(InvalidError) as caught:
        propose(shop, stages)
    assert caught.value.member.startswith(member), caught.value
    assert not RolloutPlan.objects.exists()


@pytest.mark.parametrize("name", ["viewer", "auditor", "outsider"])
def test_who_may_not_pause_does_not(shop: Cast, name: str) -> None:
    plan = running(shop)
    for verb in (rollouts.pause, rollouts.resume, rollouts.abort):
        with pytest.raises(ForbiddenError):
            verb(shop.actor(name), plan)


def test_of_two_tasks_at_once_one_carries_the_stage_out(committed_cast: Cast, later: Clock) -> None:
    plan = running(configured(committed_cast))
    later(HOUR)
    problems: list[BaseException] = []
    barrier = threading.Barrier(3)

    def run() -> None:
        try:
            barrier.wait()
            rollouts.advance(system_actor("scheduler"), plan)
        except BaseException as error:
            problems.append(error)
            raise
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plan.refresh_from_db()
    assert problems == []
    assert (share(), plan.state, plan.done) == (50, "running", 2)
    assert CarriedOut.objects.filter(request=plan.change_request).count() == 2


def test_a_plan_whose_reviewer_has_left_goes_back_all_the_same(shop: Cast) -> None:
    plan = running(shop)
    grants.revoke(
        shop.actor("administrator"), Membership.objects.get(member=shop.users["reviewer"].pseudonym)
    )
    rollouts.abort(shop.actor("on_call"), plan)
    plan.refresh_from_db()
    assert plan.state == "aborted"
    assert plan.problem == "aborted by hand"
    assert share() == OFF


# --- cohorts, dates, go-aheads, windows, jumps ----------------------------------------------------

STAFF: Any = {"cohort": {"segment": "staff"}, "variant": "on", "hold": 3_600}
TENANT: Any = {"cohort": {"attribute": "tenant", "values": ["acme"]}, "variant": "on", "hold": 3_600}


def with_staff(cast: Cast) -> None:
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": "project/shop/segment/staff", "after": {"included": ["ann"]}}],
        title="Staff",
        rationale="ours",
    )


def test_a_plan_begins_with_the_staff_goes_on_to_a_customer_and_ends_with_everyone(
    shop: Cast, later: Clock
) -> None:
    with_staff(shop)
    shop.approve(propose(shop, [STAFF, TENANT, *STAGES[-1:]]))
    document = FlagConfiguration.objects.get().document
    assert document["default"] == {"variant": "off"}, "everyone else gets what they got while it was off"
    assert [rule["id"] for rule in document["rules"]] == ["rollout-1"]
    later(HOUR)
    carry_out_due()
    assert [rule["id"] for rule in FlagConfiguration.objects.get().document["rules"]] == [
        "rollout-2",
        "rollout-1",
    ]
    later(HOUR)
    carry_out_due()
    assert share() == 100
    assert RolloutPlan.objects.get().state == "done"


def test_a_stage_waits_for_its_date(shop: Cast, later: Clock) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    stages = [STAGES[0], {**STAGES[1], "not_before": timestamp(day)}]
    request = propose(shop, stages)
    assert f"not before {timestamp(day)}" in request.change["operations"][1]["label"], "it is approved"
    shop.approve(request)
    later(2 * HOUR)
    carry_out_due()
    assert share() == 10
    later(timedelta(days=3))
    carry_out_due()
    assert share() == 50


def test_a_stage_waits_for_a_reviewers_go_ahead(shop: Cast, later: Clock) -> None:
    shop.approve(propose(shop, [STAGES[0], {**STAGES[1], "go_ahead": True}, STAGES[2]]))
    plan = RolloutPlan.objects.get()
    assert plan.state == "waiting"
    later(2 * HOUR)
    carry_out_due()
    assert share() == 10
    with pytest.raises(ForbiddenError):
        rollouts.give_go_ahead(shop.actor("author"), plan)
    with pytest.raises(StateError, match="nobody jumps past that"):
        rollouts.jump(shop.actor("reviewer"), plan, 3)
    rollouts.give_go_ahead(shop.actor("reviewer"), plan)
    carry_out_due()
    assert share() == 50


def test_nobody_gives_their_own_plan_the_go_ahead(shop: Cast) -> None:
    stages = [STAGES[0], {**STAGES[1], "go_ahead": True}]
    shop.approve(propose(shop, stages, by="administrator"))
    with pytest.raises(StateError, match="You proposed this plan"):
        rollouts.give_go_ahead(shop.actor("administrator"), RolloutPlan.objects.get())


def test_a_jump_leaves_stages_out_and_is_covered_by_the_approval(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    with pytest.raises(InvalidError, match="one from 2 to 3"):
        rollouts.jump(shop.actor("author"), plan, 1)
    rollouts.jump(shop.actor("author"), plan, 3)
    plan.refresh_from_db()
    assert (share(), plan.state, plan.done) == (100, "done", 3)


def test_stages_happen_within_the_window_only(shop: Cast, later: Clock) -> None:
    window = {"zone": "Europe/Berlin", "from": "09:00", "to": "17:00", "weekdays": ["Mon"]}
    request = rollouts.propose_plan(
        shop.actor("author"),
        Flag.objects.get(key="banner"),
        shop.production,
        STAGES,
        title="Roll out",
        rationale="why",
        window=window,
    )
    assert "within Mon 09:00-17:00 Europe/Berlin" in request.change["operations"][1]["label"]
    shop.approve(request)
    plan = RolloutPlan.objects.get()
    here = plan.next_at.astimezone(ZoneInfo("Europe/Berlin")) if plan.next_at else None
    assert here is not None
    assert here.weekday() == 0
    assert 9 <= here.hour < 17


@pytest.mark.parametrize(
    ("moment", "opens"),
    [
        ("2026-03-27T20:00:00+00:00", "2026-03-29T09:00:00+02:00"),  # Sunday, the clocks went forward at 2
        ("2026-10-24T20:00:00+00:00", "2026-10-25T09:00:00+01:00"),  # and back at 3
        ("2026-03-29T08:00:00+00:00", "2026-03-29T08:00:00+00:00"),  # open: now
        ("2026-03-29T15:00:00+00:00", "2026-04-05T09:00:00+02:00"),  # 17:00 there: closed
    ],
)
def test_nine_o_clock_stays_nine_o_clock_when_the_clocks_change(moment: str, opens: str) -> None:
    window = read_window({"zone": "Europe/Berlin", "from": "09:00", "to": "17:00", "weekdays": ["Sun"]})
    assert window is not None
    assert window.next_open(datetime.fromisoformat(moment)) == datetime.fromisoformat(opens)


@pytest.mark.parametrize(
    ("stages", "member", "says"),
    [
        ([], "stages", "1 to 50"),
        ([{"weights": [["on", 0], ["off", 1]], "hold": 0}], "stages[0].weights", "serves nobody"),
        ([STAGES[1], STAGES[0]], "stages[1].weights", "a plan only grows"),
        (
            [STAGES[1], {"weights": [["off", 99], ["on", 1]], "hold": 0}],
            "stages[1].weights",
            "deal everyone anew",
        ),
        ([{"weights": [["on", 0], ["off", 0]], "hold": 0}], "stages[0].weights", "add up to nothing"),
        ([{"weights": [["on", -1]], "hold": 0}], "stages[0].weights", "0 or more"),
        ([{**STAGES[0], "go_ahead": True}], "stages[0]", "begins when the plan is applied"),
        (
            [{"cohort": {"attribute": "tenant", "values": []}, "variant": "on", "hold": 0}],
            "stages[0].cohort",
            "",
        ),
        ([{"cohort": {"segment": "staff"}, "hold": 0}], "stages[0].variant", "is missing"),
        ([STAGES[0], {**STAGES[1], "not_before": "tomorrow"}], "stages[1].not_before", "must be a time"),
        ([{**STAGES[0], "surprise": 1}], "stages[0].surprise", "is unknown"),
    ],
    ids=repr,
)
def test_stages_that_cannot_be_are_refused_by_name(shop: Cast, stages: Any, member: str, says: str) -> None:
    with pytest.raises(InvalidError) as caught:
        propose(shop, stages)
    assert caught.value.member == member
    assert says in caught.value.reason


@pytest.mark.parametrize(
    ("change", "member"),
    [
        ({"zone": "Europe/Nowhere"}, "window.zone"),
        ({"from": "18:00"}, "window.to"),
        ({"from": "nine"}, "window.from"),
        ({"weekdays": []}, "window.weekdays"),
        ({"weekdays": ["Someday"]}, "window.weekdays"),
    ],
)
def test_a_window_that_cannot_be_is_refused_by_name(change: Any, member: str) -> None:
    window = {"zone": "Europe/Berlin", "from": "09:00", "to": "17:00", "weekdays": ["Mon"], **change}
    with pytest.raises(DocumentError) as caught:
        read_window(window)
    assert caught.value.member == member


def test_a_template_is_the_release_managers_and_makes_stages_for_any_flag(shop: Cast) -> None:
    members = {
        "name": "Careful",
        "stages": [{"cohort": {"segment": "staff"}, "hold": 60}, {"percent": 5, "hold": 60}],
    }
    with pytest.raises(ForbiddenError):
        rollout_templates.save_template(shop.actor("author"), shop.project, "careful", members)
    row = rollout_templates.save_template(shop.actor("administrator"), shop.project, "careful", members)
    made = rollout_templates.stages_for(row.stages, "blue", "grey")
    assert made[0]["variant"] == "blue"
    assert made[1]["weights"] == [["blue", 5_000], ["grey", 95_000]]
    assert Event.objects.filter(type="approvals.v1.rollout_template.changed").count() == 1
    with pytest.raises(InvalidError, match="above 0"):
        rollout_templates.save_template(
            shop.actor("administrator"), shop.project, "none", {"name": "x", "stages": [{"percent": 0}]}
        )
    rollout_templates.delete_template(shop.actor("administrator"), row)
    assert not RolloutTemplate.objects.exists()


def test_a_pause_shortens_no_hold(shop: Cast, later: Clock) -> None:
    plan = running(shop)
    rollouts.pause(shop.actor("on_call"), plan)
    rollouts.resume(shop.actor("on_call"), plan)
    carry_out_due()
    assert share() == 10
    later(HOUR)
    carry_out_due()
    assert share() == 50


def test_nobody_jumps_before_the_date_that_was_approved(shop: Cast) -> None:
    day = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
    shop.approve(propose(shop, [STAGES[0], {**STAGES[1], "not_before": timestamp(day)}]))
    with pytest.raises(StateError, match="at the earliest"):
        rollouts.jump(shop.actor("author"), RolloutPlan.objects.get(), 2)


def test_checking_a_long_plan_reads_what_stands_there_once(shop: Cast) -> None:
    stages = [{"weights": [["on", on], ["off", 100 - on]], "hold": 60} for on in range(1, 100, 2)]
    request = propose(shop, stages)
    with CaptureQueriesContext(connections["default"]) as queries:
        workflow.check_request(request)
    assert len(queries) < 2 * len(stages), "some thirty, and one for each stage"


@pytest.mark.parametrize("tested", [False, True])
def test_checking_a_long_plan_costs_no_more_queries_than_a_short_one(cast: Cast, tested: bool) -> None:
    cast.flag()
    cast.approve(cast.propose(OFF))
    if tested:
        context = {"targetingKey": "u1"}
        entry = {"sentence": "Nobody", "environment": "production", "context": context, "variant": "off"}
        operation = {"subject": "project/shop/expectations/banner", "after": {"expectations": [entry]}}
        workflow.change(cast.actor("author"), cast.project, [operation], title="Test", rationale="planned")
    counted = []
    for shares in ([5, 100], range(5, 101, 5)):
        stages = [{"weights": [["on", share], ["off", 100 - share]], "hold": 600} for share in shares]
        flag = Flag.objects.get(key="banner")
        request = rollouts.propose_plan(
            cast.actor("author"), flag, cast.production, stages, title="Step by step", rationale="planned"
        )
        request = ChangeRequest.objects.select_related("project").get(pk=request.pk)
        with CaptureQueriesContext(connection) as queries:
            found = workflow.check_request(request)
        assert {each.check for each in found} == ({"policy", "expectation"} if tested else {"policy"})
        counted.append(len(queries))
        workflow.withdraw(cast.actor("author"), request)
    assert counted[0] == counted[1]
