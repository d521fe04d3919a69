"""`trust-rules`, and `service-accounts` as they are changed."""

from __future__ import annotations

from typing import Any

from access import machines, teams
from access.models import ServiceAccount
from tests.api.conftest import Api


def rule(account: ServiceAccount, **members: Any) -> dict[str, Any]:
    return {
        "service_account": account.pseudonym,
        "name": "release",
        "issuer": "https://token.example.com",
        "audience": "countersign",
        "claims": {"repository": {"equals": "shop/site"}},
        **members,
    }


def test_a_rule_is_made_listed_and_taken_back(api: Api, pipeline: ServiceAccount) -> None:
    made = api.post("root", "trust-rules", rule(pipeline, scope={"projects": ["shop"]}))
    assert made.status == 201
    assert made.body["scope"] == {"projects": ["shop"]}
    assert api.get("root", "trust-rules").results == [made.body]
    for name in ("administrator", "pipeline"):
        assert api.get(name, "trust-rules").results == []
        assert api.post(name, "trust-rules", rule(pipeline)).status == 404
        assert api.post(name, f"trust-rules/{made.body['id']}/revoke").status == 404
    assert api.post("root", f"trust-rules/{made.body['id']}/revoke").body["revoked_at"]
    assert api.post("root", f"trust-rules/{made.body['id']}/revoke").status == 200


def test_a_rule_that_cannot_be_is_refused_by_its_member(api: Api, pipeline: ServiceAccount) -> None:
    for member, value in (
        ("issuer", "http://token.example.com"),
        ("claims.repository", {"repository": "shop/site"}),
        ("claims.sub", {"sub": {}}),
        ("scope.verbs[0]", {"verbs": ["fly"]}),
    ):
        answer = api.post("root", "trust-rules", rule(pipeline, **{member.partition(".")[0]: value}))
        assert (answer.status, answer.body["member"]) == (422, member)


def test_who_made_a_rule_does_not_review_what_comes_by_it(api: Api, pipeline: ServiceAccount) -> None:
    api.post("root", "trust-rules", rule(pipeline))
    assert api.cast.users["root"].pseudonym in machines.keepers_of(pipeline.pseudonym)


def test_a_service_account_is_renamed_handed_over_and_stopped(api: Api, pipeline: ServiceAccount) -> None:
    author = api.cast.users["author"]
    teams.save_team(api.cast.actor("root"), "payments", name="Payments", members={author.pseudonym})
    address = f"service-accounts/{pipeline.pseudonym}"
    assert api("root", "PATCH", address, {"name": "release", "team": "payments"}).body["name"] == "release"
    assert api("root", "PATCH", address, {"team": "nobodys"}).body["member"] == "team"
    assert api("administrator", "PATCH", address, {"is_active": False}).status == 403
    assert api("author", "PATCH", address, {"name": "mine"}).status == 403
    assert api("author", "PATCH", address, {"is_active": False}).body["is_active"] is False
    assert api.get("pipeline", "me").status == 401
    assert api("author", "PATCH", address, {"is_active": True}).status == 403
    assert api("root", "PATCH", address, {"is_active": True}).status == 200
    assert api.get("pipeline", "me").status == 200
    assert api("root", "PATCH", "service-accounts/service:0", {"is_active": True}).status == 404
