"""`projects`, `environments`, `flags`, `configurations`, `segments`."""

from __future__ import annotations

from typing import Any

import pytest

from flags.models import Environment
from tests.api.conftest import Api
from tests.cast import OFF, ON


def test_an_organisation_administrator_makes_a_project(api: Api) -> None:
    body = {"key": "blog", "name": "Blog", "flag_key_pattern": "[a-z-]+"}
    made = api.post("root", "projects", body)
    assert made.status == 201
    assert made.body | body == made.body
    assert api.get("root", "projects/blog").body == made.body
    taken = api.post("root", "projects", body)
    assert (taken.status, taken.body["type"]) == (409, "/api/problems/already-exists")
    assert api.post("administrator", "projects", {**body, "key": "more"}).status == 403


@pytest.mark.parametrize(
    ("members", "member"), [({"key": "a b"}, "key"), ({"flag_key_pattern": "("}, "flag_key_pattern")]
)
def test_a_project_that_breaks_a_rule_is_422(api: Api, members: dict[str, str], member: str) -> None:
    answer = api.post("root", "projects", {"key": "blog", "name": "Blog", **members})
    assert answer.status == 422
    assert answer.body["member"] == member


def test_an_environment_is_made_once_and_changed(api: Api) -> None:
    body = {"project": "shop", "key": "staging", "name": "Staging", "kind": "staging", "position": 1}
    made = api.post("administrator", "environments", body)
    assert made.status == 201
    assert made.body | body == made.body
    taken = api.post("administrator", "environments", {**body, "name": "Other"})
    assert (taken.status, taken.body["type"]) == (409, "/api/problems/already-exists")
    changed = api("administrator", "PATCH", "environments/shop/staging", {"regions": ["eu"], "base": 1})
    assert changed.body == {**made.body, "regions": ["eu"], "version": 2}
    assert Environment.objects.get(key="staging").name == "Staging"
    found = api.get("viewer", "environments?project=shop").results
    assert {each["key"] for each in found} == {"development", "production", "staging"}


@pytest.mark.parametrize(
    ("members", "status", "member"),
    [
        ({"key": "a b"}, 422, "key"),
        ({"name": ""}, 400, "name"),
        ({"kind": "moon"}, 400, "kind"),
        ({"position": 40_000}, 400, "position"),
        ({"position": "1"}, 400, "position"),
        ({"protected": "yes"}, 400, "protected"),
        ({"regions": [1]}, 400, "regions[0]"),
        ({"regions": [""]}, 400, "regions[0]"),
        ({"revision": 7}, 400, "revision"),
    ],
)
def test_a_wrong_member_of_an_environment_is_named(
    api: Api, members: dict[str, Any], status: int, member: str
) -> None:
    body = {"project": "shop", "key": "staging", "name": "Staging", **members}
    answer = api.post("administrator", "environments", body)
    assert answer.status == status
    assert answer.body["member"] == member


def test_flags_are_filtered(api: Api) -> None:
    owner = api.cast.users["author"].pseudonym
    api.cast.flag("search", kind="experiment", tags=["Größe", 'say "hi"', "web"], owner=owner, name="Find it")
    api.cast.flag("theme", type="string", variants={"on": "dark", "off": "light"})

    def keys(query: str) -> set[str]:
        answer = api.get("viewer", f"flags?{query}")
        assert answer.status == 200, answer.body
        return {each["key"] for each in answer.results}

    assert keys("") == {"banner", "search", "theme"}
    assert keys("kind=experiment") == {"search"}
    assert keys("type=string&project=shop") == {"theme"}
    assert keys(f"owner={owner}") == {"search"}
    for tag in ("web", "Gr%C3%B6%C3%9Fe", "say+%22hi%22"):
        assert keys(f"tag={tag}") == {"search"}
    for tag in ("we", "Web", "hi", "%25", "web%22,%20%22"):
        assert keys(f"tag={tag}") == set()
    assert keys("q=FIND") == {"search"}
    assert keys("q=find+sea") == {"search"}
    assert keys("q=%25") == set()
    assert keys("project=other") == set()


def test_a_configuration_shows_its_document_version_change_and_words(api: Api) -> None:
    request = api.cast.propose(ON, environment="development")
    found = api.get("viewer", "configurations/shop/development/banner").body
    assert found.pop("changed_at")
    assert found == {
        "project": "shop",
        "environment": "development",
        "flag": "banner",
        "subject": "project/shop/environment/development/flag/banner",
        "version": 1,
        "change_id": request.change_id,
        "on": True,
        "summary": "*on* for everyone",
        "document": ON,
    }
    assert len(api.get("viewer", "configurations?flag=banner&environment=development").results) == 1
    assert api.get("viewer", "configurations?environment=production").results == []


def test_a_segment_is_made_by_its_subject_and_shown(api: Api) -> None:
    subject = "project/shop/segment/beta"
    document = {"included": ["u1", "u2"]}
    body = {
        "project": "shop",
        "title": "Beta testers",
        "operations": [{"subject": subject, "after": document}],
        "base": {subject: 0},
    }
    made = api.post("author", "change-requests", body)
    assert made.body["state"] == "applied"
    assert made.body["effects"]
    found = api.get("viewer", "segments/shop/beta").body
    assert (found["subject"], found["version"], found["document"]) == (subject, 1, document)
    assert "2 named keys" in found["summary"]
    assert [each["key"] for each in api.get("viewer", "segments?project=shop").results] == ["beta"]


def test_a_kill_is_at_once_and_owes_a_review(api: Api) -> None:
    address = "configurations/shop/production/banner/kill"
    nothing = api.post("on_call", address)
    assert (nothing.status, nothing.body["type"]) == (409, "/api/problems/wrong-state")
    assert api.post("on_call", "configurations/shop/production/nothing/kill").status == 404
    api.cast.approve(api.cast.propose(ON))
    kill = api.post("on_call", address)
    assert kill.status == 201
    assert api.get("viewer", "configurations/shop/production/banner").body["summary"].startswith("killed")
    assert api.post("on_call", address).status == 409
    owed = api.get("reviewer", "emergencies?project=shop&reviewed=false").results
    assert [each["event"] for each in owed] == [kill.body["event"]]
    reviewed = api.post("reviewer", f"emergencies/{kill.body['event']}/review")
    assert reviewed.body["reviewed_by"] == api.cast.users["reviewer"].pseudonym
    assert api.post("reviewer", f"emergencies/{kill.body['event']}/review").status == 409
    assert api.get("reviewer", "emergencies?reviewed=false").results == []


def test_nobody_reviews_their_own_kill(api: Api) -> None:
    api.cast.propose(OFF, environment="development")
    kill = api.post("administrator", "configurations/shop/development/banner/kill")
    assert api.post("administrator", f"emergencies/{kill.body['event']}/review").status == 409


def test_a_policy_is_made_by_a_request_and_read_by_everybody(api: Api) -> None:
    address, policy = (
        "policies/shop/production",
        {"name": "Live", "environments": ["production"], "approvals": 2},
    )
    body = {"policy": policy, "base": 0, "rationale": "agreed"}
    asked = api.put("administrator", address, body)
    assert (asked.status, asked.body["state"]) == (202, "in_review")
    assert api.get("viewer", address).status == 404
    verdict = {"digest": asked.body["digest"]}
    assert api.post("reviewer", f"change-requests/{asked.body['number']}/approve", verdict).status == 200
    found = api.get("viewer", address).body
    assert (found["policy"], found["version"]) == (policy, 1)
    assert found["needs"] == "2 approvals by other people"
    assert api.get("viewer", "policies?project=shop").results == [found]
    more = api.put("administrator", address, {**body, "policy": {**policy, "approvals": 21}, "base": 1})
    assert (more.status, more.body["errors"][0]["member"]) == (422, "approvals")
    for outdated, expected in ((body, 0), ({"policy": {"name": "Mine"}}, None)):
        answer = api.put("administrator", address, outdated)
        assert answer.status == 409
        assert answer.body["subject"] == "project/shop/policy/production"
        assert (answer.body["expected"], answer.body["found"]) == (expected, 1)
    away = api("administrator", "DELETE", f"{address}?base=1&rationale=no+longer")
    assert (away.status, away.body["required_approvals"]) == (202, 2)


def test_a_protected_environment_changes_by_a_request(api: Api) -> None:
    address, body = "environments/shop/production", {"protected": False, "base": 1, "rationale": "open it"}
    assert api("administrator", "PATCH", address, body).status == 202
    assert api.get("viewer", address).body["protected"] is True


def test_roles_are_asked_for_where_a_policy_covers_access(api: Api) -> None:
    api.cast.policy(access=True, approvals=1)
    outsider = api.cast.users["outsider"].pseudonym
    body = {"project": "shop", "member": outsider, "role": "viewer", "rationale": "joins"}
    asked = api.post("administrator", "memberships", body)
    assert (asked.status, asked.body["state"]) == (202, "in_review")
    viewer = api.cast.users["viewer"].pseudonym
    gone = api("administrator", "DELETE", f"memberships/shop/{viewer}/viewer?rationale=leaves")
    assert gone.status == 202
    assert len(api.get("administrator", f"memberships?project=shop&member={viewer}").results) == 1
