"""Connecting an identity provider on its pages, and what its groups give."""

from __future__ import annotations

import pytest

from access.models import IdentityProvider
from tests.cast import Cast
from tests.ui.conftest import Browser

FORM = {
    "name": "Acme",
    "key": "acme",
    "issuer": "https://login.example.com/realms/acme",
    "client_id": "countersign",
    "secret": "a-client-secret",
    "scopes": "openid profile email",
    "groups_claim": "groups",
    "creates_accounts": "on",
    "is_enabled": "on",
}


@pytest.mark.parametrize("name", ["administrator", "viewer", "outsider"])
def test_only_organisation_administrators_see_the_pages(cast: Cast, browser: Browser, name: str) -> None:
    for page in (
        "/admin/sign-in/",
        "/admin/sign-in/new/",
        "/admin/sign-in/acme/",
        "/admin/sign-in/acme/take-away/",
    ):
        assert browser(name).get(page).status_code == 404


def test_a_provider_is_connected_changed_and_taken_away(cast: Cast, browser: Browser) -> None:
    root = browser("root")
    assert "No identity provider is connected" in root.get("/admin/sign-in/").content.decode()
    assert root.post("/admin/sign-in/new/", FORM)["Location"] == "/admin/sign-in/acme/"
    page = root.get("/admin/sign-in/acme/").content.decode()
    assert "/sign-in/acme/callback/" in page
    assert "a-client-secret" not in page
    sealed = IdentityProvider.objects.get().sealed_secret
    assert root.post("/admin/sign-in/acme/", {**FORM, "name": "Acme Ltd", "secret": ""}).status_code == 302
    row = IdentityProvider.objects.get()
    assert (row.name, row.sealed_secret) == ("Acme Ltd", sealed)
    assert "Acme Ltd" in root.get("/admin/sign-in/").content.decode()
    assert "From nobody" in root.get("/admin/sign-in/acme/take-away/").content.decode()
    root.post("/admin/sign-in/acme/take-away/", {"disable": "1"})
    assert "It is disabled" in root.get("/admin/sign-in/acme/").content.decode()
    root.post("/admin/sign-in/acme/", {"enable": "1"})
    assert IdentityProvider.objects.get().is_enabled
    root.post("/admin/sign-in/acme/take-away/", {"delete": "1"})
    assert not IdentityProvider.objects.exists()


def test_what_is_wrong_is_said_at_its_field(cast: Cast, browser: Browser) -> None:
    answer = browser("root").post("/admin/sign-in/new/", {**FORM, "issuer": "http://login.example.com"})
    assert answer.status_code == 422
    assert "must begin with https://" in answer.content.decode()
    assert not IdentityProvider.objects.exists()


def test_rules_are_added_and_taken_away(cast: Cast, browser: Browser) -> None:
    root = browser("root")
    root.post("/admin/sign-in/new/", FORM)
    limited = {
        "rule": "1",
        "group": "devs",
        "gives": "project/shop/editor",
        "environments": ["development"],
        "kinds": ["release"],
        "tags": "fees, cards",
        "not_critical": "on",
    }
    for form in (limited, {"rule": "1", "group": "ops", "gives": "organisation/organisation-auditor"}):
        assert root.post("/admin/sign-in/acme/", form).status_code == 302
    assert IdentityProvider.objects.get().rules == [
        {
            "group": "devs",
            "project": "shop",
            "role": "editor",
            "limits": {
                "critical": False,
                "environments": ["development"],
                "kinds": ["release"],
                "tags": ["cards", "fees"],
            },
        },
        {"group": "ops", "role": "organisation-auditor"},
    ]
    assert root.post("/admin/sign-in/acme/", {"take": "0"}).status_code == 302
    assert [rule["group"] for rule in IdentityProvider.objects.get().rules] == ["ops"]
    for wrong, says in (
        ({**limited, "gives": "project/other/editor"}, "no environment of other"),
        ({**limited, "gives": "organisation/organisation-auditor"}, "Limits are for roles in projects"),
    ):
        answer = root.post("/admin/sign-in/acme/", wrong)
        assert answer.status_code == 422
        assert says in answer.content.decode()
    assert root.post("/admin/sign-in/acme/", {"take": "7"}).status_code == 422
    assert root.post("/admin/sign-in/acme/", {"rule": "1", "group": "x", "gives": "king"}).status_code == 422
