"""Linking an account to an identity at a provider, and unlinking: by its owner, or by an administrator."""

from __future__ import annotations

import time
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client

from access.models import IdentityProvider, Membership, User
from access.permissions import ForbiddenError
from access.signin import linking, providers
from access.signin.linking import LinkError
from audit.models import Event
from tests.access.openid_provider import OpenIdProvider, browser, page_to, sign_in
from tests.cast import PASSWORD, Cast

PAGE = "/admin/identities/"


@pytest.fixture(autouse=True)
def rule(cast: Cast, acme: IdentityProvider) -> None:
    rules = [{"group": "reviewers", "project": "shop", "role": "reviewer"}]
    providers.save_provider(cast.actor("root"), "acme", {"rules": rules})


def by_password(name: str) -> Client:
    client = browser()
    client.post("/admin/login/", {"username": name, "password": PASSWORD})
    assert "_auth_user_id" in client.session
    return client


def begin_link(client: Client) -> str:
    return page_to(client.post(PAGE, {"link": "acme"}))


def finish(client: Client, query: str) -> str:
    answer = client.get(f"/sign-in/acme/callback/?{query}")
    assert answer.headers["Location"] == PAGE
    return " ".join(client.get(PAGE).content.decode().split())


def link(client: Client, openid: OpenIdProvider, subject: str = "s-1", **claims: Any) -> str:
    claims = {"auth_time": int(time.time()), "groups": ["reviewers"], **claims}
    return finish(client, openid.consent(begin_link(client), subject, **claims))


def test_a_person_links_their_account_and_then_signs_in_by_the_provider(
    cast: Cast, openid: OpenIdProvider
) -> None:
    viewer, client = cast.users["viewer"], by_password("viewer")
    assert "Linked: you sign in with Acme too." in link(client, openid)
    assert (openid.asked["prompt"], openid.asked["max_age"]) == ("login", "0")
    assert Membership.objects.filter(member=viewer.pseudonym, given_by="acme").exists()
    elsewhere = browser()
    sign_in(elsewhere, openid, "s-1", groups=["reviewers"])
    assert elsewhere.session["_auth_user_id"] == str(viewer.pk)
    [event] = Event.objects.filter(type="access.v1.account.linked")
    assert (event.actor, event.subject) == (viewer.pseudonym, f"access/{viewer.pseudonym}")
    assert "s-1" not in event.line
    client.post(PAGE, {"unlink": "acme"})
    assert not SocialAccount.objects.exists()
    assert not Membership.objects.filter(member=viewer.pseudonym, given_by="acme").exists()
    assert elsewhere.get("/api/v1/me").status_code == 401
    assert client.get("/api/v1/me").status_code == 200
    assert Event.objects.filter(type="access.v1.account.unlinked").count() == 1


@pytest.mark.parametrize(
    "claims",
    [{"auth_time": None}, {"auth_time": 1}, {"auth_time": "now"}, {"auth_time": True}],
)
def test_a_sign_in_at_the_provider_that_is_not_fresh_links_nothing(
    cast: Cast, openid: OpenIdProvider, claims: dict[str, Any]
) -> None:
    assert "does not say that you signed in there just now" in link(by_password("viewer"), openid, **claims)
    assert not SocialAccount.objects.exists()


def test_a_sign_in_here_that_is_not_fresh_links_and_unlinks_nothing(
    cast: Cast, openid: OpenIdProvider, acme: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = by_password("viewer")
    linking.link(cast.actor("root"), cast.users["viewer"], acme, "s-1")
    later = time.time() + linking.FRESH + 1
    monkeypatch.setattr("access.signin.sessions.time.time", lambda: later)
    for form in ({"link": "acme"}, {"unlink": "acme"}):
        assert client.post(PAGE, form).headers["Location"] == PAGE
        assert "Sign in again first" in client.get(PAGE).content.decode()
    assert SocialAccount.objects.count() == 1


def test_somebody_else_in_the_same_browser_is_not_linked(cast: Cast, openid: OpenIdProvider) -> None:
    client = by_password("viewer")
    query = openid.consent(begin_link(client), "s-1", auth_time=int(time.time()))
    session = client.session
    session["_auth_user_id"] = str(cast.users["author"].pk)
    session["_auth_user_hash"] = cast.users["author"].get_session_auth_hash()
    session.save()
    assert "no longer signed in as whoever began it" in finish(client, query)
    assert not SocialAccount.objects.exists()


def test_an_identity_that_is_another_accounts_is_not_taken_over(cast: Cast, openid: OpenIdProvider) -> None:
    sign_in(browser(), openid, "s-1")
    other = User.objects.get(socialaccount__uid="s-1")
    client = by_password("viewer")
    said = link(client, openid)
    assert "Another account is linked to this identity" in said
    assert SocialAccount.objects.get().user_id == other.pk
    assert "_auth_user_id" in client.session
    linking.unlink(cast.actor("root"), other, IdentityProvider.objects.get())
    assert "was another account" in link(client, openid)
    linking.link(cast.actor("root"), cast.users["viewer"], IdentityProvider.objects.get(), "s-1")
    assert SocialAccount.objects.get().user == cast.users["viewer"]


def test_an_identity_that_was_unlinked_makes_no_second_account(cast: Cast, openid: OpenIdProvider) -> None:
    client = by_password("viewer")
    link(client, openid)
    client.post(PAGE, {"unlink": "acme"})
    people, elsewhere = User.objects.count(), browser()
    sign_in(elsewhere, openid, "s-1")
    assert "_auth_user_id" not in elsewhere.session
    assert "was linked to one" in elsewhere.get("/admin/login/").content.decode()
    assert User.objects.count() == people
    assert "Linked" in link(client, openid)


def test_an_administrator_links_and_unlinks_by_the_subject(
    cast: Cast, openid: OpenIdProvider, acme: IdentityProvider
) -> None:
    viewer, root = cast.users["viewer"], by_password("root")
    page = f"/admin/accounts/{viewer.pk}/identities/"
    assert root.post(page, {"provider": "acme", "subject": "s-1"}).status_code == 302
    client = browser()
    sign_in(client, openid, "s-1", groups=["reviewers"])
    assert client.session["_auth_user_id"] == str(viewer.pk)
    again = root.post(page, {"provider": "acme", "subject": "s-2"})
    assert again.status_code == 409
    assert "unlink that first" in again.content.decode()
    taken = root.post(
        f"/admin/accounts/{cast.users['author'].pk}/identities/", {"provider": "acme", "subject": "s-1"}
    )
    assert taken.status_code == 409
    said = " ".join(root.get(page).content.decode().split())
    assert "roles in projects: 1" in said
    assert "Sessions that end: 1" in said
    root.post(page, {"unlink": "acme"})
    assert not SocialAccount.objects.exists()
    assert client.get("/api/v1/me").status_code == 401


def test_nobody_links_another_account_and_nobody_takes_their_own_only_way_in(
    cast: Cast, openid: OpenIdProvider, acme: IdentityProvider
) -> None:
    with pytest.raises(ForbiddenError):
        linking.link(cast.actor("administrator"), cast.users["viewer"], acme, "s-1")
    client = browser()
    sign_in(client, openid, "mia")
    client.post(PAGE, {"unlink": "acme"})
    assert "is the only way in which you sign in" in client.get(PAGE).content.decode()
    mia = User.objects.get(socialaccount__uid="mia")
    with pytest.raises(LinkError, match="1 to 191"):
        linking.link(cast.actor("root"), cast.users["viewer"], acme, "x" * 192)
    linking.unlink(cast.actor("root"), mia, acme)
    assert not SocialAccount.objects.exists()
