"""`change-requests`: propose, review, apply, and everything that stops it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone

from approvals.models import ChangeRequest
from flags.models import FlagConfiguration
from tests.api.conftest import Api
from tests.cast import BANNER, OFF, ON, split


def propose(api: Api, after: Any = ON, **options: Any) -> dict[str, Any]:
    answer = api.post("author", "change-requests", api.change(after, **options))
    assert answer.status == 201, answer.body
    return answer.body


def test_an_unprotected_environment_applies_in_one_step(api: Api) -> None:
    made = propose(api, ON, environment="development")
    assert made["state"] == "applied"
    assert made["environments"] == ["development"]
    assert made["effects"] == ["Development: turned on; *on* for everyone"]
    found = api.get("viewer", "configurations/shop/development/banner").body
    assert (found["version"], found["change_id"], found["on"]) == (1, made["change_id"], True)


def test_a_protected_environment_waits_for_somebody_else(api: Api) -> None:
    made = propose(api)
    assert made["state"] == "in_review"
    address = f"change-requests/{made['number']}"
    own = api.post("author", f"{address}/approve", {"digest": made["digest"]})
    assert own.status in {403, 409}
    approved = api.post("reviewer", f"{address}/approve", {"digest": made["digest"], "comment": "Fine"})
    assert approved.status == 200
    assert approved.body["state"] == "applied"
    assert [(each["verdict"], each["comment"]) for each in approved.body["reviews"]] == [("approved", "Fine")]
    assert api.get("viewer", "configurations/shop/production/banner").body["summary"] == "*on* for everyone"


def test_an_administrator_does_not_approve_their_own(api: Api) -> None:
    made = api.post("administrator", "change-requests", api.change(ON)).body
    answer = api.post(
        "administrator", f"change-requests/{made['number']}/approve", {"digest": made["digest"]}
    )
    assert answer.status == 409
    assert answer.body["type"] == "/api/problems/wrong-state"


def test_approving_twice_or_what_was_edited_meanwhile_is_refused(api: Api) -> None:
    made = propose(api, scheduled_at=None)
    address = f"change-requests/{made['number']}"
    body = {name: value for name, value in api.change(split(10)).items() if name != "project"}
    revised = api.put("author", address, body)
    assert revised.status == 200
    assert revised.body["change_id"] == f"CR-{made['number']}.2"
    stale = api.post("reviewer", f"{address}/approve", {"digest": made["digest"]})
    assert stale.status == 409
    assert "edited meanwhile" in stale.body["detail"]
    seen = {"digest": revised.body["digest"]}
    assert api.post("reviewer", f"{address}/approve", seen).status == 200
    assert api.post("reviewer", f"{address}/approve", seen).status == 409


def test_applying_twice_is_refused(api: Api) -> None:
    made = propose(api, environment="development", scheduled_at=None)
    assert made["state"] == "approved"
    address = f"change-requests/{made['number']}/apply"
    assert api.post("author", address).body["state"] == "applied"
    again = api.post("author", address, {})
    assert again.status == 409
    assert "applied already" in again.body["detail"]


def test_a_base_that_is_not_what_stands_is_a_conflict_with_both_versions(api: Api) -> None:
    propose(api, ON, environment="development")
    answer = api.post("author", "change-requests", api.change(OFF, environment="development", base=0))
    assert answer.status == 409
    assert answer.body["type"] == "/api/problems/conflict"
    subject = "project/shop/environment/development/flag/banner"
    assert (answer.body["subject"], answer.body["expected"], answer.body["found"]) == (subject, 0, 1)
    assert FlagConfiguration.objects.get().document == ON


def test_what_changed_between_proposal_and_apply_is_a_conflict(api: Api) -> None:
    first = propose(api, scheduled_at=None)
    second = propose(api, split(5), scheduled_at=None)
    for made in (first, second):
        address = f"change-requests/{made['number']}"
        assert api.post("reviewer", f"{address}/approve", {"digest": made["digest"]}).status == 200
    assert api.post("author", f"change-requests/{second['number']}/apply").status == 200
    answer = api.post("author", f"change-requests/{first['number']}/apply")
    assert answer.status == 409
    assert (answer.body["expected"], answer.body["found"]) == (0, 1)


def test_every_operation_needs_its_base_and_the_base_nothing_else(api: Api) -> None:
    body = api.change(ON)
    for without in ({**body, "base": {}}, {name: body[name] for name in body if name != "base"}):
        refused = api.post("author", "change-requests", without)
        assert refused.status == 409
        assert refused.body["subject"] == api.cast.subject()
        assert (refused.body["expected"], refused.body["found"]) == (None, 0)
        assert "names no version as its base" in refused.body["detail"]
    body = api.change(ON)
    body["base"]["project/shop/flag/other"] = 1
    more = api.post("author", "change-requests", body)
    assert more.status == 422
    assert more.body["member"] == "base.project/shop/flag/other"


def test_the_rationale_that_the_environment_asks_for_is_named(api: Api) -> None:
    answer = api.post("author", "change-requests", api.change(ON, rationale=" "))
    assert answer.status == 422
    assert answer.body["member"] == "rationale"


def test_a_definition_is_made_and_edited_by_its_subject(api: Api) -> None:
    subject = "project/shop/flag/new-search"
    body = {
        "project": "shop",
        "title": "New flag",
        "operations": [{"subject": subject, "after": {**BANNER, "name": "Search"}}],
        "base": {subject: 0},
    }
    assert api.post("author", "change-requests", body).body["state"] == "applied"
    found = api.get("viewer", "flags/shop/new-search").body
    assert (found["subject"], found["version"], found["document"]["name"]) == (subject, 1, "Search")
    body["operations"][0]["after"] = {**BANNER, "type": "string"}
    body["base"] = {subject: 1}
    refused = api.post("author", "change-requests", body)
    assert refused.status == 422


def test_a_schedule_is_set_and_taken_away(api: Api) -> None:
    made = propose(api)
    address = f"change-requests/{made['number']}/schedule"
    when = (timezone.now() + timedelta(days=1)).isoformat()
    assert api.post("reviewer", address, {"scheduled_at": when}).body["scheduled_at"]
    assert api.post("reviewer", address, {"scheduled_at": None}).body["scheduled_at"] is None
    past = api.post("reviewer", address, {"scheduled_at": "2020-01-01T00:00:00Z"})
    assert past.status == 422
    assert past.body["member"] == "scheduled_at"
    assert api.post("reviewer", address, {}).status == 400


def test_a_closed_request_takes_no_verdict_but_a_comment(api: Api) -> None:
    made = propose(api)
    address = f"change-requests/{made['number']}"
    assert api.post("reviewer", f"{address}/reject", {"digest": made["digest"]}).body["state"] == "rejected"
    assert api.post("author", f"{address}/withdraw").status == 409
    assert api.post("author", f"{address}/comment", {"comment": "Why?"}).status == 201
    assert api.post("author", f"{address}/comment", {"comment": ""}).status == 400
    assert api.post("author", f"{address}/comment", {"comment": "x" * 4001}).status == 400


def test_a_comment_names_the_member_it_is_about_and_is_answered(api: Api) -> None:
    made = propose(api)
    address = f"change-requests/{made['number']}/comment"
    about = {"subject": api.cast.subject(), "pointer": "/default/variant"}
    opener = api.post("reviewer", address, {"comment": "Why?", **about})
    assert opener.status == 201
    answer = api.post("author", address, {"comment": "Planned.", "parent": opener.body["number"]})
    assert {name: answer.body[name] for name in about} == about
    assert answer.body["parent"] == opener.body["number"]
    assert answer.body["resolved_at"] is None
    # Either of the thread's comments names it.
    resolve = f"change-requests/{made['number']}/resolve"
    settled = api.post("author", resolve, {"comment": answer.body["number"]}).body
    assert settled["number"] == opener.body["number"]
    assert settled["resolved_by"] == api.cast.users["author"].pseudonym
    assert (
        api.post("reviewer", resolve, {"comment": settled["number"], "resolved": False}).body["resolved_at"]
        is None
    )
    assert api.post("author", resolve, {"comment": 999_999}).status == 422
    assert api.post("author", resolve, {"comment": settled["number"], "resolved": "no"}).status == 400
    refused = api.post("author", address, {"comment": "Here?", **about, "pointer": "/nothing"})
    assert (refused.status, refused.body["member"]) == (422, "pointer")


def test_lists_are_filtered(api: Api) -> None:
    first = propose(api, ON, environment="development")["number"]
    second = propose(api)["number"]
    author = api.cast.users["author"].pseudonym

    def numbers(query: str) -> set[int]:
        return {each["number"] for each in api.get("viewer", f"change-requests?{query}").results}

    assert numbers("environment=production") == {second}
    assert numbers("state=in_review") == {second}
    assert first in numbers("state=applied&environment=development&project=shop")
    assert {first, second} <= numbers(f"proposer={author}")
    assert numbers("proposer=user:nobody") == set()
    assert numbers("project=other") == set()


def test_pages_follow_each_other_and_new_rows_move_nothing(api: Api) -> None:
    numbers = [propose(api, split(share), scheduled_at=None)["number"] for share in range(1, 6)]
    first = api.get("viewer", "change-requests?limit=2&state=in_review")
    assert [each["number"] for each in first.results] == numbers[:-3:-1]
    propose(api, split(50), scheduled_at=None)
    seen = []
    following = first
    while following.body["next"]:
        following = api.get("viewer", following.body["next"].removeprefix("http://testserver"))
        seen += [each["number"] for each in following.results]
    assert seen == numbers[2::-1]


def test_a_refused_proposal_leaves_nothing(api: Api) -> None:
    before = ChangeRequest.objects.count()
    assert api.post("author", "change-requests", api.change({"enabled": 1})).status == 422
    assert ChangeRequest.objects.count() == before
