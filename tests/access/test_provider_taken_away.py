"""Disabling a provider, or taking it away: what its groups gave and the sessions that it opened go at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from access import grants, teams
from access.grants import LastAdministratorError
from access.models import IdentityProvider, Membership, OrganisationMembership, Team, TeamMember, User
from access.permissions import user_actor
from access.roles import Role
from access.signin import providers
from access.signin.taking_back import given_by
from approvals import workflow
from approvals.errors import GateError
from approvals.models import ChangeRequest
from approvals.waiting import approvals_by
from audit.models import Event
from audit.recording import recording
from tests.access.openid_provider import OpenIdProvider, browser, sign_in
from tests.cast import Cast

EVERYTHING = ("reviewers", "payments", "platform")
DISABLE, DELETE = {"disable": "1"}, {"delete": "1"}
TAKING = "/admin/sign-in/acme/take-away/"


@pytest.fixture(autouse=True)
def rules(cast: Cast, acme: IdentityProvider) -> None:
    root = cast.actor("root")
    teams.save_team(root, "payments", name="Payments", members=[cast.users["author"].pseudonym])
    given: list[dict[str, Any]] = [
        {"group": "reviewers", "project": "shop", "role": "reviewer"},
        {"group": "owners", "project": "shop", "role": "administrator"},
        {"group": "payments", "team": "payments"},
        {"group": "platform", "role": "organisation-administrator"},
    ]
    providers.save_provider(root, "acme", {"rules": given})


def enter(openid: OpenIdProvider, *groups: str) -> tuple[Client, User]:
    """Mia signs in with these groups, in a new browser."""
    client = browser()
    sign_in(client, openid, "mia", preferred_username="mia", groups=list(groups))
    return client, User.objects.get(pk=client.session["_auth_user_id"])


def is_signed_in(client: Client) -> bool:
    return client.get("/api/v1/me").status_code == 200


def signed_in(cast: Cast, name: str) -> Client:
    client = browser()
    client.force_login(cast.users[name])
    return client


@pytest.mark.parametrize("act", [DISABLE, DELETE], ids=["disabled", "taken away"])
def test_all_that_it_gave_goes_at_once_as_was_said_in_numbers(
    cast: Cast, openid: OpenIdProvider, acme: IdentityProvider, act: dict[str, str]
) -> None:
    cast.flag()
    mias, mia = enter(openid, *EVERYTHING)
    grants.grant(cast.actor("administrator"), cast.project, mia.pseudonym, Role.VIEWER)
    local = signed_in(cast, "root")
    request = cast.propose()
    request = workflow.approve(user_actor(mia, "ui"), request, digest=request.digest)
    given = given_by(acme)
    numbers = {"people": 1, "roles": 1, "teams": 1, "organisation_roles": 1, "sessions": 1, "shut_out": 1}
    assert given.numbers == numbers
    assert approvals_by(given.members) == (1 if request.state == ChangeRequest.State.APPROVED else 0)
    said = " ".join(local.get(TAKING).content.decode().split())
    assert "mia" in said
    assert "no other way to sign in" in said
    before = Event.objects.count()
    assert local.post(TAKING, act).status_code == 302
    assert Event.objects.count() == before + (5 if act == DISABLE else 6)
    assert set(Membership.objects.filter(member=mia.pseudonym).values_list("role", flat=True)) == {"viewer"}
    assert not OrganisationMembership.objects.filter(member=mia.pseudonym).exists()
    assert Team.objects.get().document["members"] == [cast.users["author"].pseudonym]
    assert not is_signed_in(mias)
    assert is_signed_in(local)
    assert SocialAccount.objects.exists() is (act == DISABLE)
    assert IdentityProvider.objects.exists() is (act == DISABLE)
    assert browser().post("/sign-in/acme/").status_code == 404


def test_approvals_of_whoever_lost_their_role_by_it_no_longer_count(
    cast: Cast, openid: OpenIdProvider
) -> None:
    cast.flag()
    _, mia = enter(openid, "reviewers")
    request = cast.propose(scheduled_at=None)
    request = workflow.approve(user_actor(mia, "ui"), request, digest=request.digest)
    assert request.state == ChangeRequest.State.APPROVED
    providers.save_provider(cast.actor("root"), "acme", {"is_enabled": False})
    with pytest.raises(GateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)
    providers.save_provider(cast.actor("root"), "acme", {"is_enabled": True})
    with pytest.raises(GateError, match="0 of 1 approvals"):
        workflow.apply(cast.actor("author"), request)
    enter(openid, "reviewers")
    workflow.apply(cast.actor("author"), request)


def test_a_session_of_the_same_person_by_their_password_goes_on(cast: Cast, openid: OpenIdProvider) -> None:
    mias, mia = enter(openid)
    local = browser()
    local.force_login(mia)
    providers.save_provider(cast.actor("root"), "acme", {"is_enabled": False})
    assert (is_signed_in(mias), is_signed_in(local)) == (False, True)


def test_the_last_administrator_of_a_project_stays_and_is_nobodys_to_take_by_rule(
    cast: Cast, openid: OpenIdProvider, acme: IdentityProvider
) -> None:
    _, mia = enter(openid, "owners")
    for row in Membership.objects.filter(project=cast.project, role=Role.ADMINISTRATOR):
        if row.member != mia.pseudonym:
            grants.revoke(cast.actor("root"), row)
    providers.delete_provider(cast.actor("root"), acme)
    row = Membership.objects.get(member=mia.pseudonym)
    assert (row.role, row.given_by) == (Role.ADMINISTRATOR, "")
    event = Event.objects.filter(subject=row.ledger_subject).order_by("-index")[0]
    assert json.loads(event.line)["data"]["after"] == {"roles": ["administrator"]}


def test_an_organisation_that_nobody_could_administer_any_more_keeps_its_provider(
    cast: Cast, openid: OpenIdProvider, acme: IdentityProvider
) -> None:
    _, mia = enter(openid, "reviewers")
    grants.appoint(cast.actor("root"), mia.pseudonym, "organisation-administrator")
    actor = user_actor(mia, "ui")
    root = cast.users["root"]
    root.set_unusable_password()
    root.save()
    for act in (
        lambda: providers.save_provider(actor, "acme", {"is_enabled": False}),
        lambda: providers.delete_provider(actor, acme),
    ):
        with pytest.raises(LastAdministratorError, match="could sign in"):
            act()
    assert Membership.objects.filter(member=mia.pseudonym).exists()
    assert IdentityProvider.objects.get().is_enabled


def test_a_provider_is_disabled_though_a_rule_of_it_names_what_is_gone(cast: Cast) -> None:
    TeamMember.objects.all().delete()
    team = Team.objects.get()
    with recording(cast.actor("root")) as record:  # no verb does it while a rule names it; an older build did
        record.event("access.v1.team.changed", team.ledger_subject, before=team.document, after=None)
        team.delete()
    providers.save_provider(cast.actor("root"), "acme", {"is_enabled": False})
    assert not IdentityProvider.objects.get().is_enabled
