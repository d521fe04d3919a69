"""`me`, `memberships`, `tokens`, `service-accounts`, `sdk-keys`."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from access import grants, machines
from access.models import ApiToken, ServiceAccount
from audit.models import Event
from distribution.models import Keyring, SdkKey
from tests.api.conftest import Api


def test_me_says_who_and_what_i_am(api: Api, pipeline: Any) -> None:
    found = api.get("author", "me").body
    assert found == {
        "id": api.cast.users["author"].pseudonym,
        "kind": "user",
        "name": "Author",
        "organisation_administrator": False,
        "organisation_roles": [],
        "teams": [],
        "second_factor_needed": False,
        "projects": [{"project": "shop", "roles": ["editor"]}],
    }
    account = api.get("pipeline", "me").body
    assert (account["id"], account["kind"], account["name"]) == (pipeline.pseudonym, "service", "pipeline")
    assert api.get("root", "me").body["organisation_administrator"] is True


def test_a_role_is_given_once_and_taken_away(api: Api) -> None:
    outsider = api.cast.users["outsider"]
    body = {"project": "shop", "member": outsider.pseudonym, "role": "viewer"}
    for _ in range(2):
        given = api.post("administrator", "memberships", body)
        assert given.status == 201
        assert given.body == {**body, "name": "Outsider", "limits": {}}
    assert api.get("outsider", "projects/shop").status == 200
    found = api.get("viewer", f"memberships?project=shop&member={outsider.pseudonym}").results
    assert found == [given.body]
    address = f"memberships/shop/{outsider.pseudonym}/viewer"
    assert api("viewer", "DELETE", address).status == 403
    assert api("administrator", "DELETE", address).status == 204
    assert api("administrator", "DELETE", address).status == 404
    assert api.get("outsider", "projects/shop").status == 404


def test_a_role_of_nobody_and_no_role_are_refused(api: Api) -> None:
    body = {"project": "shop", "member": "user:nobody", "role": "viewer"}
    assert api.post("administrator", "memberships", body).status == 404
    known = {**body, "member": "outsider"}
    wrong = api.post("administrator", "memberships", {**known, "role": "king"})
    assert (wrong.status, wrong.body["member"]) == (422, "role")


def test_the_last_administrator_stays(api: Api) -> None:
    root, administrator = (api.cast.users[name].pseudonym for name in ("root", "administrator"))
    assert api("root", "DELETE", f"memberships/shop/{administrator}/administrator").status == 204
    answer = api("root", "DELETE", f"memberships/shop/{root}/administrator")
    assert answer.status == 409
    assert "appoint another first" in answer.body["detail"]


def test_a_token_is_shown_once_works_and_is_revoked(api: Api) -> None:
    made = api.signed_in("author", "tokens", {"name": "laptop"})
    assert made.status == 201
    bearer = {"Authorization": f"Bearer {made.body['token']}"}
    assert api.get(None, "me", **bearer).body["id"] == api.cast.users["author"].pseudonym
    listed = api.get("author", "tokens").results
    assert "token" not in listed[-1]
    assert {each["name"] for each in listed} == {"test", "laptop"}
    address = f"tokens/{made.body['id']}/revoke"
    assert api.post("reviewer", address).status == 404
    assert api.post("author", address).body["revoked_at"]
    assert api.post("author", address).status == 200
    assert api.get(None, "me", **bearer).status == 401
    assert Event.objects.filter(type="access.v1.token.revoked").count() == 1


def test_a_token_cannot_outlive_the_one_that_made_it(api: Api, pipeline: ServiceAccount) -> None:
    soon = timezone.now() + timedelta(hours=1)
    api.tokens["pipeline"] = machines.issue_token(api.cast.actor("root"), pipeline, "short", soon)[1]
    longer = {"name": "long", "expires_at": (soon + timedelta(days=1)).isoformat()}
    assert api.post("pipeline", "tokens", longer).status == 403
    usual = api.post("pipeline", "tokens", {"name": "usual"}).body
    assert ApiToken.objects.get(pk=usual["id"]).expires_at == soon


def test_service_accounts_and_their_tokens_are_the_organisations(api: Api) -> None:
    assert api.post("administrator", "service-accounts", {"name": "deploy"}).status == 403
    made = api.post("root", "service-accounts", {"name": "deploy"})
    assert made.status == 201
    assert api.post("root", "service-accounts", {"name": "deploy"}).status == 409
    body = {"name": "ci", "service_account": made.body["id"]}
    assert api.post("administrator", "tokens", body).status == 404
    assert api.get("administrator", "service-accounts").results == []
    member = {"project": "shop", "member": made.body["id"], "role": "editor"}
    assert api.post("administrator", "memberships", member).status == 201
    assert api.get("viewer", "service-accounts").results == [made.body]
    assert api.post("administrator", "tokens", body).status == 403
    token = api.post("root", "tokens", body)
    assert token.body["holder"] == made.body["id"]
    bearer = {"Authorization": f"Bearer {token.body['token']}"}
    assert api.get(None, "me", **bearer).body["projects"] == [{"project": "shop", "roles": ["editor"]}]
    assert api.post("root", f"tokens/{token.body['id']}/revoke").status == 200
    assert api.get(None, "me", **bearer).status == 401


def test_a_client_side_key_is_opened_to_origins(api: Api) -> None:
    body = {"project": "shop", "environment": "development", "name": "web", "side": "client"}
    made = api.post("administrator", "sdk-keys", {**body, "origins": ["https://App.example.com/"]}).body
    assert made["origins"] == ["https://app.example.com"]
    address = f"sdk-keys/{made['id']}"
    answer = api("administrator", "PATCH", address, {"origins": ["*"]})
    assert (answer.status, answer.body["origins"]) == (200, ["*"])
    assert api.get("viewer", "sdk-keys?project=shop").results[0]["origins"] == ["*"]
    refused = api(
        "administrator", "PATCH", address, {"origins": ["https://a.example", "https://b.example/x"]}
    )
    assert (refused.status, refused.body["member"]) == (422, "origins[1]")
    assert "like https://app.example.com" in refused.body["detail"]
    assert api("administrator", "PATCH", address, {}).body["origins"] == ["*"], "left out, it stays"
    assert api("administrator", "PATCH", address, {"origins": [1]}).status == 400
    assert api("administrator", "PATCH", "sdk-keys/0", {"origins": []}).status == 404
    server = api.post("administrator", "sdk-keys", {**body, "side": "server", "origins": ["*"]})
    assert (server.status, server.body["member"]) == (422, "origins")
    assert SdkKey.objects.get().origins == ["*"]
    assert Keyring.objects.count() == 2


def test_an_sdk_key_is_shown_once_with_its_dsn_and_revoked(api: Api) -> None:
    body = {"project": "shop", "environment": "development", "name": "web", "side": "client"}
    made = api.post("administrator", "sdk-keys", body)
    assert made.status == 201
    assert made.body["key"].startswith("cs_client_")
    assert made.body["key"] in made.body["dsn"]
    assert "/shop/development?verify=" in made.body["dsn"]
    [listed] = api.get("viewer", "sdk-keys?project=shop&environment=development").results
    assert listed == {name: made.body[name] for name in listed}
    assert not {"key", "dsn", "hash"} & set(listed)
    assert api.post("administrator", f"sdk-keys/{listed['id']}/revoke").body["revoked_at"]
    assert api.post("administrator", f"sdk-keys/{listed['id']}/revoke").status == 200
    assert Keyring.objects.count() == 2
    assert SdkKey.objects.get().hash == SdkKey.hash_of(made.body["key"])
    assert not ApiToken.objects.filter(name="web").exists()


def test_who_gives_no_roles_is_not_told_who_exists(api: Api) -> None:
    for member in (api.cast.users["outsider"].pseudonym, "user:nobody"):
        body = {"project": "shop", "member": member, "role": "viewer"}
        assert api.post("viewer", "memberships", body).status == 403


def test_an_organisation_auditor_sees_what_is_of_no_project(api: Api) -> None:
    viewer = api.cast.users["viewer"].pseudonym
    grants.appoint(api.cast.actor("root"), viewer, "organisation-auditor")
    listed = api.get("viewer", "events?type=access.v1.organisation_membership.changed").results
    assert [each["subject"] for each in listed] == [f"access/organisation/member/{viewer}"]
