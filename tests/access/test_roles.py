"""The table of verbs and roles, verb by verb, against the functions that own them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from inspect import signature
from typing import Any

import pytest
from django.utils import timezone

from access import accounts, erasure, grants, machines, teams
from access.held import Held
from access.models import Membership
from access.notifications import webhooks
from access.permissions import (
    ForbiddenError,
    may,
    projects_where,
    require,
    require_in_organisation,
    system_actor,
    user_actor,
)
from access.roles import SYSTEM, VERBS, OrganisationRole, Role
from access.signin import factors
from approvals import rollout_templates, rollouts, workflow
from approvals.freezes import lift_freeze, save_freeze
from approvals.models import ChangeRequest, Emergency
from audit.actor import Actor
from distribution import keys
from flags import catalogue
from flags.models import Flag, RolloutPlan
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, _user

WHO = [*Role, SYSTEM]
STAGES = [{"weights": [["on", on], ["off", 100 - on]], "hold": 60} for on in (1, 2)]
DAY = timedelta(days=1)
LATER = timezone.now() + 9 * DAY
BANNER = Subject("configuration", "shop", "banner", "production")


@pytest.fixture
def someone(cast: Cast) -> Callable[[str], Actor]:
    """Somebody new who holds one role in the shop, or one of our own tasks."""

    def find(role: str) -> Actor:
        if role == SYSTEM:
            return system_actor("scheduler")
        user = _user("somebody")
        grants.grant(cast.actor("administrator"), cast.project, user.pseudonym, role)
        return user_actor(user, "api")

    return find


def request(cast: Cast) -> ChangeRequest:
    return cast.propose(scheduled_at=None)


def plan(cast: Cast) -> RolloutPlan:
    cast.approve(cast.propose(OFF))
    flag = Flag.objects.get(key="banner")
    cast.approve(
        rollouts.propose_plan(cast.actor("author"), flag, cast.production, STAGES, title="t", rationale="r")
    )
    return RolloutPlan.objects.get()


def killed(cast: Cast) -> Emergency:
    cast.approve(cast.propose())
    return workflow.kill(cast.actor("on_call"), BANNER, cast.project)


def operations(cast: Cast) -> list[dict[str, Any]]:
    return [{"subject": cast.subject(), "after": ON}]


# verb: what has to be there before, and the function that owns the verb
OWNERS: dict[str, list[tuple[Callable[[Cast], Any], Callable[[Cast, Actor, Any], Any]]]] = {
    "change.propose": [
        (
            lambda cast: None,
            lambda cast, who, _: workflow.propose(
                who, cast.project, operations(cast), title="t", rationale="r"
            ),
        ),
    ],
    "change.comment": [(request, lambda cast, who, made: workflow.comment(who, made, "Hello"))],
    "change.approve": [(request, lambda cast, who, made: workflow.approve(who, made, digest=made.digest))],
    "change.reject": [(request, lambda cast, who, made: workflow.reject(who, made, digest=made.digest))],
    "change.apply": [
        (lambda cast: cast.approve(request(cast)), lambda cast, who, made: workflow.apply(who, made))
    ],
    "change.schedule": [(request, lambda cast, who, made: workflow.schedule(who, made, None))],
    "rollout.pause": [
        (plan, lambda cast, who, made: rollouts.pause(who, made)),
        (plan, lambda cast, who, made: rollouts.abort(who, made)),
    ],
    "webhook.manage": [
        (
            lambda cast: None,
            lambda cast, who, _: webhooks.create_webhook(
                who, cast.project, {"name": "Robot", "url": "https://1.1.1.1/", "kinds": ["request.waiting"]}
            ),
        ),
    ],
    "freeze.manage": [
        (
            lambda cast: None,
            lambda cast, who, _: save_freeze(
                who, cast.project, "sale", {"reason": "Sale", "starts_at": LATER, "ends_at": LATER + DAY}
            ),
        ),
        (
            lambda cast: save_freeze(
                cast.actor("administrator"),
                cast.project,
                "sale",
                {"reason": "Sale", "starts_at": LATER, "ends_at": LATER + DAY},
            ),
            lambda cast, who, made: lift_freeze(who, made),
        ),
    ],
    "flag.kill": [
        (
            lambda cast: cast.approve(cast.propose()),
            lambda cast, who, _: workflow.kill(who, BANNER, cast.project),
        ),
    ],
    "emergency.review": [(killed, lambda cast, who, made: workflow.review_emergency(who, made))],
    "project.administer": [
        (
            lambda cast: None,
            lambda cast, who, _: catalogue.create_environment(
                who, cast.project, "staging", {"name": "Staging"}
            ),
        ),
    ],
    "policy.change": [
        (
            lambda cast: None,
            lambda cast, who, _: workflow.propose(
                who,
                cast.project,
                [{"subject": "project/shop/policy/two", "after": {"name": "Two", "approvals": 2}}],
                title="Two",
                rationale="agreed",
            ),
        ),
    ],
    "rollout_template.manage": [
        (
            lambda cast: None,
            lambda cast, who, _: rollout_templates.save_template(
                who, cast.project, "careful", {"name": "Careful", "stages": [{"percent": 5, "hold": 0}]}
            ),
        ),
    ],
    "sdk_key.manage": [
        (lambda cast: None, lambda cast, who, _: keys.issue(who, cast.production, "web", "server")),
        (
            lambda cast: keys.issue(cast.actor("administrator"), cast.production, "web", "server")[0],
            lambda cast, who, made: keys.revoke(who, made),
        ),
    ],
    "access.manage": [
        (
            lambda cast: None,
            lambda cast, who, _: grants.grant(
                who, cast.project, cast.users["outsider"].pseudonym, Role.VIEWER
            ),
        ),
        (
            lambda cast: Membership.objects.get(member=cast.users["viewer"].pseudonym),
            lambda cast, who, made: grants.revoke(who, made),
        ),
    ],
}
OF_ORGANISATION: dict[str, Callable[[Cast, Actor], Any]] = {
    "project.create": lambda cast, who: catalogue.create_project(who, "new", "New"),
    "organisation.manage": lambda cast, who: grants.appoint(
        who, cast.users["viewer"].pseudonym, OrganisationRole.ORGANISATION_AUDITOR
    ),
    "team.manage": lambda cast, who: teams.save_team(who, "payments", name="Payments", members=[]),
    "service_account.manage": lambda cast, who: machines.create_service_account(who, "pipeline"),
    "account.manage": lambda cast, who: accounts.create_account(who, None, username="newcomer"),
    "factor.reset": lambda cast, who: factors.reset(who, cast.users["viewer"]),
    "person.erase": lambda cast, who: erasure.erase(who, cast.users["viewer"]),
}
# These have no function here: lists, pages and downloads narrow a queryset by them.
ONLY_SEEN = {"project.view", "audit.view", "audit.export"}


def test_every_verb_has_an_owner_that_is_tested_here() -> None:
    assert set(OWNERS) | ONLY_SEEN | set(OF_ORGANISATION) == set(VERBS)


@pytest.mark.parametrize("role", [*Role, *OrganisationRole])
@pytest.mark.parametrize("verb", OF_ORGANISATION)
def test_a_role_of_the_organisation_may_what_the_table_says_and_one_of_a_project_does_not(
    cast: Cast, verb: str, role: str
) -> None:
    user = _user("somebody")
    if role in Role.values:
        grants.grant(cast.actor("administrator"), cast.project, user.pseudonym, role)
    else:
        grants.appoint(cast.actor("root"), user.pseudonym, role)
    who = user_actor(user, "api")
    if role in VERBS[verb].roles:
        OF_ORGANISATION[verb](cast, who)
    else:
        with pytest.raises(ForbiddenError, match=r"needs the role Organisation administrator"):
            OF_ORGANISATION[verb](cast, who)


@pytest.mark.parametrize("role", WHO)
@pytest.mark.parametrize("verb", OWNERS)
def test_a_role_may_what_the_table_says_and_nothing_else(
    cast: Cast, someone: Callable[[str], Actor], verb: str, role: str
) -> None:
    cast.flag()
    for prepare, act in OWNERS[verb][:1]:
        made, who = prepare(cast), someone(role)
        if role in VERBS[verb].roles:
            act(cast, who, made)
        else:
            with pytest.raises(ForbiddenError, match="needs the role"):
                act(cast, who, made)


@pytest.mark.parametrize("verb", [verb for verb in OWNERS if len(OWNERS[verb]) > 1])
def test_the_other_functions_of_a_verb_ask_for_it_too(
    cast: Cast, someone: Callable[[str], Actor], verb: str
) -> None:
    cast.flag()
    prepare, act = OWNERS[verb][1]
    made = prepare(cast)
    with pytest.raises(ForbiddenError):
        act(cast, someone(Role.VIEWER), made)
    act(cast, cast.actor("administrator"), made)


@pytest.mark.parametrize("role", WHO)
@pytest.mark.parametrize("verb", VERBS)
def test_permission_is_a_queryset_of_projects(
    cast: Cast, someone: Callable[[str], Actor], verb: str, role: str
) -> None:
    who = someone(role)
    allowed = role in VERBS[verb].roles
    assert may(who, verb, cast.project) is allowed
    everywhere = {"other", "shop"} if role == SYSTEM else {"shop"}
    assert set(projects_where(who, verb).values_list("key", flat=True)) == (everywhere if allowed else set())


def test_a_role_in_one_project_is_none_in_another(cast: Cast) -> None:
    for verb in VERBS:
        assert not may(cast.actor("outsider"), verb, cast.project)


def test_a_refusal_says_which_role_is_needed(cast: Cast) -> None:
    with pytest.raises(ForbiddenError, match=r"Administrator or On-call\. Ask an administrator"):
        require(cast.actor("viewer"), "flag.kill", cast.project)


def test_a_verb_that_is_not_in_the_table_is_a_mistake(cast: Cast) -> None:
    with pytest.raises(KeyError):
        may(cast.actor("administrator"), "world.rule", cast.project)


def test_what_was_read_for_a_page_authorises_no_change(cast: Cast) -> None:
    for ask in (may, require, require_in_organisation):
        assert "held" not in signature(ask).parameters


def test_roles_are_not_taken_for_another_actors(cast: Cast) -> None:
    of_root = Held(cast.actor("root"))
    with pytest.raises(ValueError, match="another actor"):
        projects_where(cast.actor("outsider"), "project.view", of_root)
    of_the_shop = Held(cast.actor("author"), cast.project)
    with pytest.raises(ValueError, match="another project"):
        projects_where(cast.actor("author"), "project.view", of_the_shop)
