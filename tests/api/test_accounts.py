"""`accounts`, `sessions`, `lockouts`: what organisation administrators do on pages, they do over the API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from axes.models import AccessAttempt
from django.core.exceptions import ValidationError
from django.test import Client
from django.utils import timezone

from access import accounts, grants, machines
from access.models import StoredAnswer, User
from access.permissions import user_actor
from access.roles import OrganisationRole
from access.signin import providers
from audit.jcs import digest
from audit.models import Event
from tests.api.conftest import Api
from tests.cast import PASSWORD


def test_an_account_is_made_without_a_role_and_found(api: Api) -> None:
    body = {"username": "nadja", "first_name": "Nadja", "email": "nadja@example.com", "password": PASSWORD}
    made = api.post("root", "accounts", body)
    assert made.status == 201
    assert "password" not in made.body
    assert made.body["is_active"]
    assert made.body["identities"] == made.body["second_factors"] == []
    assert User.objects.get(username="nadja").check_password(PASSWORD)
    assert api.get("root", "accounts?q=nadja+example").results == [made.body]
    assert api.get("root", "accounts?q=nadja&is_active=false").results == []
    assert api.get("root", f"accounts/{made.body['id']}").body == made.body
    assert Event.objects.get(type="access.v1.account.created").actor == api.cast.users["root"].pseudonym


def test_without_a_password_nobody_signs_in_by_one(api: Api) -> None:
    api.post("root", "accounts", {"username": "nadja"})
    assert not User.objects.get(username="nadja").has_usable_password()


def test_passwords_follow_the_rules_of_the_pages(api: Api) -> None:
    author = api.cast.users["author"].pseudonym
    for password in ("short", "password1234", "nadja-nadja1"):
        refused = api.post("root", "accounts", {"username": "nadja-nadja", "password": password})
        assert (refused.status, refused.body["member"]) == (422, "password")
    assert api.post("root", f"accounts/{author}/password", {"password": "short"}).status == 422
    assert api.cast.users["author"].check_password(PASSWORD)
    _token, secret = machines.issue_token(
        user_actor(api.cast.users["author"], "cli"), api.cast.users["author"], "t"
    )
    assert api.post("root", f"accounts/{author}/password", {"password": "hares in the oats"}).status == 204
    assert User.objects.get(pseudonym=author).check_password("hares in the oats")
    assert api.get(None, "me", Authorization=f"Bearer {secret}").status == 401


def test_what_is_taken_is_told_by_name(api: Api) -> None:
    refused = api.post("root", "accounts", {"username": "author"})
    assert (refused.status, refused.body["member"]) == (422, "username")


def test_a_password_that_is_sent_once_is_not_guessed_from_the_stored_answer(api: Api) -> None:
    body = {"username": "nadja", "password": PASSWORD}
    first, again = (api.post("root", "accounts", body, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert User.objects.filter(username="nadja").count() == 1
    assert StoredAnswer.objects.get().digest not in (digest(body), digest([{}, body]).partition(":")[2])
    other = api.post("root", "accounts", {**body, "password": "x" * 20}, **{"Idempotency-Key": "k"})
    assert other.status == 422


def test_an_account_is_made_inactive_and_active_again_and_the_rest_stays(api: Api) -> None:
    author = api.cast.users["author"]
    assert api.get("author", "me").status == 200
    for is_active, status in ((False, 401), (True, 200)):
        answer = api("root", "PATCH", f"accounts/{author.pseudonym}", {"is_active": is_active})
        assert (answer.status, answer.body["is_active"]) == (200, is_active)
        assert api.get("author", "me").status == status
    author.refresh_from_db()
    assert author.username == "author"


def test_the_last_administrator_stays_active(api: Api) -> None:
    root = api.cast.users["root"].pseudonym
    assert api("root", "PATCH", f"accounts/{root}", {"is_active": False}).status == 409


def test_whoever_manages_no_accounts_is_not_told_who_exists(api: Api) -> None:
    author = api.cast.users["author"].pseudonym
    for address in ("accounts", f"accounts/{author}", "accounts/user:nobody"):
        assert api.get("administrator", address).status == 403
    for name, address in (
        ("sessions/end", {"account": author}),
        ("sessions/end", {"account": "user:nobody"}),
    ):
        assert api.post("administrator", name, address).status == 403
    assert api.post("administrator", "sessions/1/end").status == 403
    assert api.get("root", "accounts/user:nobody").status == 404


def test_an_identity_is_linked_once_and_unlinked(api: Api) -> None:
    members = {"name": "Acme", "issuer": "https://login.example.com", "client_id": "countersign"}
    providers.save_provider(api.cast.actor("root"), "acme", members)
    address = f"accounts/{api.cast.users['author'].pseudonym}/identities/acme"
    for _ in range(2):
        linked = api.put("root", address, {"subject": "s-1"})
        assert (linked.status, linked.body["identities"]) == (200, [{"provider": "acme", "subject": "s-1"}])
    assert api.put("root", address, {"subject": "s-2"}).status == 409
    assert api.put("root", address.replace("acme", "nobody"), {"subject": "s-1"}).status == 404
    for method, body in (("PUT", {"subject": "s-1"}), ("DELETE", None)):
        assert api("author", method, address, body).status == 403
    assert api("root", "DELETE", address).status == 204
    assert not SocialAccount.objects.exists()
    kinds = Event.objects.filter(type__in=("access.v1.account.linked", "access.v1.account.unlinked"))
    assert kinds.count() == 2


@pytest.fixture
def browser(api: Api) -> Client:
    """The author, signed in with a password."""
    client = Client(headers={"Host": "localhost", "User-Agent": "Mozilla/5.0 (X11; Linux) Firefox/140.0"})
    client.post("/admin/login/", {"username": "author", "password": PASSWORD})
    return client


def test_people_see_and_end_their_own_sessions(api: Api, browser: Client) -> None:
    [session] = api.get("author", "sessions").results
    assert (session["device"], session["is_this"]) == ("Firefox on Linux", False)
    assert [each["is_this"] for each in browser.get("/api/v1/sessions").json()["results"]] == [True]
    assert api.post("viewer", f"sessions/{session['id']}/end").status == 403
    assert api.post("author", f"sessions/{session['id']}/end").body == {"ended": 1}
    assert browser.get("/api/v1/me").status_code in (401, 403)
    assert api.get("author", "sessions").results == []


def test_ending_all_spares_the_one_that_asks(api: Api, browser: Client) -> None:
    other = Client(headers={"Host": "localhost"})
    other.post("/admin/login/", {"username": "author", "password": PASSWORD})
    ended = browser.post("/api/v1/sessions/end", {}, "application/json")
    assert ended.json() == {"ended": 1}
    assert browser.get("/api/v1/me").status_code == 200


def test_administrators_end_somebody_elses_and_it_is_recorded(api: Api, browser: Client) -> None:
    author = api.cast.users["author"].pseudonym
    assert len(api.get("root", f"sessions?account={author}").results) == 1
    assert api.post("root", "sessions/end", {"account": author}).body == {"ended": 1}
    assert Event.objects.get(type="access.v1.session.ended").actor == api.cast.users["root"].pseudonym


def test_a_limited_token_reaches_nobodys_sessions(api: Api) -> None:
    root = api.cast.users["root"]
    _token, secret = machines.issue_token(
        user_actor(root, "cli"), root, "narrow", scope={"verbs": ["project.view"]}
    )
    bearer = {"Authorization": f"Bearer {secret}"}
    assert api.get(None, "sessions", **bearer).status == 403
    assert api.post(None, "sessions/end", {}, **bearer).status == 403
    assert api.get(None, "accounts", **bearer).status == 403


def test_lockouts_are_listed_and_forgotten(api: Api, settings: Any) -> None:
    settings.AXES_FAILURE_LIMIT = 2
    viewer = api.cast.users["viewer"]
    for name, address in (("viewer", "192.0.2.1"), ("viewer", "192.0.2.2"), ("nobody", "192.0.2.1")):
        AccessAttempt.objects.create(
            username=name, ip_address=address, attempt_time=timezone.now(), failures_since_start=1
        )
    found = api.get("root", "lockouts").results
    assert [(each["account"], each["address"]) for each in found] == [
        (viewer.pseudonym, ""),
        (None, "192.0.2.1"),
    ]
    assert api.get("administrator", "lockouts").status == 403
    for body in ({}, {"account": viewer.pseudonym, "address": "192.0.2.1"}):
        assert api.post("root", "lockouts/unlock", body).status == 422
    assert api.post("root", "lockouts/unlock", {"account": "user:nobody"}).status == 404
    for body in ({"account": viewer.pseudonym}, {"address": "192.0.2.1"}):
        assert api.post("administrator", "lockouts/unlock", body).status == 403
        assert api.post("root", "lockouts/unlock", body).status == 204
    assert api.get("root", "lockouts").results == []


def test_a_role_of_the_organisation_is_given_to_nobody_who_does_not_exist(api: Api) -> None:
    for member in ("user:nobody", "Author", ""):
        with pytest.raises(ValidationError) as refused:
            grants.appoint(api.cast.actor("root"), member, OrganisationRole.ORGANISATION_AUDITOR)
        assert list(refused.value.message_dict) == ["member"]
    made = accounts.create_account(api.cast.actor("root"), None, username="nadja")
    assert grants.appoint(api.cast.actor("root"), made.pseudonym, OrganisationRole.ORGANISATION_AUDITOR)
    assert "nadja" not in json.dumps([event.line for event in Event.objects.all()])
