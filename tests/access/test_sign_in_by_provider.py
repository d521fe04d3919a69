"""Signing in through an OpenID provider: who one is then, and what is refused."""

from __future__ import annotations

import html
import re
from io import StringIO
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.test import Client

from access.models import IdentityProvider, User
from access.permissions import ForbiddenError
from access.signin import providers
from access.signin.openid import Session, refuse_endpoint
from audit.models import Event
from tests.access.openid_provider import ANOTHER_KEY, SECRET, OpenIdProvider, begin, browser, sign_in
from tests.cast import Cast


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def told(client: Client) -> str:
    return client.get("/admin/login/").content.decode()


def test_the_first_sign_in_makes_an_account_and_the_next_finds_it(
    acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    first, second = browser(), browser()
    claims = {"preferred_username": "mia", "name": "Mia Lindt", "email": "mia@acme.example"}
    answer = sign_in(first, openid, "s-1", **claims)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")
    person = User.objects.get(username="mia")
    assert (str(person), person.email) == ("Mia Lindt", "mia@acme.example")
    assert not person.has_usable_password()
    sign_in(second, openid, "s-1", **{**claims, "name": "Mia Berg"})
    assert second.session["_auth_user_id"] == str(person.pk)
    person.refresh_from_db()
    assert str(person) == "Mia Berg"
    made = Event.objects.get(type="access.v1.account.created")
    assert (made.subject, made.actor) == (f"access/{person.pseudonym}", "system:sign-in")


def test_who_somebody_is_stands_in_their_row_alone(acme: IdentityProvider, openid: OpenIdProvider) -> None:
    sign_in(browser(), openid, "s-1", name="Mia Lindt", email="mia@acme.example")
    assert SocialAccount.objects.get().extra_data == {}
    assert not SocialToken.objects.exists()
    assert not SocialApp.objects.exists()
    assert not any("Lindt" in event.line or "mia@" in event.line for event in Event.objects.all())


def test_the_same_address_makes_neither_a_second_account_nor_somebody_the_same_person(
    cast: Cast, acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    reviewer, client = cast.users["reviewer"], browser()
    before = User.objects.count()
    for verified in (True, False):
        sign_in(client, openid, "s-1", email=reviewer.email.upper(), email_verified=verified)
        assert not is_signed_in(client)
        assert "This address has an account here" in told(client)
    sign_in(client, openid, "s-1", preferred_username="reviewer", email="another@acme.example")
    assert User.objects.get(pk=client.session["_auth_user_id"]).username == "reviewer-2"
    assert User.objects.count() == before + 1


def test_state_nonce_and_pkce_are_always_sent_and_nothing_of_the_request(
    acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    client = browser()
    answer = client.post("/sign-in/acme/?scope=admin&auth_params=prompt%3Dnone&process=connect")
    address = html.unescape(re.search(r'<a href="([^"]+)"', answer.content.decode())[1])  # type: ignore[index]
    client.get(f"/sign-in/acme/callback/?{openid.consent(address, 's-1')}")
    assert is_signed_in(client)
    asked = openid.asked
    assert asked["code_challenge_method"] == "S256"
    assert len(asked["nonce"]) >= 32
    assert asked["redirect_uri"] == "http://localhost:8000/sign-in/acme/callback/"
    assert set(asked["scope"].split()) == {"openid", "profile", "email"}
    assert "prompt" not in asked
    assert openid.token_body["client_secret"] == SECRET


@pytest.mark.parametrize(
    "forged",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another-client"},
        {"aud": ["countersign", "another"], "azp": "another"},
        {"exp": 1_700_000_000},
        {"nonce": "of another sign-in"},
        {"nonce": ""},
    ],
    ids=["issuer", "audience", "azp", "expired", "nonce", "no nonce"],
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(
    acme: IdentityProvider, openid: OpenIdProvider, forged: dict[str, Any]
) -> None:
    openid.forged, client = forged, browser()
    answer = sign_in(client, openid, "s-1")
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")
    assert not is_signed_in(client)
    assert "cannot be trusted" in told(client)
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize(("key", "algorithm"), [(ANOTHER_KEY, "RS256"), (SECRET, "HS256"), (None, "none")])
def test_an_id_token_that_the_provider_did_not_sign_is_refused(
    acme: IdentityProvider, openid: OpenIdProvider, key: Any, algorithm: str
) -> None:
    openid.key, openid.algorithm, client = key, algorithm, browser()
    sign_in(client, openid, "s-1")
    assert not is_signed_in(client)
    assert "cannot be trusted" in told(client)


def test_a_provider_that_speaks_for_another_issuer_is_refused(
    acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    openid.says_issuer, client = "https://elsewhere.example", browser()
    answer = client.post("/sign-in/acme/", {"next": "/admin/home/"})
    assert answer["Location"] == "/admin/login/?next=%2Fadmin%2Fhome%2F"
    assert "cannot be trusted" in told(client)


@pytest.mark.parametrize(
    "endpoint", ["http://login.example.com/token", "javascript:alert(1)", "file:///etc/passwd", ""]
)
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_an_endpoint_that_is_not_safe_is_refused(
    acme: IdentityProvider, openid: OpenIdProvider, name: str, endpoint: str
) -> None:
    openid.endpoints, client = {name: endpoint}, browser()
    assert client.post("/sign-in/acme/")["Location"] == "/admin/login/"
    assert "cannot be trusted" in told(client)


@pytest.mark.parametrize("address", ["localhost:6379", "127.0.0.1", "[::1]:8000", "169.254.169.254"])
def test_a_provider_sends_us_to_no_address_that_is_not_public(address: str) -> None:
    with pytest.raises(OAuth2Error, match="not public"), Session() as session:
        session.post(f"https://{address}/token")


def test_a_provider_elsewhere_sends_us_to_no_host_inside_that_was_named(settings: Any) -> None:
    settings.PRIVATE_ISSUERS = ["https://login.internal/realms/acme"]
    with pytest.raises(OAuth2Error, match="inside"):
        refuse_endpoint("token_endpoint", "https://login.internal/token", "https://login.example.com")
    refuse_endpoint("token_endpoint", "https://login.internal/token", "https://login.internal/realms/acme")


def test_a_provider_inside_is_not_asked_unless_it_is_named(
    cast: Cast, caplog: pytest.LogCaptureFixture
) -> None:
    members = {"name": "Inside", "issuer": "https://127.0.0.1:9", "client_id": "countersign"}
    providers.save_provider(cast.actor("root"), "inside", members)
    assert browser().post("/sign-in/inside/")["Location"] == "/admin/login/"
    assert (
        "not public; whoever runs the server names the issuer in COUNTERSIGN_PRIVATE_ISSUERS" in caplog.text
    )


@pytest.mark.parametrize(
    "page",
    ["socialaccount/socialapp", "socialaccount/socialaccount", "account/emailaddress", "mfa/authenticator"],
)
def test_no_page_writes_what_signs_people_in_past_the_ledger(cast: Cast, page: str) -> None:
    client = browser()
    client.force_login(cast.users["root"])
    assert client.get(f"/admin/{page}/").status_code == 404
    assert client.get(f"/admin/{page}/add/").status_code == 404


def test_userinfo_about_somebody_else_is_refused(acme: IdentityProvider, openid: OpenIdProvider) -> None:
    openid.userinfo, client = {"sub": "s-2", "email": "x@acme.example"}, browser()
    sign_in(client, openid, "s-1")
    assert not is_signed_in(client)


def test_a_state_of_another_browser_is_refused_and_each_is_used_once(
    acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    mine, theirs = browser(), browser()
    query = openid.consent(begin(mine), "s-1")
    theirs.get(f"/sign-in/acme/callback/?{query}")
    assert not is_signed_in(theirs)
    mine.get(f"/sign-in/acme/callback/?{query}")
    assert is_signed_in(mine)
    mine.logout()
    mine.get(f"/sign-in/acme/callback/?{query}")
    assert not is_signed_in(mine)


def test_the_session_gets_a_new_key_when_somebody_signs_in(
    acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    client = browser()
    address = begin(client)
    before = client.session.session_key
    client.get(f"/sign-in/acme/callback/?{openid.consent(address, 's-1')}")
    assert is_signed_in(client)
    assert client.session.session_key != before


@pytest.mark.parametrize(
    ("wanted", "reached"),
    [
        ("/admin/p/shop/people/", "/admin/p/shop/people/"),
        ("https://elsewhere.example/", "/admin/"),
        ("//elsewhere.example/", "/admin/"),
        ("javascript:alert(1)", "/admin/"),
    ],
)
def test_next_leads_nowhere_else(
    acme: IdentityProvider, openid: OpenIdProvider, wanted: str, reached: str
) -> None:
    client = browser()
    query = openid.consent(begin(client, next=wanted), "s-1")
    assert client.get(f"/sign-in/acme/callback/?{query}")["Location"] == reached


def test_a_provider_that_is_down_is_said_kindly_and_the_local_door_stays(
    acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    openid.down, client = True, browser()
    assert client.post("/sign-in/acme/")["Location"] == "/admin/login/"
    page = told(client)
    assert "Acme does not answer as it should" in page
    assert 'name="password"' in page


def test_cancelling_is_said(acme: IdentityProvider, openid: OpenIdProvider) -> None:
    client = browser()
    openid.consent(begin(client), "s-1")
    client.get(f"/sign-in/acme/callback/?error=access_denied&state={openid.asked['state']}")
    assert "You cancelled" in told(client)


def test_a_provider_may_be_kept_from_making_accounts(
    cast: Cast, acme: IdentityProvider, openid: OpenIdProvider
) -> None:
    providers.save_provider(cast.actor("root"), "acme", {"creates_accounts": False})
    client, people = browser(), User.objects.count()
    sign_in(client, openid, "s-1")
    assert not is_signed_in(client)
    assert "no account here" in told(client)
    assert User.objects.count() == people


def test_an_account_that_is_not_active_stays_out(acme: IdentityProvider, openid: OpenIdProvider) -> None:
    sign_in(browser(), openid, "s-1", preferred_username="mia")
    User.objects.filter(username="mia").update(is_active=False)
    client = browser()
    sign_in(client, openid, "s-1")
    assert not is_signed_in(client)


def test_a_disabled_provider_does_not_exist(cast: Cast, acme: IdentityProvider) -> None:
    client = browser()
    assert "Sign in with Acme" in told(client)
    providers.save_provider(cast.actor("root"), "acme", {"is_enabled": False})
    assert client.post("/sign-in/acme/").status_code == 404
    assert client.get("/sign-in/acme/callback/?code=1&state=2").status_code == 404
    assert "Sign in with Acme" not in told(client)


def test_starting_a_sign_in_takes_a_form_of_ours(acme: IdentityProvider) -> None:
    assert browser().get("/sign-in/acme/").status_code == 405
    strict = Client(enforce_csrf_checks=True, headers={"Host": "localhost:8000"})
    assert strict.post("/sign-in/acme/").status_code == 403


def test_the_secret_is_stored_sealed_and_stands_in_no_event_or_history(
    cast: Cast, acme: IdentityProvider
) -> None:
    providers.save_provider(cast.actor("root"), "acme", {}, secret="another-secret-1b")
    stored = [str(row) for row in IdentityProvider.objects.values_list()]
    stored += [str(row) for row in IdentityProvider.history.values_list()]
    stored += [event.line for event in Event.objects.all()]
    assert not any(SECRET in text or "another-secret-1b" in text for text in stored)
    changes = Event.objects.filter(subject="access/identity-provider/acme")
    assert changes.count() == 2


@pytest.mark.parametrize("name", ["administrator", "viewer", "outsider"])
def test_only_organisation_administrators_connect_providers(
    cast: Cast, acme: IdentityProvider, name: str
) -> None:
    with pytest.raises(ForbiddenError):
        providers.save_provider(cast.actor(name), "acme", {"name": "Mine"})
    with pytest.raises(ForbiddenError):
        providers.delete_provider(cast.actor(name), acme)


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example.com",
        "https://user:pass@login.example.com",
        "https://login.example.com/?x=1",
        "ftp://login.example.com",
        "login.example.com",
        "https://[",
        "",
    ],
)
def test_an_issuer_that_others_could_listen_to_is_refused(cast: Cast, issuer: str) -> None:
    with pytest.raises(ValidationError) as refused:
        providers.save_provider(
            cast.actor("root"), "x", {"name": "X", "issuer": issuer, "client_id": "countersign"}
        )
    assert "issuer" in refused.value.message_dict


def test_another_issuer_is_another_provider(cast: Cast, acme: IdentityProvider) -> None:
    with pytest.raises(ValidationError, match="stays as it is"):
        providers.save_provider(cast.actor("root"), "acme", {"issuer": "https://other.example"})


def test_the_secret_outlives_a_rotation_of_the_key_and_is_said_to_be_lost_otherwise(
    cast: Cast, acme: IdentityProvider, openid: OpenIdProvider, settings: Any
) -> None:
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "n" * 50
    client = browser()
    sign_in(client, openid, "s-1")
    assert is_signed_in(client)
    settings.SECRET_KEY_FALLBACKS, fallbacks = [], settings.SECRET_KEY_FALLBACKS
    lost = browser()
    assert lost.post("/sign-in/acme/")["Location"] == "/admin/login/"
    assert "cannot be trusted" in told(lost)
    settings.SECRET_KEY_FALLBACKS = fallbacks
    call_command("reseal_secrets", stdout=StringIO())
    settings.SECRET_KEY_FALLBACKS = []
    client = browser()
    sign_in(client, openid, "s-1")
    assert is_signed_in(client)
