"""`teams`, `roles`, `organisation-memberships`, `who-may`, `standing`, and limits of memberships."""

from __future__ import annotations

from typing import Any

import pytest

from access.models import Membership
from access.roles import VERBS
from tests.api.conftest import Api


def test_a_team_holds_a_role_with_limits_for_the_people_in_it(api: Api) -> None:
    outsider = api.cast.users["outsider"].pseudonym
    body = {"name": "Payments", "members": [outsider]}
    assert api.put("administrator", "teams/payments", body).status == 403
    made = api.put("root", "teams/payments", {**body, "base": 0})
    assert made.status == 200
    assert made.body == {"id": made.body["id"], "key": "payments", "version": 1, **body}
    limits = {"critical": False, "environments": ["production"]}
    given = api.post(
        "administrator",
        "memberships",
        {"project": "shop", "member": "payments", "role": "reviewer", "limits": limits},
    )
    assert (given.status, given.body["name"], given.body["limits"]) == (201, "Payments", limits)
    assert api.get("viewer", "teams").results == [made.body]
    mine = api.get("outsider", "me").body
    assert mine["teams"] == ["payments"]
    assert {"project": "shop", "roles": ["reviewer"]} in mine["projects"]
    reason = {"role": "reviewer", "role_name": "Reviewer", "scope": "project", "team": "Payments"}
    found = api.get("viewer", "who-may?project=shop&verb=change.approve").body["holders"]
    assert [each["reasons"] for each in found if each["member"] == outsider] == [
        [{**reason, "limits": limits, "waits": False}]
    ]
    assert "Outsider" in {each["name"] for each in api.get("viewer", "people").results}
    refused = api("root", "DELETE", "teams/payments")
    assert refused.status == 409
    assert "Reviewer in shop" in refused.body["detail"]


def test_limits_that_cannot_be_are_refused_by_name(api: Api) -> None:
    body = {"project": "shop", "member": "outsider", "role": "editor"}
    for limits, member, says in (
        ({"environments": "production"}, "limits.environments", "a list of names"),
        ({"environments": ["producton"]}, "limits.environments", "choose among development, production"),
        ({"kinds": ["releases"]}, "limits.kinds", "choose among experiment, kill-switch"),
    ):
        refused = api.post("administrator", "memberships", {**body, "limits": limits})
        assert (refused.status, refused.body["member"]) == (422, member)
        assert says in refused.body["detail"]
    assert not Membership.objects.filter(project=api.cast.project, role="editor").exclude(
        member=api.cast.users["author"].pseudonym
    )


def test_the_table_is_told_and_a_custom_role_joins_it(api: Api) -> None:
    body = {"name": "Night watch", "verbs": ["flag.kill"]}
    assert api.put("administrator", "roles/night-watch", body).status == 403
    assert api.put("root", "roles/night-watch", {**body, "base": 0}).body["version"] == 1
    assert api.put("root", "roles/viewer", body).body["member"] == "key"
    table = api.get("viewer", "roles").body
    assert {each["verb"] for each in table["verbs"]} == set(VERBS)
    custom = [each for each in table["roles"] if each["custom"]]
    assert custom[0]["verbs"] == ["flag.kill", "project.view"]
    given = {"project": "shop", "member": "outsider", "role": "night-watch"}
    assert api.post("administrator", "memberships", given).status == 201
    assert api("root", "DELETE", "roles/night-watch").status == 409
    assert api("root", "DELETE", "roles/nothing").status == 404


def test_what_somebody_may_is_told_verb_by_verb(api: Api) -> None:
    reviewer = api.cast.users["reviewer"].pseudonym
    found = api.get("viewer", f"standing?project=shop&member={reviewer}").body
    may = {each["verb"] for each in found["verbs"] if each["may"]}
    assert may == {name for name, verb in VERBS.items() if "reviewer" in verb.roles}
    assert api.get("viewer", "standing?project=shop&member=user:nobody").status == 404
    assert api.get("outsider", f"standing?project=shop&member={reviewer}").status == 404
    assert api.get("viewer", "who-may?project=shop&verb=world.rule").status == 400


def test_roles_of_the_organisation_are_given_by_its_administrators(api: Api) -> None:
    body = {"member": "viewer", "role": "organisation-auditor"}
    assert api.post("administrator", "organisation-memberships", body).status == 403
    assert api.get("administrator", "organisation-memberships").status == 403
    given = api.post("root", "organisation-memberships", body)
    assert given.status == 201
    assert api.get("root", "organisation-memberships").results == [given.body]
    assert api.get("viewer", "me").body["organisation_roles"] == ["organisation-auditor"]
    address = f"organisation-memberships/{given.body['member']}/organisation-auditor"
    assert api("root", "DELETE", address).status == 204
    assert api("root", "DELETE", address).status == 404


def test_a_service_account_is_made_with_the_team_that_answers_for_it(api: Api) -> None:
    members = [api.cast.users["author"].pseudonym]
    api.put("root", "teams/payments", {"name": "Payments", "members": members, "base": 0})
    made = api.post("root", "service-accounts", {"name": "pipeline", "team": "payments"})
    assert (made.status, made.body["team"]) == (201, "payments")
    assert api.post("root", "service-accounts", {"name": "other", "team": "nobody"}).status == 404
    assert api.get("author", "service-accounts").results == [made.body]
    token = api.post("author", "tokens", {"name": "deploy", "service_account": made.body["id"]})
    assert token.status == 201


@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("teams/payments", {"name": "Payments", "members": []}),
        ("roles/night-watch", {"name": "Night watch", "verbs": ["flag.kill"]}),
    ],
)
def test_a_write_without_its_base_or_with_an_outdated_one_changes_nothing(
    api: Api, address: str, body: dict[str, Any]
) -> None:
    assert api.put("root", address, {**body, "base": 0}).status == 200
    assert api.put("root", address, {**body, "name": "Second", "base": 1}).body["version"] == 2
    for base, expected in (({}, None), ({"base": 1}, 1), ({"base": 0}, 0)):
        answer = api.put("root", address, {**body, "name": "Third", **base})
        assert (answer.status, answer.body["expected"], answer.body["found"]) == (409, expected, 2)
    listed = api.get("root", address.partition("/")[0]).body
    rows = listed["results"] if "results" in listed else listed["roles"]
    assert [(each["name"], each["version"]) for each in rows if each.get("custom", True)] == [("Second", 2)]
