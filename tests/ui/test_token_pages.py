"""API tokens and trust rules on their pages: made, shown once, replaced, taken away, tried."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from access import machines, teams, workload
from access.models import ApiToken, ServiceAccount, TrustRule
from audit.models import Event
from tests.api.test_workload_tokens import Issuer
from tests.api.test_workload_tokens import issuer as issuer
from tests.cast import Cast
from tests.ui.conftest import Browser

RULE = {
    "name": "release",
    "audience": "countersign",
    "projects": ["shop"],
    "claims-TOTAL_FORMS": "2",
    "claims-INITIAL_FORMS": "0",
    "claims-0-claim": "repository",
    "claims-0-kind": "equals",
    "claims-0-text": "shop/site",
    "claims-1-claim": "ref",
    "claims-1-kind": "starts_with",
    "claims-1-text": "refs/heads/release-",
}


@pytest.fixture
def robot(cast: Cast) -> ServiceAccount:
    """A service account for which the author's team answers."""
    root = cast.actor("root")
    team = teams.save_team(root, "payments", name="Payments", members=[cast.users["author"].pseudonym])
    return machines.create_service_account(root, "robot", team)


def secret_in(answer: Any) -> str:
    assert answer.status_code == 200, answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    found = re.search(r'value="(cst_[^"]+)"', answer.content.decode())
    assert found
    return found[1]


def status_of(secret: str, address: str = "127.0.0.1") -> int:
    client = Client(headers={"Authorization": f"Bearer {secret}"}, REMOTE_ADDR=address)
    return client.get("/api/v1/me").status_code


def test_a_person_makes_replaces_and_revokes_a_token_of_their_own(cast: Cast, browser: Browser) -> None:
    author, last_day = browser("author"), timezone.now().date() + timedelta(days=30)
    assert "You have no API tokens" in author.get("/admin/tokens/").content.decode()
    form = {
        "name": "laptop",
        "ends": last_day.isoformat(),
        "projects": ["shop"],
        "environments": ["development"],
        "verbs": ["change.propose"],
        "addresses": "192.0.2.0/24, 127.0.0.1",
    }
    first = secret_in(author.post("/admin/new-token/", form))
    token = ApiToken.objects.get()
    assert token.expires_at is not None
    assert token.expires_at.isoformat() == f"{last_day + timedelta(days=1)}T00:00:00+00:00"
    assert token.scope == {
        "projects": ["shop"],
        "environments": ["development"],
        "verbs": ["change.propose", "project.view"],
    }
    assert (status_of(first), status_of(first, "203.0.113.1")) == (200, 401)
    listed = author.get("/admin/tokens/").content.decode()
    assert first not in listed
    assert token.hint in listed
    second = secret_in(author.post(f"/admin/tokens/{token.pk}/replace/", {"days": "7"}))
    assert (status_of(first), status_of(second)) == (200, 200)
    author.post("/admin/tokens/", {"revoke": str(token.pk)})
    assert (status_of(first), status_of(second)) == (401, 200)
    assert author.post(f"/admin/tokens/{token.pk}/replace/", {"days": "7"}).status_code == 422


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"addresses": "somewhere"}, "write a range like"),
        ({"ends": "2020-01-01"}, "choose a day to come"),
        ({"projects": ["other"]}, "Select a valid choice"),
        ({"name": ""}, "This field is required"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(
    cast: Cast, browser: Browser, wrong: dict[str, Any], says: str
) -> None:
    answer = browser("author").post("/admin/new-token/", {"name": "laptop", **wrong})
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not ApiToken.objects.exists()


def test_the_team_of_a_service_account_makes_its_tokens_and_nobody_else(
    cast: Cast, browser: Browser, robot: ServiceAccount
) -> None:
    page = f"/admin/service-accounts/{robot.pk}/"
    secret = secret_in(browser("author").post(f"{page}new-token/", {"name": "deploy"}))
    assert status_of(secret) == 200
    token = ApiToken.objects.get()
    assert token.expires_at is not None, "as late as the settings allow"
    assert "made" in browser("author").get(page).content.decode()
    for address in (page, f"{page}new-token/", f"{page}new-trust-rule/", f"{page}try-a-token/"):
        assert browser("administrator").get(address).status_code == 404
    for name in ("administrator", "viewer"):
        assert browser(name).post(f"/admin/tokens/{token.pk}/replace/", {"days": "0"}).status_code == 404
        assert browser(name).post("/admin/tokens/", {"revoke": str(token.pk)}).status_code == 404
    late = browser("author").post(f"{page}new-token/", {"name": "late", "ends": "2099-01-01"})
    assert "is too late" in late.content.decode()


def test_a_trust_rule_is_made_tried_and_taken_back(
    cast: Cast, browser: Browser, robot: ServiceAccount, issuer: Issuer
) -> None:
    author, page = browser("author"), f"/admin/service-accounts/{robot.pk}/"
    assert "No rule to try a token against" in author.get(f"{page}try-a-token/").content.decode()
    made = author.post(f"{page}new-trust-rule/", {**RULE, "issuer": issuer.url})
    assert made.headers["Location"] == f"{page}try-a-token/"
    rule = TrustRule.objects.get()
    assert rule.claims == {
        "repository": {"equals": "shop/site"},
        "ref": {"starts_with": "refs/heads/release-"},
    }
    before = Event.objects.count()

    def tried(token: str) -> str:
        answer = author.post(f"{page}try-a-token/", {"token": token})
        assert "no-store" in answer.headers["Cache-Control"]
        return " ".join(answer.content.decode().split())

    assert "This token counts, by the rule release." in tried(issuer.token())
    refused = tried(issuer.token(repository="evil/site"))
    assert "No trust rule for this issuer and audience matches the claims" in refused
    assert "evil/site" in refused
    assert "exp: the identity token has expired" in tried(issuer.token(exp=1))
    alone = tried('{"iss": "https://elsewhere.example.com", "repository": "<script>"}')
    assert "Only what the rules ask for was compared" in alone
    assert "&lt;script&gt;" in alone
    assert "neither a JSON Web Token nor" in tried("ey.ey.ey")
    assert "Claims are one object" in tried("[]")
    assert Event.objects.count() == before
    rule.refresh_from_db()
    assert rule.last_used_at is None, "nothing of a trial is kept"
    author.post(page, {"distrust": str(rule.pk)})
    with pytest.raises(workload.UntrustedError):
        workload.recognise(issuer.token())
    assert "taken back" in author.get(page).content.decode()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"issuer": "http://token.example.com"}, "must be an https:// address"),
        ({"claims-0-text": "", "claims-1-claim": ""}, "Name the claim and its text, or neither."),
        (
            {"claims-0-claim": "", "claims-0-text": "", "claims-1-claim": "", "claims-1-text": ""},
            "claims: is empty",
        ),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_reason(
    cast: Cast, browser: Browser, robot: ServiceAccount, wrong: dict[str, str], says: str
) -> None:
    form = {**RULE, "issuer": "https://token.example.com", **wrong}
    answer = browser("author").post(f"/admin/service-accounts/{robot.pk}/new-trust-rule/", form)
    assert answer.status_code == 422
    assert says in answer.content.decode()
    assert not TrustRule.objects.exists()
