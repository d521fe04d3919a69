"""A reviewer sets up a passkey and an app, signs in with either, and shows one again before approving."""

from __future__ import annotations

import secrets
import time

import pytest
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from playwright.sync_api import Page, expect

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation

PASSWORD = secrets.token_urlsafe(12)
ASKS_NOTHING = """
from access.models import User
from access.permissions import user_actor
from access.signin.factor_policy import set_factor_policy
set_factor_policy(user_actor(User.objects.get(username="admin"), "cli"), {"fresh_minutes": 0})
"""
AGE = """
from django.contrib.sessions.models import Session
from django.contrib.sessions.backends.db import SessionStore
for row in Session.objects.all():
    store = SessionStore(row.pk)
    for each in store.get("account_authentication_methods", []):
        each["at"] -= 3600
    store.save()
"""


TRIED = """
from axes.models import AccessAttempt
from django.utils import timezone
for n in range(10):
    AccessAttempt.objects.create(
        username="nora", ip_address=f"192.0.2.{n}", attempt_time=timezone.now(), failures_since_start=1
    )
"""


def with_a_key(page: Page) -> None:
    """A virtual authenticator, which touches and recognises its owner by itself."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


@pytest.fixture(scope="module")
def nora(embedded: Installation, chromium: Chromium) -> str:
    """A reviewer of the tests' own; returns the user name."""
    with chromium.person(embedded, "admin") as page:
        page.goto("/admin/accounts/new/")
        page.get_by_label("Username").fill("nora")
        page.get_by_label("First name").fill("Nora")
        page.locator("#id_password1").fill(PASSWORD)
        page.locator("#id_password2").fill(PASSWORD)
        page.get_by_role("button", name="Make account").click()
        expect(page.get_by_text("Account Nora made")).to_be_visible()
    status, _ = embedded.api(
        "administrator", "POST", "memberships", {"project": "shop", "member": "nora", "role": "reviewer"}
    )
    assert status == 201
    return "nora"


def type_password(page: Page, name: str) -> None:
    page.goto("/admin/login/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def leave(page: Page) -> None:
    page.locator(".cs-account summary").click()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/admin/logout/")


def test_a_passkey_and_an_app_are_set_up_sign_in_and_are_shown_again_before_an_approval(
    embedded: Installation, chromium: Chromium, nora: str
) -> None:
    context = chromium.browser.new_context(base_url=embedded.base_url)
    page = context.new_page()
    try:
        with_a_key(page)
        type_password(page, nora)
        page.locator(".cs-account summary").click()
        page.get_by_role("link", name="Sign-in security").click()
        page.get_by_role("link", name="Set up a key").click()
        page.get_by_label("Name").fill("laptop")
        page.get_by_role("button", name="Set up the key").click()
        codes = page.get_by_label("Recovery codes").input_value().split()
        assert len(codes) == 10
        page.get_by_role("link", name="I have kept them").click()
        expect(page.get_by_role("row", name="laptop")).to_contain_text("passkey")

        page.get_by_role("link", name="Set up an app").click()
        secret = page.locator("code.cs-secret").inner_text().replace(" ", "")
        page.get_by_label("Code that the app shows").fill(code_of(secret))
        page.get_by_role("button", name="Set up the app").click()
        expect(page.get_by_text("Your app is set up.")).to_be_visible()

        leave(page)
        # Strangers have tried her name: that shuts out neither her key nor this browser, in which she was before.
        embedded.manage("shell", "-c", TRIED)
        page.goto("/admin/login/?next=/admin/sessions/")
        page.get_by_role("button", name="Sign in with a passkey").click()
        page.wait_for_url("**/admin/sessions/")

        leave(page)
        type_password(page, nora)
        page.wait_for_url("**/admin/login/factor/")
        page.goto("/admin/sessions/")
        expect(page).to_have_url(f"{embedded.base_url}/admin/login/?next=/admin/sessions/")
        type_password(page, nora)
        page.get_by_label("Code").fill(code_of(secret, ahead=1))
        page.get_by_role("button", name="Sign in", exact=True).click()
        page.wait_for_url("**/home/")

        approves_with_a_fresh_factor(page, embedded)
        stranger = chromium.browser.new_context(base_url=embedded.base_url)
        type_password(unknown := stranger.new_page(), nora)
        expect(unknown.get_by_text("Too many wrong passwords")).to_be_visible()
        stranger.close()
    finally:
        context.close()


def approves_with_a_fresh_factor(page: Page, embedded: Installation) -> None:
    """An hour later the approval asks for the key, and comes back with what was typed."""
    subject = "project/shop/environment/production/flag/legacy-invoice-layout"
    _, standing = embedded.api("editor", "GET", "configurations/shop/production/legacy-invoice-layout")
    document = standing["document"]
    status, made = embedded.api(
        "editor",
        "POST",
        "change-requests",
        {
            "project": "shop",
            "title": "No more old invoices",
            "rationale": "planned",
            "ticket": "SHOP-500",
            "operations": [{"subject": subject, "after": {**document, "enabled": not document["enabled"]}}],
            "base": {subject: standing["version"]},
        },
    )
    assert status == 201, made
    asks(embedded, 15)
    try:
        embedded.manage("shell", "-c", AGE)
        address = f"/admin/p/shop/requests/{made['number']}/"
        page.goto(address)
        page.get_by_label("Comment (optional)").fill("The last customer has moved.")
        page.get_by_role("button", name="Approve").first.click()
        page.wait_for_url("**/admin/security/confirm/**")
        page.get_by_role("button", name="Use your passkey or security key").click()
        page.wait_for_url(f"**{address}")
        expect(page.get_by_label("Comment (optional)")).to_have_value("The last customer has moved.")
        page.get_by_role("button", name="Approve").first.click()
        expect(page.get_by_text("The last customer has moved.").first).to_be_visible()
        _, seen = embedded.api("editor", "GET", f"change-requests/{made['number']}")
        assert any(review["verdict"] == "approved" for review in seen["reviews"]), seen
    finally:
        # The administrator's token was made without a factor, and the policy now asks for one: no way back by it.
        embedded.manage("shell", "-c", ASKS_NOTHING)


def asks(embedded: Installation, minutes: int) -> None:
    _, policy = embedded.api("administrator", "GET", "factor-policy")
    body = {"roles": [], "fresh_minutes": minutes, "base": policy["version"]}
    status, answer = embedded.api("administrator", "PUT", "factor-policy", body)
    assert status == 200, answer


def code_of(secret: str, ahead: int = 0) -> str:
    """What an app shows now, or so many half minutes ahead."""
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30 + ahead))
