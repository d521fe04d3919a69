"""What a provider's groups give: read again at every sign-in, given and taken at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from access import grants, teams
from access.limits import Limits
from access.models import IdentityProvider, Membership, OrganisationMembership, Team, User
from access.permissions import may, may_in_organisation, user_actor
from access.roles import Role
from access.signin import providers
from access.signin.rules import groups_in
from approvals import workflow
from approvals.errors import GateError
from approvals.models import ChangeRequest
from audit.models import Event
from tests.access.openid_provider import OpenIdProvider, browser, sign_in
from tests.cast import Cast

REVIEWERS = {"group": "reviewers", "project": "shop", "role": "reviewer"}


@pytest.fixture(autouse=True)
def rules(cast: Cast, acme: IdentityProvider) -> None:
    root = cast.actor("root")
    teams.save_team(root, "payments", name="Payments", members=[])
    given: list[dict[str, Any]] = [
        REVIEWERS,
        {
            "group": "developers",
            "project": "shop",
            "role": "editor",
            "limits": {"environments": ["development"]},
        },
        {"group": "leads", "project": "shop", "role": "editor"},
        {"group": "payments", "team": "payments"},
        {"group": "platform", "role": "organisation-administrator"},
        {"group": "owners", "project": "shop", "role": "administrator"},
    ]
    providers.save_provider(root, "acme", {"rules": given})


def enter(openid: OpenIdProvider, *groups: str, subject: str = "mia") -> User:
    """Somebody signs in, in a new browser, with these groups."""
    client = browser()
    sign_in(client, openid, subject, preferred_username=subject, groups=list(groups))
    return User.objects.get(pk=client.session["_auth_user_id"])


def roles(person: User) -> dict[str, dict[str, Any]]:
    return dict(Membership.objects.filter(member=person.pseudonym).values_list("role", "limits"))


def test_groups_give_roles_teams_and_roles_of_the_organisation(cast: Cast, openid: OpenIdProvider) -> None:
    mia = enter(openid, "reviewers", "payments", "platform", "something else")
    actor = user_actor(mia, "ui")
    assert roles(mia) == {"reviewer": {}}
    assert Team.objects.get(key="payments").document["members"] == [mia.pseudonym]
    assert may_in_organisation(actor, "organisation.manage")
    assert may(actor, "change.approve", cast.project)


def test_what_the_groups_no_longer_give_is_taken_and_recorded(cast: Cast, openid: OpenIdProvider) -> None:
    mia = enter(openid, "reviewers", "payments", "platform")
    enter(openid, "developers")
    assert roles(mia) == {"editor": {"environments": ["development"]}}
    assert Team.objects.get(key="payments").document["members"] == []
    assert not OrganisationMembership.objects.exists()
    story = [
        (event.actor, json.loads(event.line)["data"]["after"])
        for event in Event.objects.filter(subject=f"access/project/shop/member/{mia.pseudonym}").order_by(
            "index"
        )
    ]
    assert story == [
        ("system:sign-in", {"roles": [{"role": "reviewer", "given_by": "acme"}]}),
        (
            "system:sign-in",
            {"roles": [{"role": "editor", "environments": ["development"], "given_by": "acme"}]},
        ),
    ]


def test_a_sign_in_that_changes_nothing_records_nothing(openid: OpenIdProvider) -> None:
    enter(openid, "reviewers", "payments", "platform")
    before = Event.objects.count()
    enter(openid, "reviewers", "payments", "platform")
    assert Event.objects.count() == before


def test_losing_a_group_takes_rights_from_a_session_that_is_open(cast: Cast, openid: OpenIdProvider) -> None:
    client = browser()
    sign_in(client, openid, "mia", groups=["reviewers"])
    assert client.get("/admin/p/shop/people/").status_code == 200
    enter(openid)
    assert client.get("/admin/p/shop/people/").status_code == 404


def test_an_approval_by_somebody_who_lost_the_group_no_longer_counts(
    cast: Cast, openid: OpenIdProvider
) -> None:
    cast.flag()
    mia = enter(openid, "reviewers")
    request = cast.propose(scheduled_at=None)
    request = workflow.approve(user_actor(mia, "ui"), request, digest=request.digest)
    assert request.state == ChangeRequest.State.APPROVED
    enter(openid)
    with pytest.raises(GateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)


def test_roles_given_by_hand_stay(cast: Cast, openid: OpenIdProvider) -> None:
    mia = enter(openid)
    grants.grant(cast.actor("administrator"), cast.project, mia.pseudonym, Role.VIEWER)
    teams.save_team(cast.actor("root"), "payments", name="Payments", members=[mia.pseudonym])
    enter(openid, "reviewers", "payments")
    enter(openid)
    assert roles(mia) == {"viewer": {}}
    assert Team.objects.get(key="payments").document["members"] == [mia.pseudonym]


def test_giving_by_hand_what_a_group_gave_makes_it_stay(cast: Cast, openid: OpenIdProvider) -> None:
    mia = enter(openid, "reviewers", "platform")
    grants.grant(cast.actor("administrator"), cast.project, mia.pseudonym, Role.REVIEWER)
    grants.appoint(cast.actor("root"), mia.pseudonym, "organisation-administrator")
    enter(openid)
    assert roles(mia) == {"reviewer": {}}
    assert OrganisationMembership.objects.filter(member=mia.pseudonym).exists()


def test_of_two_groups_that_give_a_role_the_one_without_limits_wins(openid: OpenIdProvider) -> None:
    mia = enter(openid, "developers", "leads")
    assert roles(mia) == {"editor": {}}
    enter(openid, "developers")
    assert roles(mia) == {"editor": {"environments": ["development"]}}


def test_the_last_administrator_of_a_project_stays_and_is_told(cast: Cast, openid: OpenIdProvider) -> None:
    mia = enter(openid, "owners")
    for row in Membership.objects.filter(project=cast.project, role=Role.ADMINISTRATOR).exclude(
        member=mia.pseudonym
    ):
        grants.revoke(cast.actor("root"), row)
    client = browser()
    sign_in(client, openid, "mia", groups=[])
    assert roles(mia) == {"administrator": {}}
    assert "You stay Administrator of shop" in client.get("/admin/home/", follow=True).content.decode()
    grants.grant(cast.actor("root"), cast.project, cast.users["viewer"].pseudonym, Role.ADMINISTRATOR)
    enter(openid)
    assert roles(mia) == {}


def test_the_last_administrator_of_the_organisation_stays_and_is_told(
    cast: Cast, openid: OpenIdProvider
) -> None:
    mia = enter(openid, "platform", "payments")
    payments = Team.objects.get(key="payments")
    grants.appoint(cast.actor("root"), payments.pseudonym, "organisation-administrator")
    User.objects.exclude(pk=mia.pk).update(is_superuser=False)
    client = browser()
    sign_in(client, openid, "mia", groups=[])
    assert may_in_organisation(user_actor(mia, "ui"), "organisation.manage")
    said = client.get("/admin/home/", follow=True).content.decode()
    assert "You stay Organisation administrator" in said
    assert "You stay in the team Payments" in said


def test_the_last_administrator_of_a_project_is_so_though_an_inactive_account_holds_the_role(
    cast: Cast, openid: OpenIdProvider
) -> None:
    rows = Membership.objects.filter(project=cast.project, role=Role.ADMINISTRATOR)
    first, *others = rows
    User.objects.filter(pseudonym__in=[each.member for each in others]).update(is_active=False)
    with pytest.raises(grants.LastAdministratorError):
        grants.require_another_administrator(first)


def test_nothing_is_given_when_the_ledger_cannot_append(
    openid: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    mia = enter(openid)
    monkeypatch.setattr("audit.ledger.append", _refuse)
    client = browser()
    client.raise_request_exception = False
    assert sign_in(client, openid, "mia", groups=["reviewers"]).status_code == 500
    assert "_auth_user_id" not in client.session
    assert roles(mia) == {}


def _refuse(*_: Any) -> None:
    raise RuntimeError("no ledger")


@pytest.mark.parametrize(
    ("claims", "claim", "groups"),
    [
        ({"groups": ["a", "b", 3]}, "groups", {"a", "b"}),
        ({"groups": "a"}, "groups", {"a"}),
        ({"groups": {"a": 1}}, "groups", set()),
        ({}, "groups", set()),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", {"a"}),
        ({"https://acme.example/groups": ["a"]}, "https://acme.example/groups", {"a"}),
        ({"realm_access": "a"}, "realm_access.roles", set()),
    ],
)
def test_groups_are_read_from_a_list_a_word_or_inside_an_object(
    claims: dict[str, Any], claim: str, groups: set[str]
) -> None:
    assert groups_in(claims, claim) == groups


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        ({"group": "", "team": "payments"}, "names no group"),
        ({"group": "g", "team": "nobody"}, "no team 'nobody'"),
        ({"group": "g", "team": "payments", "role": "editor"}, "also names a role"),
        ({"group": "g", "project": "nowhere", "role": "editor"}, "no project 'nowhere'"),
        ({"group": "g", "project": "shop", "role": "king"}, "no role 'king'"),
        ({"group": "g", "project": "shop", "role": "editor", "limits": {"colour": 1}}, "colour"),
        (
            {"group": "g", "project": "shop", "role": "editor", "limits": {"environments": ["live"]}},
            "limits.environments: .live. is no environment of shop; choose among development, production",
        ),
        ({"group": "g", "role": "editor"}, "without a project"),
        ({"group": "g", "rule": 1}, "is an object of"),
        ("g", "is an object of"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_its_number(cast: Cast, rule: Any, reason: str) -> None:
    with pytest.raises(ValidationError, match=f"rule 2: .*{reason}"):
        providers.save_provider(cast.actor("root"), "acme", {"rules": [REVIEWERS, rule]})


def test_a_limit_given_by_hand_is_not_widened_by_a_group(cast: Cast, openid: OpenIdProvider) -> None:
    mia = enter(openid)
    limits = Limits(environments=frozenset({"development"}))
    grants.grant(cast.actor("administrator"), cast.project, mia.pseudonym, Role.REVIEWER, limits=limits)
    enter(openid, "reviewers")
    assert roles(mia) == {"reviewer": {"environments": ["development"]}}
