"""Accounts: made, changed and given passwords by organisation administrators, and the ledger says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from access import accounts, grants, teams
from access.grants import LastAdministratorError
from access.models import User
from access.permissions import ForbiddenError
from access.roles import OrganisationRole
from audit.models import Event
from tests.cast import PASSWORD, Cast


@pytest.fixture
def root(cast: Cast) -> Client:
    client = Client(headers={"Host": "localhost"})
    client.force_login(cast.users["root"])
    return client


def told(kind: str) -> list[tuple[str, dict[str, Any]]]:
    events = Event.objects.filter(type=f"access.v1.account.{kind}").order_by("index")
    return [(event.subject, json.loads(event.line)["data"]) for event in events]


def form(user: User, **members: str) -> dict[str, str]:
    whole = {"username": user.username, "first_name": user.first_name, "email": user.email, "is_active": "on"}
    return {**whole, "last_name": "", **members}


def test_a_new_account_has_a_password_no_role_and_an_event_without_its_name(cast: Cast, root: Client) -> None:
    password = {"password1": PASSWORD, "password2": PASSWORD}
    sent = {"username": "newcomer", "first_name": "Nadja", "email": "nadja@example.com", **password}
    assert root.post("/admin/accounts/new/", sent).status_code == 302
    made = User.objects.get(username="newcomer")
    assert made.check_password(PASSWORD)
    [(subject, data)] = told("created")
    assert (subject, data["after"]) == (
        f"access/{made.pseudonym}",
        {"active": True, "superuser": False},
    )
    line = Event.objects.get(type="access.v1.account.created").line
    assert not any(word in str(line) for word in ("newcomer", "Nadja", "nadja@example.com"))


def test_a_weak_or_mistyped_password_makes_no_account(cast: Cast, root: Client) -> None:
    for first, second in (("short", "short"), (PASSWORD, "something else")):
        sent = {"username": "newcomer", "password1": first, "password2": second}
        assert root.post("/admin/accounts/new/", sent).status_code == 422
    assert not User.objects.filter(username="newcomer").exists()


def test_standing_is_recorded_and_what_is_known_only_by_the_name_of_the_member(
    cast: Cast, root: Client
) -> None:
    viewer = cast.users["viewer"]
    page = f"/admin/accounts/{viewer.pk}/"
    changed = form(viewer, first_name="Renamed", pseudonym="user:stolen", is_superuser="on")
    assert root.post(page, changed).status_code == 302
    again = User.objects.get(pk=viewer.pk)
    assert (again.first_name, again.pseudonym, again.is_superuser) == ("Renamed", viewer.pseudonym, True)
    [(_, data)] = told("changed")
    assert data["changed"] == ["first_name"]
    assert (data["before"]["superuser"], data["after"]["superuser"]) == (False, True)
    assert root.post(page, changed).status_code == 302
    assert len(told("changed")) == 1  # nothing changed


def test_the_form_shows_the_standing_that_it_would_keep(cast: Cast, root: Client) -> None:
    shown = root.get(f"/admin/accounts/{cast.users['root'].pk}/").context["form"]
    assert (shown["is_active"].value(), shown["is_superuser"].value()) == (True, True)
    shown = root.get(f"/admin/accounts/{cast.users['viewer'].pk}/").context["form"]
    assert (shown["is_active"].value(), shown["is_superuser"].value()) == (True, False)


def test_a_password_set_by_somebody_else_is_recorded_and_ends_sessions(cast: Cast, root: Client) -> None:
    viewer = cast.users["viewer"]
    session = Client(headers={"Host": "localhost"})
    session.force_login(viewer)
    assert session.get("/admin/p/shop/flags/").status_code == 200
    new = "another horse battery"
    page = f"/admin/accounts/{viewer.pk}/password/"
    assert root.post(page, {"password1": new, "password2": new}).status_code == 302
    assert session.get("/admin/p/shop/flags/").status_code == 302
    [(subject, data)] = told("password_set")
    assert subject == f"access/{viewer.pseudonym}"
    assert data["actor"]["id"] == cast.users["root"].pseudonym


def test_only_organisation_administrators_manage_accounts(cast: Cast) -> None:
    who, viewer = cast.actor("administrator"), cast.users["viewer"]
    for act in (
        lambda: accounts.create_account(who, PASSWORD, username="mine"),
        lambda: accounts.set_password(who, viewer, PASSWORD),
        lambda: accounts.change_account(who, viewer, is_active=True, is_superuser=True, personal={}),
    ):
        with pytest.raises(ForbiddenError, match="Organisation administrator"):
            act()


def test_the_last_administrator_of_the_organisation_stays(cast: Cast, root: Client) -> None:
    user = cast.users["root"]
    refused = root.post(f"/admin/accounts/{user.pk}/", form(user))
    assert refused.status_code == 409
    assert User.objects.get(pk=user.pk).is_superuser
    team = teams.save_team(cast.actor("root"), "ops", name="Ops", members=[cast.users["viewer"].pseudonym])
    row = grants.appoint(cast.actor("root"), team.pseudonym, OrganisationRole.ORGANISATION_ADMINISTRATOR)
    assert root.post(f"/admin/accounts/{user.pk}/", form(user)).status_code == 302
    who = cast.actor("viewer")
    with pytest.raises(LastAdministratorError):
        grants.dismiss(who, row)
    with pytest.raises(LastAdministratorError):
        teams.save_team(who, "ops", name="Ops", members=[])
    with pytest.raises(teams.InUseError, match="Organisation administrator"):
        teams.delete_team(who, team)


def test_who_was_erased_gets_no_name_and_no_password(cast: Cast) -> None:
    from access import erasure

    viewer = cast.users["viewer"]
    erasure.erase(cast.actor("root"), viewer)
    with pytest.raises(accounts.ErasedError):
        accounts.set_password(cast.actor("root"), viewer, PASSWORD)


def test_ones_own_new_password_is_in_the_ledger_and_nothing_of_it(cast: Cast) -> None:
    client = Client(headers={"Host": "localhost"})
    client.post("/admin/login/", {"username": "viewer", "password": PASSWORD})
    new = "another battery, staple"
    form = {"old_password": PASSWORD, "new_password1": new, "new_password2": new}
    assert client.post("/admin/password_change/", form).status_code == 302
    event = Event.objects.get(type="access.v1.account.password_changed")
    assert event.actor == cast.users["viewer"].pseudonym
    assert new not in str(event.line)
