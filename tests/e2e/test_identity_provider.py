"""A real OpenID provider: people sign in through it, pipelines come with its tokens, and forged ones are refused.

Its groups change there, and rights here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Page, expect

from tests.clients.conftest import HERE
from tests.clients.conftest import node as node
from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation, eventually

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEY_ID = "of-acme"
AUDIENCE = "https://flags.acme.example"
REVIEWERS, AUDITORS = "shop-reviewers", "shop-auditors"


@dataclass
class Company:
    """The provider of a company, and who is in which group there."""

    issuer: str
    file: Path
    process: subprocess.Popen[str]

    def puts(self, **groups: list[str]) -> None:
        people = {
            name: {"name": f"{name.title()} Acme", "email": f"{name}@acme.example", "groups": each}
            for name, each in groups.items()
        }
        self.file.write_text(json.dumps(people))

    def token(self) -> str:
        """What a pipeline gets there: an access token for our audience, signed by the provider."""
        form = {
            "grant_type": "client_credentials",
            "client_id": "pipeline",
            "client_secret": "a-secret-of-the-tests",
            "resource": AUDIENCE,
        }
        asked = urllib.request.Request(f"{self.issuer}/token", urllib.parse.urlencode(form).encode())
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return str(json.loads(answer.read())["access_token"])

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=10)


@pytest.fixture(scope="module")
def company(
    node: object, embedded: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Company]:
    port, directory = embedded.provider_port, tmp_path_factory.mktemp("company")
    file, keys = directory / "people.json", directory / "keys.json"
    own = {
        **jwt.algorithms.RSAAlgorithm.to_jwk(KEY, as_dict=True),
        "kid": KEY_ID,
        "use": "sig",
        "alg": "RS256",
    }
    own.pop("key_ops", None)
    keys.write_text(json.dumps([own]))
    callback = f"{embedded.base_url}/sign-in/acme/callback/"
    process = subprocess.Popen(
        [
            str(shutil.which("node")),
            str(HERE / "openid_provider.mjs"),
            str(port),
            callback,
            str(file),
            str(keys),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    made = Company(embedded.issuer, file, process)
    assert process.stdout is not None
    eventually(lambda: "listening" in str(process.stdout.readline()), "the provider listens")  # type: ignore[union-attr]
    try:
        yield made
    finally:
        made.stop()


@contextmanager
def somebody(chromium: Chromium, embedded: Installation) -> Iterator[Page]:
    context = chromium.browser.new_context(base_url=embedded.base_url)
    try:
        yield context.new_page()
    finally:
        context.close()


def enter(page: Page, company: Company, name: str) -> None:
    """Choose Acme on the sign-in page, sign in there, agree, and come back."""
    page.goto("/admin/login/?next=/admin/home/")
    page.get_by_role("button", name="Sign in with Acme").click()
    page.wait_for_url(f"{company.issuer}/interaction/**")
    page.get_by_placeholder("Enter any login").fill(name)
    page.get_by_placeholder("and password").fill("x")
    page.get_by_role("button", name="Sign-in").click()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_url("**/admin/**")


def test_a_pipelines_token_is_accepted_and_a_forged_one_is_refused_with_a_reason(
    embedded: Installation, chromium: Chromium, company: Company
) -> None:
    with chromium.person(embedded, "admin") as admin:
        trust(admin, company)
        genuine = company.token()
        admin.get_by_label("A token of the pipeline").fill(genuine)
        admin.get_by_role("button", name="Try").click()
        expect(admin.get_by_text("This token counts, by the rule Releases.")).to_be_visible()
    status, told = ask(embedded, genuine)
    assert (status, told["name"]) == (200, "Release robot")
    for what, (token, reason) in forgeries(genuine).items():
        status, told = ask(embedded, token)
        assert status == 401, what
        assert reason in told["detail"], (what, told["detail"])
        # What the rules would have wanted is nobody's business who only guesses.
        assert not any(
            word in told["detail"] for word in ("acme/shop", AUDIENCE, "refs/heads", "Releases")
        ), what
    assert ask(embedded, company.token())[0] == 200, "after all of them, the pipeline is as welcome as before"


def trust(admin: Page, company: Company) -> None:
    """An administrator makes a service account and says on its page whose pipelines act as it."""
    admin.goto("/admin/new-service-account/")
    admin.get_by_label("Name").fill("Release robot")
    admin.get_by_role("button", name="Make service account").click()
    admin.get_by_role("link", name="New trust rule").click()
    given = {
        "Which pipeline it is": "Releases",
        "Issuer": company.issuer,
        "Audience": AUDIENCE,
        "#id_claims-0-claim": "repository",
        "#id_claims-0-text": "acme/shop",
        "#id_claims-1-claim": "ref",
        "#id_claims-1-text": "refs/heads/release-",
    }
    for name, value in given.items():
        field = admin.locator(name) if name.startswith("#") else admin.get_by_label(name)
        field.fill(value)
    admin.locator("#id_claims-1-kind").select_option("starts_with")
    admin.get_by_role("button", name="Make trust rule").click()
    admin.wait_for_url("**/try-a-token/")


def forgeries(genuine: str) -> dict[str, tuple[str, str]]:
    """Tokens by what is wrong with them, each with what the answer says to whoever holds it."""
    claims = jwt.decode(genuine, options={"verify_signature": False})
    header, body, _ = genuine.split(".")
    now = int(time.time())

    def signed(key: Any = KEY, key_id: str = KEY_ID, **changed: Any) -> str:
        return jwt.encode({**claims, **changed}, key, "RS256", headers={"kid": key_id})

    def by_hand(secret: bytes | None, **head: str) -> str:
        first = base64.urlsafe_b64encode(json.dumps({"typ": "JWT", "kid": KEY_ID, **head}).encode())
        text = f"{first.rstrip(b'=').decode()}.{body}"
        signature = hmac.digest(secret, text.encode(), hashlib.sha256) if secret else b""
        return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"

    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    wider = base64.urlsafe_b64encode(json.dumps({**claims, "ref": "refs/heads/release-8"}).encode())
    unsigned, only_these = (
        "The signature is not by the key that the token names",
        "alg: identity tokens are signed with",
    )
    return {
        "another key signed": (signed(OTHER_KEY), unsigned),
        "changed after signing": (
            f"{header}.{wider.rstrip(b'=').decode()}.{genuine.split('.')[2]}",
            unsigned,
        ),
        "alg none": (by_hand(None, alg="none"), only_these),
        "HS256 with the public key": (by_hand(public, alg="HS256"), only_these),
        "ES256 with a key of RSA": (
            by_hand(public, alg="ES256"),
            "kid: the issuer's key is not one for ES256",
        ),
        "an unknown key": (signed(key_id="of-somebody"), "kid: the issuer has no such key"),
        "another issuer": (
            signed(iss="https://issuer.example.com"),
            "iss: no service account trusts this issuer",
        ),
        "another audience": (
            signed(aud="https://elsewhere.example.com"),
            "aud: no trust rule for this issuer",
        ),
        "expired": (signed(iat=now - 600, exp=now - 300), "exp: the identity token has expired"),
        "not yet valid": (signed(nbf=now + 600), "is not yet valid"),
        "made in the future": (signed(iat=now + 600, exp=now + 900), "is not yet valid"),
        "another repository": (signed(repository="acme/shop2"), "matches the claims"),
        "another branch": (signed(ref="refs/heads/main"), "matches the claims"),
        "no claim": (signed(repository=None), "matches the claims"),
    }


def ask(embedded: Installation, token: str) -> tuple[int, Any]:
    """Who the API takes the bearer of a token for."""
    status, _, body = embedded.get("/api/v1/me", Authorization=f"Bearer {token}")
    return status, json.loads(body)


def test_three_people_sign_in_and_their_groups_at_the_provider_are_their_rights(
    embedded: Installation, chromium: Chromium, company: Company
) -> None:
    with chromium.person(embedded, "admin") as admin:
        connect(admin, company)
    company.puts(ida=[REVIEWERS], omar=[AUDITORS], pia=[])
    with (
        somebody(chromium, embedded) as ida,
        somebody(chromium, embedded) as omar,
        somebody(chromium, embedded) as pia,
    ):
        for page, name in ((ida, "ida"), (omar, "omar"), (pia, "pia")):
            enter(page, company, name)
        assert holds(ida, "reviewer")
        assert holds(omar, "auditor")
        assert not sees_the_project(pia)

        company.puts(ida=[], omar=[AUDITORS], pia=[REVIEWERS])
        assert holds(ida, "reviewer"), "groups are read when somebody signs in"
        with somebody(chromium, embedded) as ida_again:
            enter(ida_again, company, "ida")
            assert not sees_the_project(ida_again)
        assert not sees_the_project(ida), "the session that was open lost them at once"
        with somebody(chromium, embedded) as pia_again:
            enter(pia_again, company, "pia")
            assert holds(pia_again, "reviewer")
        assert holds(pia, "reviewer"), "and so has the session that was open"
        assert holds(omar, "auditor")

        company.stop()
        assert holds(omar, "auditor"), "open sessions go on without the provider"
        with somebody(chromium, embedded) as late:
            late.goto("/admin/login/")
            late.get_by_role("button", name="Sign in with Acme").click()
            expect(late.get_by_text("Acme does not answer as it should")).to_be_visible()
            expect(late.get_by_label("Password")).to_be_visible()


def connect(admin: Page, company: Company) -> None:
    """An organisation administrator connects the provider on its pages, and says what groups give."""
    admin.goto("/admin/sign-in/new/")
    given = {
        "Name": "Acme",
        "Key": "acme",
        "Issuer": company.issuer,
        "Client id": "countersign",
        "Client secret": "a-secret-of-the-tests",
        "Scopes": "openid profile email groups",
    }
    for label, value in given.items():
        admin.get_by_label(label).first.fill(value)
    admin.get_by_role("button", name="Connect").click()
    admin.wait_for_url("**/admin/sign-in/acme/")
    for group, role in ((REVIEWERS, "reviewer"), (AUDITORS, "auditor")):
        admin.locator("#id_group").fill(group)
        admin.get_by_label("Gives").select_option(f"project/shop/{role}")
        admin.get_by_role("button", name="Add rule").click()
        expect(admin.get_by_text("Saved. It counts from")).to_be_visible()


def holds(page: Page, role: str) -> bool:
    """Whether the person in this browser has the role in the shop, as the API tells them."""
    answer = page.request.get("/api/v1/me")
    assert answer.status == 200, answer.text()
    return any(role in each["roles"] for each in answer.json()["projects"] if each["project"] == "shop")


def sees_the_project(page: Page) -> bool:
    return page.request.get("/admin/p/shop/flags/").status == 200
