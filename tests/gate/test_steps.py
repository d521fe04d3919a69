"""Every role, own and somebody else's request, protected or not, in every state: each verb as declared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from access import grants, machines
from access.models import Membership
from access.permissions import ForbiddenError, service_actor, system_actor, user_actor
from access.roles import SYSTEM, VERBS, Role
from approvals import again, rollback, workflow
from approvals.models import ChangeRequest, Review
from approvals.workflow import GateError
from approvals.workflow.lapsing import lapse_all
from audit.actor import Actor
from flags.models import Environment
from tests.access.test_doors import undone
from tests.cast import OFF, ON, Cast, _user
from tests.gate.steps import STEPS, Step, Whose

State = ChangeRequest.State
SERVICE, OUTSIDER, PROPOSER = "service account", "outsider", "proposer"


class Requests:
    """A request in each state, and everybody who may be asked to do something with it."""

    def __init__(self, cast: Cast) -> None:
        self.cast, self.root = cast, cast.actor("root")
        cast.flag()
        for environment in ("development", "production"):
            request = cast.propose(OFF, environment=environment)
            if request.is_open:
                cast.approve(request)
            approvals = {"approvals": int(environment == "production"), "on_call_may_revert": True}
            cast.policy(environment, **approvals)
        self.actors: dict[str, Actor] = {SYSTEM: system_actor("scheduler")}
        for role in Role:
            user = _user(f"a-{role}")
            grants.grant(self.root, cast.project, user.pseudonym, role)
            self.actors[role] = user_actor(user, "ui")
        self.actors[OUTSIDER] = cast.actor("outsider")
        program = machines.create_service_account(self.root, "pipeline")
        for role in (Role.REVIEWER, Role.EDITOR):
            grants.grant(self.root, cast.project, program.pseudonym, role)
        self.actors[SERVICE] = service_actor(program)
        self.proposer = cast.users["author"]

    def make(self, environment: str, state: str) -> ChangeRequest | None:
        """A request of the author's in that state; None where there is none: nobody has to approve there."""
        cast = self.cast
        request = cast.propose(ON, environment=environment, scheduled_at=None, confirm_within=3_600)
        if state == State.IN_REVIEW:
            return request if request.state == State.IN_REVIEW else None
        match state:
            case State.REJECTED:
                return workflow.reject(cast.actor("reviewer"), request, digest=request.digest)
            case State.WITHDRAWN:
                return workflow.withdraw(cast.actor("author"), request)
            case State.LAPSED:
                lapse_all(system_actor("operator", via="cli"))
                request.refresh_from_db()
                return request
        if request.state == State.IN_REVIEW:
            request = cast.approve(request)
        return workflow.apply(cast.actor("author"), request) if state == State.APPLIED else request

    def change_under(self, request: ChangeRequest) -> None:
        """Somebody else changes what the request was made for."""
        environment = request.environments.get()
        after = {**OFF, "off": "on"}
        other = workflow.change(
            self.cast.actor("administrator"),
            self.cast.project,
            [{"subject": self.cast.subject("banner", environment.key), "after": after}],
            title="Meanwhile",
            rationale="sooner",
        )
        if other.is_open:
            self.cast.approve(other, "second_reviewer")

    def proposer_as(self, role: str) -> Actor:
        """The proposer, who holds this role now and no other."""
        if role != Role.EDITOR:
            pseudonym = self.proposer.pseudonym
            grants.revoke(self.root, Membership.objects.get(member=pseudonym))
            grants.grant(self.root, self.cast.project, pseudonym, role)
        return user_actor(self.proposer, "ui")


def edit(actor: Actor, request: ChangeRequest) -> ChangeRequest:
    operations = [{"subject": request.change["operations"][0]["subject"], "after": {**ON, "off": "on"}}]
    return workflow.revise(actor, request, operations, title="Otherwise", rationale="better")


def review(verb: Callable[..., ChangeRequest]) -> Callable[[Actor, ChangeRequest], ChangeRequest]:
    return lambda actor, request: verb(actor, request, digest=request.digest)


def resolve(actor: Actor, request: ChangeRequest) -> None:
    made = {"change_id": request.change_id, "digest": request.digest, "reviewer": "user:somebody"}
    opener = Review.objects.create(request=request, verdict=Review.Verdict.COMMENTED, comment="Why?", **made)
    workflow.resolve(actor, request, opener.pk)


CALLS: dict[str, Callable[[Actor, ChangeRequest], Any]] = {
    "comment": lambda actor, request: workflow.comment(actor, request, "Seen."),
    "resolve": resolve,
    "edit": edit,
    "rebase": workflow.rebase,
    "withdraw": workflow.withdraw,
    "approve": review(workflow.approve),
    "reject": review(workflow.reject),
    "schedule": lambda actor, request: workflow.schedule(actor, request, timezone.now() + timedelta(hours=1)),
    "apply": workflow.apply,
    "confirm": workflow.confirm,
    "revert": lambda actor, request: rollback.propose_revert(actor, request, rationale="worse"),
    "revert-at-once": workflow.revert_at_once,
    "again": again.propose_again,
}


def expected(step: Step, held: set[str], who: str, is_own: bool, state: str) -> type[Exception] | None:
    """What the declaration says, read here without asking the code that is tested."""
    if not any(role in VERBS[step.verb].roles for role in held):
        return ForbiddenError
    is_of = {Whose.ANYBODYS: True, Whose.OWN: is_own, Whose.OTHERS: not is_own}[step.whose]
    if not is_of or state not in step.states or (step.people_only and who in (SERVICE, SYSTEM)):
        return GateError
    return None


def holders(requests: Requests) -> Iterator[tuple[str, set[str], Callable[[], Actor], bool]]:
    """Who somebody is, the roles they hold, the actor, and whether they made the request."""
    roles = {SERVICE: {Role.REVIEWER, Role.EDITOR}, OUTSIDER: set()}
    for who, actor in requests.actors.items():
        yield who, {str(role) for role in roles.get(who, {who})}, lambda actor=actor: actor, False
    # Who still may ask, who may not any more, and who may do everything but this.
    for role in (Role.EDITOR, Role.VIEWER, Role.ADMINISTRATOR):
        yield f"{PROPOSER}, {role}", {str(role)}, lambda role=role: requests.proposer_as(role), True


def wrong_with(
    requests: Requests, name: str, actor: Actor, request: ChangeRequest, refusal: type[Exception] | None
) -> str:
    """What is not as declared; empty for nothing."""
    step, before = STEPS[name], request.state
    with undone():
        if name == "rebase" and request.is_open and refusal is not ForbiddenError:
            requests.change_under(request)
        request.refresh_from_db()
        try:
            CALLS[name](actor, request)
        except (ForbiddenError, GateError) as error:
            after = ChangeRequest.objects.get(pk=request.pk).state
            if refusal is None or not isinstance(error, refusal):
                return f"refused: {error}"
            return "" if after == before else f"refused, and is {after}"
        if refusal is not None:
            return "done"
        leads_to = step.leads_to or before
        if leads_to == State.IN_REVIEW and not Environment.objects.get(change_requests=request).protected:
            leads_to = State.APPROVED
        after = ChangeRequest.objects.get(pk=request.pk).state
        return "" if after == leads_to else f"is {after}, not {leads_to}"


@pytest.mark.parametrize("environment", ["development", "production"])
def test_each_verb_is_done_by_whom_and_when_the_declaration_says_and_refused_otherwise(
    cast: Cast, environment: str
) -> None:
    requests = Requests(cast)
    wrong, asked, done = [], 0, set()
    for state in State:
        with undone():
            request = requests.make(environment, state)
            if request is None:
                assert environment == "development"
                continue
            for who, held, become, is_own in holders(requests):
                with undone():
                    actor = become()
                    for name, step in STEPS.items():
                        refusal = expected(step, held, who, is_own, state)
                        asked += 1
                        done |= {name} if refusal is None else set()
                        if fault := wrong_with(requests, name, actor, request, refusal):
                            wrong.append((environment, str(state), who, name, fault))
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(map(str, wrong[:40]))
    assert done == set(STEPS), "each is possible for somebody"
    assert asked > 700


def test_every_verb_of_the_declaration_is_asked() -> None:
    assert set(CALLS) == set(STEPS)
