"""A provider says that somebody is signed out there: the sessions that it opened end, and nobody else says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from django.test import Client

from access import issuers
from access.models import IdentityProvider, User
from audit.models import Event
from tests.access.openid_provider import ANOTHER_KEY, KEY, OpenIdProvider, browser, sign_in
from tests.cast import PASSWORD, Cast

EVENTS = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.fixture(autouse=True)
def asked_anew(acme: IdentityProvider) -> Iterator[None]:
    issuers.forget()
    yield
    issuers.forget()


def says(openid: OpenIdProvider, *, key: Any = KEY, **claims: Any) -> int:
    """The provider posts a logout token, as a server does: without cookies."""
    now = int(time.time())
    whole = {
        "iss": openid.issuer,
        "aud": "countersign",
        "iat": now,
        "exp": now + 120,
        "jti": "j-1",
        "events": EVENTS,
        "sub": "s-1",
        **claims,
    }
    present = {name: value for name, value in whole.items() if value is not None}
    token = jwt.encode(present, key, "RS256", headers={"kid": "1", "typ": "logout+jwt"})
    server = Client(headers={"Host": "localhost:8000"}, enforce_csrf_checks=True)
    return server.post("/sign-in/acme/logged-out/", {"logout_token": token}).status_code


def is_in(client: Client) -> bool:
    return client.get("/api/v1/me").status_code == 200


def test_the_sessions_that_the_provider_opened_end_at_once_and_others_go_on(
    cast: Cast, openid: OpenIdProvider
) -> None:
    theirs, another, local = browser(), browser(), browser()
    sign_in(theirs, openid, "s-1")
    sign_in(another, openid, "s-2")
    local.post("/admin/login/", {"username": "viewer", "password": PASSWORD})
    assert says(openid) == 200
    assert [is_in(each) for each in (theirs, another, local)] == [False, True, True]
    person = User.objects.get(socialaccount__uid="s-1")
    event = Event.objects.get(type="access.v1.session.ended")
    assert (event.subject, event.actor) == (f"access/{person.pseudonym}", "system:sign-in")
    assert says(openid) == 200, "again, or for whom nobody knows, changes nothing"
    assert says(openid, sub="nobody") == 200
    assert Event.objects.filter(type="access.v1.session.ended").count() == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": ANOTHER_KEY},
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"exp": int(time.time()) - 3600},
        {"events": {}},
        {"events": None},
        {"nonce": "of-a-sign-in"},
        {"sub": None},
        {"sub": 7},
        {"jti": None},
    ],
)
def test_a_forged_token_and_one_of_a_sign_in_end_nothing(
    openid: OpenIdProvider, wrong: dict[str, Any]
) -> None:
    client = browser()
    sign_in(client, openid, "s-1")
    assert says(openid, **wrong) == 400
    assert is_in(client)


def test_what_is_no_token_is_refused(acme: IdentityProvider) -> None:
    for given in ("", "x", "a.b.c", "x" * 20_000):
        assert browser().post("/sign-in/acme/logged-out/", {"logout_token": given}).status_code == 400
    assert browser().post("/sign-in/nobody/logged-out/", {"logout_token": "x"}).status_code == 404


def test_a_token_that_was_kept_ends_no_session_that_began_later(openid: OpenIdProvider) -> None:
    client = browser()
    sign_in(client, openid, "s-1")
    assert says(openid, iat=int(time.time()) - 300) == 200
    assert is_in(client)
