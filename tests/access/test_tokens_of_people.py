"""API tokens of people: how they end, what they do not do, and what ends with what gave it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from allauth.socialaccount.models import SocialAccount
from django.test import Client
from django.utils import timezone

from access import accounts, machines
from access.limits import LimitsError
from access.models import ApiToken, IdentityProvider, User
from access.permissions import ForbiddenError, bearing
from access.signin import factors, providers
from access.signin.factor_policy import set_factor_policy
from audit.models import Event
from tests.access.authenticator import App, set_up_app, signed_in
from tests.access.openid_provider import OpenIdProvider, browser, sign_in
from tests.cast import Cast

ROLE = {"project": "shop", "member": "viewer", "role": "editor"}


def made_in(client: Client) -> Client:
    """The token that somebody makes, signed in, as a client that comes with it."""
    made = client.post("/api/v1/tokens", {"name": "laptop"}, "application/json")
    assert made.status_code == 201
    return Client(headers={"Host": "localhost", "Authorization": f"Bearer {made.json()['token']}"})


def test_a_token_makes_no_other_one_and_ends(cast: Cast, settings: Any) -> None:
    settings.TOKEN_DAYS = 90
    author = cast.users["author"]
    token, _ = machines.issue_token(cast.actor("author"), author, "laptop")
    assert token.expires_at is not None
    assert token.expires_at <= timezone.now() + timedelta(days=90)
    with pytest.raises(LimitsError, match="90 days at most"):
        machines.issue_token(cast.actor("author"), author, "long", timezone.now() + timedelta(days=91))
    bearer = bearing(cast.actor("author", "api"), f"token/{token.pk}", token.bearer)
    with pytest.raises(ForbiddenError, match="makes no other one"):
        machines.issue_token(bearer, author, "another")
    machines.rotate_token(bearer, token, timedelta())


def test_a_set_password_and_a_reset_revoke_them(cast: Cast) -> None:
    for name in ("author", "reviewer"):
        machines.issue_token(cast.actor(name), cast.users[name], "laptop")
    accounts.set_password(cast.actor("root"), cast.users["author"], "another horse battery")
    factors.reset(cast.actor("root"), cast.users["reviewer"])
    assert not ApiToken.objects.filter(revoked_at=None).exists()
    assert Event.objects.filter(type="access.v1.token.revoked").count() == 2


def test_a_token_made_without_a_factor_does_nothing_that_asks_for_one(cast: Cast, app: App) -> None:
    without = made_in(signed_in("administrator"))
    client, _ = set_up_app("administrator", app)
    proved = made_in(client)
    set_factor_policy(cast.actor("root"), {"fresh_minutes": 15})
    answer = without.post("/api/v1/memberships", ROLE, "application/json")
    assert answer.status_code == 403
    assert "your token was made without one" in answer.json()["detail"]
    assert without.get("/api/v1/projects/shop").status_code == 200
    assert proved.post("/api/v1/memberships", ROLE, "application/json").status_code == 201
    number = ApiToken.objects.exclude(proved_at=None).get().pk
    rotated = proved.post(f"/api/v1/tokens/{number}/rotate", {"overlap": 0}, "application/json").json()
    assert ApiToken.objects.get(pk=rotated["id"]).proved_at is not None


def test_what_groups_gave_counts_for_a_token_while_one_signs_in_there(
    cast: Cast, acme: IdentityProvider, openid: OpenIdProvider, settings: Any
) -> None:
    cast_root = cast.actor("root")
    rules = [
        {"group": "reviewers", "project": "shop", "role": "reviewer"},
    ]
    providers.save_provider(cast_root, "acme", {"rules": rules})
    client = browser()
    sign_in(client, openid, "s-1", preferred_username="mia", groups=["reviewers"])
    assert User.objects.filter(username="mia").exists()
    bearer = made_in(client)
    assert bearer.get("/api/v1/projects/shop").status_code == 200
    long_ago = timezone.now() - timedelta(seconds=settings.SESSION_LONGEST + 1)
    SocialAccount.objects.update(last_login=long_ago)
    assert bearer.get("/api/v1/projects/shop").status_code == 404
    assert client.get("/api/v1/projects/shop").status_code == 200, "a session ends by itself"
    sign_in(browser(), openid, "s-1", groups=["reviewers"])
    assert bearer.get("/api/v1/projects/shop").status_code == 200
