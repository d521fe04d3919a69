"""`identity-providers`."""

from __future__ import annotations

from tests.api.conftest import Api

BODY = {
    "name": "Acme",
    "issuer": "https://login.example.com",
    "client_id": "countersign",
    "secret": "a-client-secret",
    "rules": [{"group": "devs", "project": "shop", "role": "editor"}],
}


def test_a_provider_is_connected_and_its_secret_never_comes_out(api: Api) -> None:
    made = api("root", "PUT", "identity-providers/acme", BODY)
    assert made.status == 200, made.body
    assert made.body["has_secret"] is True
    assert made.body["redirect_uri"].endswith("/sign-in/acme/callback/")
    assert made.body["rules"] == BODY["rules"]
    assert set(api.get("root", "identity-providers/acme/given").body.values()) == {0}
    changed = api("root", "PUT", "identity-providers/acme", {"is_enabled": False})
    assert (changed.body["is_enabled"], changed.body["has_secret"]) == (False, True)
    listed = api.get("root", "identity-providers")
    assert [row["key"] for row in listed.results] == ["acme"]
    for answer in (made, changed, listed, api.get("root", "identity-providers/acme")):
        assert "a-client-secret" not in str(answer.body)
    assert api("root", "DELETE", "identity-providers/acme").status == 204
    assert api.get("root", "identity-providers/acme").status == 404


def test_what_is_wrong_is_named(api: Api) -> None:
    assert api("root", "PUT", "identity-providers/acme", {**BODY, "issuer": "x"}).body["member"] == "issuer"
    wrong = {**BODY, "rules": [{"group": "devs", "project": "moon", "role": "editor"}]}
    assert api("root", "PUT", "identity-providers/acme", wrong).body["member"] == "rules"


def test_for_others_there_are_none(api: Api) -> None:
    api("root", "PUT", "identity-providers/acme", BODY)
    for name in ("administrator", "viewer", "outsider"):
        assert api.get(name, "identity-providers").status == 403
        assert api.get(name, "identity-providers/acme").status == 403
        assert api.get(name, "identity-providers/acme/given").status == 403
        assert api(name, "PUT", "identity-providers/acme", {"name": "Mine"}).status == 403
        assert api(name, "DELETE", "identity-providers/acme").status == 403
