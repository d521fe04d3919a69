"""Giving and taking roles, service accounts and tokens."""

from __future__ import annotations

import json
import threading
from datetime import timedelta

import pytest
from django.db import connections
from django.utils import timezone

from access import grants, machines
from access.grants import LastAdministratorError
from access.machines import NameTakenError
from access.models import ApiToken, Membership
from access.permissions import ForbiddenError, system_actor
from access.roles import Role
from audit.models import Event
from tests.cast import Cast


def membership(cast: Cast, name: str) -> Membership:
    return Membership.objects.get(member=cast.users[name].pseudonym, project=cast.project)


def test_roles_of_a_person_are_one_document_in_the_ledger(cast: Cast) -> None:
    administrator, person = cast.actor("administrator"), cast.users["viewer"].pseudonym
    grants.grant(administrator, cast.project, person, Role.EDITOR)
    grants.grant(administrator, cast.project, person, Role.EDITOR)
    for row in Membership.objects.filter(member=person).order_by("-role"):
        grants.revoke(administrator, row)
    events = Event.objects.filter(subject=f"access/project/shop/member/{person}").order_by("index")
    story = [json.loads(event.line)["data"] for event in events]
    assert [each["after"] for each in story] == [
        {"roles": ["viewer"]},
        {"roles": ["editor", "viewer"]},
        {"roles": ["editor"]},
        None,
    ]
    assert [each["before"] for each in story] == [None, *(each["after"] for each in story[:-1])]


def test_an_unknown_role_is_refused(cast: Cast) -> None:
    with pytest.raises(ValueError, match="king"):
        grants.grant(cast.actor("administrator"), cast.project, cast.users["viewer"].pseudonym, "king")


def test_nobody_founds_a_project_that_has_people(cast: Cast) -> None:
    with pytest.raises(ForbiddenError):
        grants.grant(
            cast.actor("outsider"),
            cast.project,
            cast.users["outsider"].pseudonym,
            Role.ADMINISTRATOR,
            founding=True,
        )


def test_the_last_administrator_stays(cast: Cast) -> None:
    grants.revoke(cast.actor("administrator"), membership(cast, "root"))
    with pytest.raises(LastAdministratorError):
        grants.revoke(cast.actor("administrator"), membership(cast, "administrator"))


def test_two_administrators_who_remove_each_other_leave_one(committed_cast: Cast) -> None:
    cast = committed_cast
    barrier = threading.Barrier(2)
    told: list[str] = []

    def remove(by: str, whom: str) -> None:
        try:
            row = membership(cast, whom)
            barrier.wait()
            grants.revoke(cast.actor(by), row)
        except (LastAdministratorError, ForbiddenError) as error:
            told.append(str(error))
        finally:
            connections.close_all()

    threads = [
        threading.Thread(target=remove, args=pair)
        for pair in (("root", "administrator"), ("administrator", "root"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told) == 1
    assert Membership.objects.filter(project=cast.project, role=Role.ADMINISTRATOR).count() == 1


def test_service_accounts_are_made_by_organisation_administrators_under_names_of_their_own(
    cast: Cast,
) -> None:
    with pytest.raises(ForbiddenError):
        machines.create_service_account(cast.actor("administrator"), "pipeline")
    machines.create_service_account(cast.actor("root"), "pipeline")
    with pytest.raises(NameTakenError):
        machines.create_service_account(cast.actor("root"), "pipeline")
    assert Event.objects.filter(type="access.v1.service_account.created").count() == 1


def test_a_token_is_shown_once_and_only_its_hash_is_kept(cast: Cast) -> None:
    token, secret = machines.issue_token(cast.actor("author"), cast.users["author"], "laptop")
    assert token.hash == ApiToken.hash_of(secret)
    assert secret not in json.dumps(list(Event.objects.values_list("line", flat=True)))
    assert token.is_usable


def test_tokens_are_made_and_revoked_by_their_holder_or_an_organisation_administrator(cast: Cast) -> None:
    author, other = cast.actor("author"), cast.actor("administrator")
    with pytest.raises(ForbiddenError):
        machines.issue_token(other, cast.users["author"], "laptop")
    token, _ = machines.issue_token(author, cast.users["author"], "laptop")
    with pytest.raises(ForbiddenError):
        machines.revoke_token(other, token)
    machines.revoke_token(cast.actor("root"), token)
    machines.revoke_token(author, token)
    token.refresh_from_db()
    assert not token.is_usable
    assert Event.objects.filter(type="access.v1.token.revoked").count() == 1


def test_a_token_ends_when_it_was_to_end(cast: Cast) -> None:
    token, _ = machines.issue_token(
        cast.actor("author"), cast.users["author"], "laptop", timezone.now() - timedelta(seconds=1)
    )
    assert not token.is_usable


def test_nobody_makes_a_token_in_the_name_of_another_person(cast: Cast) -> None:
    for somebody in (cast.actor("root"), cast.actor("administrator"), system_actor("scheduler")):
        with pytest.raises(ForbiddenError, match="by themselves"):
            machines.issue_token(somebody, cast.users["reviewer"], "laptop")
    assert not ApiToken.objects.exists()
