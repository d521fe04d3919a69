"""Random verbs of the gate by random people at random times, each step held against the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import connection, transaction
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from access.grants import LastAdministratorError, ReviewNeededError
from access.models import Membership
from access.permissions import ForbiddenError
from access.roles import Role
from approvals import rollback, rollouts, workflow
from approvals.freezes import lift_freeze, save_freeze
from approvals.models import ApprovalPolicy, CarriedOut, ChangeRequest, Emergency, FreezeWindow, Review
from approvals.tasks import carry_out_due, escalate_overdue_reviews
from approvals.workflow import GateError
from audit.export import export_bundle
from audit.history import OutdatedBaseError
from audit.ledger import trusted_log
from audit.models import Event
from countersign.bundle import Trust, verify_bundle
from countersign.snapshot import Snapshot as Parsed
from distribution.models import Snapshot
from distribution.publish import publish_due
from flags.models import Environment, Flag, FlagConfiguration, RolloutPlan
from flags.subjects import Subject
from tests.cast import BANNER, OFF, ON, Cast, split
from tests.gate.oracle import Oracle

REFUSALS = (
    GateError,
    ForbiddenError,
    ValidationError,
    LastAdministratorError,
    ReviewNeededError,
    OutdatedBaseError,
)
FLAGS, PLACES = ("banner", "colour"), ("development", "production")
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
STAGES = [
    {"weights": [["on", 5], ["off", 95]], "hold": 600},
    {"weights": [["on", 25], ["off", 75]], "hold": 3_600},
    {"weights": [["on", 100], ["off", 0]], "hold": 0},
]


def mostly(*usual: str) -> st.SearchStrategy[str]:
    """One of those who usually do it, or now and then somebody else."""
    everybody = ("author", "reviewer", "on_call", "administrator", "viewer", "outsider")
    return st.sampled_from([*usual * 4, *everybody])


some = st.integers(0, 3)  # one of those there are, the newest first
flags, places = st.sampled_from(FLAGS), st.sampled_from([*PLACES, "production"])
documents = st.sampled_from([ON, OFF, split(10), split(50), RULED])
definitions = st.builds(
    lambda tags, kind, off: {**BANNER, "tags": tags, "kind": kind, "fail_safe": off},
    st.sampled_from([[], ["money"]]),
    st.sampled_from(["release", "operational"]),
    st.sampled_from(["on", "off"]),
)
operations = st.one_of(
    st.tuples(flags, places, documents).map(
        lambda each: {"subject": f"project/shop/environment/{each[1]}/flag/{each[0]}", "after": each[2]}
    ),
    st.tuples(flags, definitions).map(
        lambda each: {"subject": f"project/shop/flag/{each[0]}", "after": each[1]}
    ),
    st.sampled_from([["u1"], ["u1", "u2"]]).map(
        lambda each: {"subject": "project/shop/segment/beta", "after": {"included": each}}
    ),
)
change_sets = st.lists(operations, min_size=1, max_size=3, unique_by=lambda each: each["subject"])
minutes = st.sampled_from([None, None, None, 5, 120])
policies = st.fixed_dictionaries(
    {"name": st.just("A policy")},
    optional={
        "environments": st.sampled_from([["production"], ["development"]]),
        "approvals": st.integers(1, 2),
        "from": st.sampled_from([[{"role": "reviewer"}], [{"role": "administrator", "count": 1}]]),
        "tags": st.just(["money"]),
        "kinds": st.just(["operational"]),
        "access": st.just(True),
        "on_call_may_revert": st.just(True),
    },
)


def one_of(kind: str) -> Callable[[Gate], bool]:
    return lambda gate: any(f"/{kind}/" in subject and each for subject, each in gate.oracle.standing.items())


def open_requests(gate: Gate) -> bool:
    return any(not each.applied and not each.is_rejected for each in gate.oracle.proposals.values())


def to_be_confirmed(gate: Gate) -> bool:
    return any(each.applied and "confirm_within" in each.change for each in gate.oracle.proposals.values())


def may_go_back(gate: Gate) -> bool:
    return any(
        each.get("on_call_may_revert")
        for subject, each in gate.oracle.standing.items()
        if "/policy/" in subject and each
    )


def debts(gate: Gate) -> bool:
    return bool(gate.oracle.debts)


plans = one_of("rollout-plan")


class Gate(RuleBasedStateMachine):
    """Each example begins with the same cast and ends with a bundle; the database is put back in between."""

    cast: ClassVar[Cast]
    clock: ClassVar[Callable[[timedelta], Any]]
    directory: ClassVar[Path]
    seen: ClassVar[set[str]]

    def __init__(self) -> None:
        super().__init__()
        self.whole = transaction.atomic()
        self.whole._from_testcase = True  # as the test's own: what is durable in the product may begin within
        self.whole.__enter__()
        (settings.DATA_DIR / "last-known-good" / "checkpoint").unlink(missing_ok=True)
        self.oracle = Oracle()

    @initialize(may_revert=st.booleans())
    def two_flags(self, may_revert: bool) -> None:
        cast = self.cast
        for key in FLAGS:
            cast.flag(key)
        workflow.change(
            cast.actor("author"),
            cast.project,
            [
                {"subject": "project/shop/segment/beta", "after": {"included": []}},
                *({"subject": cast.subject(key, "development"), "after": OFF} for key in FLAGS),
            ],
            title="Begin",
            rationale="planned",
        )
        cast.approve(cast.propose(OFF))
        if may_revert:
            cast.policy(on_call_may_revert=True)

    # What people ask for.

    @rule(
        who=mostly("author"), wanted=change_sets, at=minutes, not_before=minutes, ends=minutes, within=minutes
    )
    def propose(self, who: str, wanted: Any, at: Any, not_before: Any, ends: Any, within: Any) -> None:
        times = self._times(at, not_before, ends, within)
        self._try(workflow.change, who, self.cast.project, wanted, **self._why(), **times)

    @precondition(open_requests)
    @rule(who=mostly("author"), which=some, wanted=change_sets, at=minutes, ends=minutes, within=minutes)
    def revise(self, who: str, which: int, wanted: Any, at: Any, ends: Any, within: Any) -> None:
        if request := self._open(which):
            times = self._times(at, None, ends, within)
            self._try(workflow.revise, who, request, wanted, **self._why(), **times)

    @precondition(open_requests)
    @rule(who=mostly("author"), which=some)
    def rebase(self, who: str, which: int) -> None:
        if request := self._open(which):
            self._try(workflow.rebase, who, request)

    @rule(who=mostly("author"), which=some)
    def propose_revert(self, who: str, which: int) -> None:
        if request := self._applied(which):
            self._try(rollback.propose_revert, who, request, rationale="It hurts.", ticket="SHOP-1")

    @rule(who=mostly("author"), key=flags, place=places, go_ahead=st.booleans(), begins=st.booleans())
    def propose_plan(self, who: str, key: str, place: str, go_ahead: bool, begins: bool) -> None:
        stages = [STAGES[0], {**STAGES[1], "go_ahead": go_ahead}, STAGES[2]]
        flag = Flag.objects.select_related("project").get(project=self.cast.project, key=key)
        made = self._try(rollouts.propose_plan, who, flag, self._place(place), stages, **self._why())
        if begins:  # else it waits for whoever comes by
            self._let_through(made)

    @rule(who=mostly("administrator"), after=policies, key=st.sampled_from(["first", "second"]))
    def change_policy(self, who: str, after: Any, key: str) -> None:
        self._govern(who, f"project/shop/policy/{key}", after)

    @precondition(one_of("policy"))
    @rule(who=mostly("administrator"), which=some)
    def take_a_policy_away(self, who: str, which: int) -> None:
        if row := self._one(ApprovalPolicy.objects.filter(project=self.cast.project), which):
            self._govern(who, row.ledger_subject, None)

    @rule(who=mostly("administrator"), place=places, protected=st.booleans())
    def change_protection(self, who: str, place: str, protected: bool) -> None:
        row = self._place(place)
        self._govern(who, row.ledger_subject, {**row.document, "protected": protected})

    # What people say to it.

    @precondition(open_requests)
    @rule(whose=st.lists(mostly("reviewer", "second_reviewer", "administrator"), max_size=3), which=some)
    def approve(self, whose: list[str], which: int) -> None:
        request = self._open(which)
        for who in whose if request else ():
            request.refresh_from_db()
            self._try(workflow.approve, who, request, digest=request.digest)

    @rule(who=mostly("reviewer"), which=some)
    def approve_what_was_seen_elsewhere(self, who: str, which: int) -> None:
        requests = list(ChangeRequest.objects.order_by("-pk")[: which + 2])
        if len(requests) > 1:
            assert not self._try(workflow.approve, who, requests[0], digest=requests[-1].digest)

    @precondition(open_requests)
    @rule(who=mostly("reviewer"), which=some)
    def reject(self, who: str, which: int) -> None:
        if request := self._open(which):
            self._try(workflow.reject, who, request, digest=request.digest)

    @precondition(open_requests)
    @rule(who=mostly("author"), which=some)
    def withdraw(self, who: str, which: int) -> None:
        if request := self._open(which):
            self._try(workflow.withdraw, who, request)

    @precondition(open_requests)
    @rule(who=mostly("author", "reviewer"), which=some)
    def apply(self, who: str, which: int) -> None:
        if request := self._one(ChangeRequest.objects.exclude(state="applied"), which):
            self._try(workflow.apply, who, request)

    @precondition(open_requests)
    @rule(who=mostly("author"), which=some, at=minutes)
    def schedule(self, who: str, which: int, at: Any) -> None:
        if request := self._open(which):
            self._try(workflow.schedule, who, request, self._times(at, None, None, None)["scheduled_at"])

    @precondition(to_be_confirmed)
    @rule(who=mostly("author"), which=some)
    def confirm(self, who: str, which: int) -> None:
        if request := self._one(ChangeRequest.objects.exclude(confirm_by=None), which):
            self._try(workflow.confirm, who, request)

    # What makes it safe.

    @rule(who=mostly("on_call"), key=flags, place=places)
    def kill(self, who: str, key: str, place: str) -> None:
        subject = Subject.parse(self.cast.subject(key, place))
        is_standing = FlagConfiguration.objects.filter(flag__key=key, environment__key=place).exclude(
            document__killed=True
        )
        there_is = is_standing.exists()
        killed = self._try(workflow.kill, who, subject, self.cast.project)
        assert killed or not there_is or not self.oracle.holds(self.cast.actor(who).id, {"on-call"})

    @rule(who=mostly("on_call"), which=some)
    def revert_at_once(self, who: str, which: int) -> None:
        if request := self._applied(which):
            self._try(workflow.revert_at_once, who, request)

    @precondition(may_go_back)
    @rule(
        who=mostly("on_call"), key=flags, wanted=st.lists(documents, min_size=1, max_size=2, unique_by=repr)
    )
    def take_back_at_once_what_was_just_applied(self, who: str, key: str, wanted: list[Any]) -> None:
        """One request by itself; two by restoring what stood before them."""
        subject = self.cast.subject(key)
        stood = Event.objects.filter(subject=subject).order_by("-index").first()
        made = None
        for after in wanted:
            operation = {"subject": subject, "after": after}
            made = self._try(workflow.change, "author", self.cast.project, [operation], **self._why())
            made = self._let_through(made)
            if made is None:
                return
        if len(wanted) == 1:
            self._try(workflow.revert_at_once, who, made)
        elif stood and self._try(workflow.restore_at_once, who, self.cast.project, stood):
            row = FlagConfiguration.objects.get(flag__key=key, environment__key="production")
            assert row.document == json.loads(stood.line)["data"]["after"], "it is what stood there"
            self.seen.add("restored at once")

    @precondition(debts)
    @rule(who=mostly("reviewer"), which=some)
    def review_what_was_done_at_once(self, who: str, which: int) -> None:
        if debt := self._one(Emergency.objects.all(), which):
            self._try(workflow.review_emergency, who, debt)

    @rule(who=mostly("administrator"), place=places, hours=st.integers(1, 48))
    def freeze(self, who: str, place: str, hours: int) -> None:
        now = self.clock(timedelta())
        members = {"reason": "The sale", "starts_at": now, "ends_at": now + timedelta(hours=hours)}
        self._try(save_freeze, who, self.cast.project, "sale", {**members, "environments": [place]})

    @precondition(one_of("freeze"))
    @rule(who=mostly("administrator"), which=some)
    def lift(self, who: str, which: int) -> None:
        if row := self._one(FreezeWindow.objects.all(), which):
            self._try(lift_freeze, who, row)

    # A rollout's way.

    @precondition(plans)
    @rule(
        who=mostly("reviewer"),
        verb=st.sampled_from(["pause", "resume", "abort", "give_go_ahead"]),
        which=some,
    )
    def move_a_plan(self, who: str, verb: str, which: int) -> None:
        if plan := self._one(RolloutPlan.objects.all(), which):
            self._try(getattr(rollouts, verb), who, plan)

    @precondition(plans)
    @rule(who=mostly("author"), stage=st.integers(1, 3), which=some)
    def jump(self, who: str, stage: int, which: int) -> None:
        if plan := self._one(RolloutPlan.objects.exclude(state="proposed"), which):
            self._try(rollouts.jump, who, plan, stage)

    # Who may.

    @rule(who=mostly("administrator"), whom=mostly("second_reviewer"), role=st.sampled_from(Role.values))
    def give_a_role(self, who: str, whom: str, role: str) -> None:
        member = self.cast.users[whom].pseudonym
        self._try(
            workflow.give_role, who, self.cast.project, member, role, rationale="joins", ticket="SHOP-1"
        )

    @rule(who=mostly("administrator"), whom=mostly("second_reviewer", "reviewer"), which=some)
    def take_a_role(self, who: str, whom: str, which: int) -> None:
        held = Membership.objects.filter(project=self.cast.project, member=self.cast.users[whom].pseudonym)
        if row := self._one(held, which):
            self._try(workflow.take_role, who, row, rationale="leaves", ticket="SHOP-1")

    # What happens by itself.

    @rule(passing=st.sampled_from([1, 11, 61, 130, 1_441]))
    def time_passes(self, passing: int) -> None:
        now = self.clock(timedelta(minutes=passing))
        carry_out_due()
        escalate_overdue_reviews()
        waiting = ChangeRequest.objects.filter(state="approved", scheduled_at__lte=now)
        late = ChangeRequest.objects.filter(state="applied", confirm_by__lte=now)
        ended = ChangeRequest.objects.filter(state="applied", ends_at__lte=now)
        plans = RolloutPlan.objects.filter(state="running", next_at__lte=now)
        assert not any(rows.exists() for rows in (waiting, late, ended, plans)), "what is due is done"

    @rule(which=some)
    def there_and_back(self, which: int) -> None:
        """The inverse of the inverse is identity, where people let both through."""
        request = self._applied(which)
        if request is None:
            return
        before = self._documents(request)
        for _ in range(2):
            made = self._try(rollback.propose_revert, "author", request, rationale="Hurts", ticket="SHOP-1")
            if (request := self._let_through(made)) is None:
                return
        assert {name: self._documents(request)[name] for name in request.change["base"]} == {
            name: before[name] for name in request.change["base"]
        }
        self.seen.add("there and back")

    # What must hold after each of these.

    @invariant()
    def the_ledger_allows_it(self) -> None:
        lines = Event.objects.filter(index__gte=self.oracle.size).order_by("index")
        self.oracle.read(list(lines.values_list("line", flat=True)))
        self.seen.update(self.oracle.seen)

    @invariant()
    def what_stands_is_what_the_ledger_says(self) -> None:
        oracle = self.oracle
        for row in FlagConfiguration.objects.select_related("flag__project", "environment__project"):
            subject = f"project/shop/environment/{row.environment.key}/flag/{row.flag.key}"
            assert row.document == oracle.standing[subject]
            assert row.version == oracle.written[subject] == row.history.count()
        for flag in Flag.objects.filter(project=self.cast.project):
            assert flag.version == oracle.written[f"project/shop/flag/{flag.key}"]
        rows = ApprovalPolicy.objects.filter(project=self.cast.project)
        assert {f"project/shop/policy/{row.key}": row.document for row in rows} == {
            subject: each for subject, each in oracle.standing.items() if "/policy/" in subject and each
        }
        for place in Environment.objects.filter(project=self.cast.project):
            assert place.protected == oracle.is_protected(place.key)

    @invariant()
    def what_became_of_requests_is_what_the_ledger_says(self) -> None:
        proposals = self.oracle.proposals
        for request in ChangeRequest.objects.all():
            proposal = proposals[request.change_id]
            assert (request.digest, request.proposer) == (proposal.digest, proposal.proposer)
            assert (request.state == "applied") == (proposal.applied is not None)
            assert (request.state in ("rejected", "withdrawn")) == proposal.is_rejected
        given = Review.objects.filter(verdict="approved").values_list("change_id", "reviewer")
        assert set(given) == {(key, who) for key, each in proposals.items() for who in each.approved_by}
        rows = CarriedOut.objects.values_list("change_id", "operation")
        assert set(rows) == {
            (key, number)
            for key, each in proposals.items()
            for number in each.carried_out
            if not each.change["operations"][number].get("repeat")
        }

    @invariant()
    def what_was_done_without_review_is_owed(self) -> None:
        rows = {
            str(row.event_id): [row.killed_by, *filter(None, [row.reviewed_by])]
            for row in Emergency.objects.all()
        }
        assert rows == self.oracle.debts

    def teardown(self) -> None:
        try:
            if self.oracle.size:
                self._publish()
                self._export()
                connection.check_constraints()
        finally:
            transaction.set_rollback(True)
            self.whole.__exit__(None, None, None)

    def _publish(self) -> None:
        publish_due()
        for place in PLACES:
            newest = Snapshot.objects.filter(environment__key=place).latest("version")
            for key in FLAGS:
                document = self.oracle.standing.get(self.cast.subject(key, place))
                answer = Parsed.parse(newest.raw).evaluate(key, {"targetingKey": "somebody"})
                definition = self.oracle.standing[f"project/shop/flag/{key}"]
                if not document or definition.get("archived"):
                    assert answer.variant is None
                elif document.get("killed") or not document["enabled"]:
                    assert answer.variant == document.get("off")
                elif document in (ON, RULED):
                    assert answer.variant == document["default"]["variant"]

    def _export(self) -> None:
        """The verifier, which knows nothing of this server, comes to the same."""
        directory = self.directory / f"bundle-{len(list(self.directory.iterdir()))}"
        export_bundle(self.cast.actor("auditor"), directory)
        required = [
            f"project/shop/environment/{place}/"
            for place in PLACES
            if place not in self.oracle.was_unprotected
        ]
        rules = {"review_required": required, "accept_log_vouched": True}
        report = verify_bundle(directory, Trust.parse(json.dumps({**trusted_log(), **rules}).encode()))
        killed = [event for event, debt in self.oracle.debts.items() if self._is_kill(event)]
        assert len(report.emergency) == len(killed)
        assert len(report.emergency_unreviewed) == sum(len(self.oracle.debts[each]) == 1 for each in killed)

    def _is_kill(self, event: str) -> bool:
        return Event.objects.get(pk=event).type == "flags.v1.configuration.killed"

    def _try(self, verb: Callable[..., Any], who: str, *arguments: Any, **options: Any) -> Any:
        """Its result; None where it is refused, which then leaves no trace."""
        before = Event.objects.count()
        try:
            return verb(self.cast.actor(who), *arguments, **options) or True
        except REFUSALS as error:
            note(f"{verb.__name__} by {who} refused: {error}")
            assert Event.objects.count() == before, "what is refused leaves no trace"
            return None

    def _govern(self, who: str, subject: str, after: Any) -> None:
        operation = {"subject": subject, "after": after}
        self._try(workflow.change, who, self.cast.project, [operation], **self._why())

    def _why(self) -> dict[str, str]:
        return {"title": "Something", "rationale": "planned", "ticket": "SHOP-1"}

    def _times(self, at: Any, not_before: Any, ends: Any, within: Any) -> dict[str, Any]:
        now = self.clock(timedelta())
        named = {"scheduled_at": at, "not_before": not_before, "ends_at": ends and ends * 3}
        times = {name: now + timedelta(minutes=value) for name, value in named.items() if value}
        return {"scheduled_at": now, **times, "confirm_within": within and within * 60}

    def _place(self, key: str) -> Environment:
        return Environment.objects.select_related("project").get(project=self.cast.project, key=key)

    def _let_through(self, request: Any) -> Any:
        """The request once people have approved it and it is applied; None where they do not get so far."""
        for who in ("reviewer", "second_reviewer", "administrator"):
            if request and request.is_open:
                request = self._try(workflow.approve, who, request, digest=request.digest) or request
        return request if request and request.state == ChangeRequest.State.APPLIED else None

    def _open(self, which: int) -> Any:
        return self._one(ChangeRequest.objects.filter(state__in=ChangeRequest.OPEN), which)

    def _applied(self, which: int) -> Any:
        return self._one(ChangeRequest.objects.filter(state="applied"), which)

    def _one(self, rows: Any, which: int) -> Any:
        found = list(rows.order_by("-pk")[: which + 1])
        return found[-1] if found else None

    def _documents(self, request: ChangeRequest) -> dict[str, Any]:
        self.the_ledger_allows_it()
        return {subject: self.oracle.standing.get(subject) for subject in request.change["base"]}
