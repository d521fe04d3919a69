"""Writes that meet another: outdated bases, the same key at once, side doors that stay shut."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.core.signals import got_request_exception
from django.db import connections
from django.test import Client

from access.models import Membership, StoredAnswer
from approvals import workflow
from approvals.models import ChangeRequest
from audit.models import Event
from flags.models import Environment, Flag
from tests.api.conftest import Api
from tests.cast import OFF, ON, Cast, split

KEY = {"Idempotency-Key": "once"}


def test_an_outdated_base_of_an_environments_settings_is_a_conflict_with_both_versions(api: Api) -> None:
    address = "environments/shop/development"
    assert api.get("viewer", address).body["version"] == 1
    assert api("administrator", "PATCH", address, {"name": "Live", "base": 1}).body["version"] == 2
    for body, expected in (({"name": "Mine", "base": 1}, 1), ({"name": "Mine"}, None)):
        answer = api("administrator", "PATCH", address, body)
        assert answer.status == 409
        assert answer.body["subject"] == "project/shop/environment-settings/development"
        assert (answer.body["expected"], answer.body["found"]) == (expected, 2)
        assert "edit the change for version 2" in answer.body["detail"]
    assert Environment.objects.get(key="development").name == "Live"


def test_settings_that_change_nothing_leave_no_event_and_no_version(api: Api) -> None:
    api.token("administrator")
    count = Event.objects.count()
    again = api("administrator", "PATCH", "environments/shop/production", {"name": "Production", "base": 1})
    assert (again.status, again.body["version"]) == (200, 1)
    assert Event.objects.count() == count


def test_a_plan_names_the_version_of_the_configuration_that_it_starts_from(api: Api) -> None:
    api.cast.propose(OFF, environment="development")
    plan = {
        "project": "shop",
        "environment": "development",
        "flag": "banner",
        "title": "Roll",
        "stages": [{"weights": [["on", 1], ["off", 1]], "hold": 0}],
    }
    for body, expected in ((plan, None), ({**plan, "base": 0}, 0)):
        answer = api.post("author", "rollout-plans", body)
        assert answer.status == 409
        assert (answer.body["expected"], answer.body["found"]) == (expected, 1)


def test_every_write_takes_a_key(api: Api) -> None:
    policy = {"policy": {"name": "Two", "approvals": 2}, "rationale": "agreed", "base": 0}
    first = api.put("administrator", "policies/shop/two", policy, **KEY)
    again = api.put("administrator", "policies/shop/two", policy, **KEY)
    assert (first.status, again.status, again.body) == (202, 202, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    rename = {"name": "Live", "base": 1}
    for _ in range(2):
        assert api("administrator", "PATCH", "environments/shop/development", rename, **KEY).status == 200
    viewer = api.cast.users["viewer"].pseudonym
    for _ in range(2):
        gone = api("administrator", "DELETE", f"memberships/shop/{viewer}/viewer", **KEY)
        assert (gone.status, gone.body) == (204, None)
    assert api("administrator", "DELETE", f"memberships/shop/{viewer}/viewer").status == 404


def test_two_at_once_with_one_key_run_once(committed_cast: Cast) -> None:
    committed_cast.flag()
    api = Api(committed_cast)
    body = api.change(ON, environment="development")
    token = api.token("author")
    answers: list[Any] = []
    start = threading.Barrier(4)

    def send() -> None:
        try:
            start.wait()
            answers.append(
                Client(headers={"Authorization": f"Bearer {token}", **KEY}).post(
                    "/api/v1/change-requests", body, content_type="application/json"
                )
            )
        finally:
            connections.close_all()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} <= {201, 409}
    done = [answer.json()["number"] for answer in answers if answer.status_code == 201]
    assert len(set(done)) == 1
    assert ChangeRequest.objects.filter(environments__key="development").count() == 1
    assert StoredAnswer.objects.get().status == 201


def test_a_preview_tells_what_a_change_does_and_keeps_nothing(api: Api) -> None:
    before = (ChangeRequest.objects.count(), Flag.objects.get(key="banner").version)
    told = api.post("author", "change-requests/preview", api.change(split(25)))
    assert told.status == 200, told.body
    assert (told.body["environments"], told.body["required_approvals"]) == (["production"], 1)
    assert told.body["applied_at_once"] is False
    assert "*on* for 25 %" in told.body["effects"][0]
    at_once = api.post("author", "change-requests/preview", api.change(ON, environment="development")).body
    assert at_once["applied_at_once"] is True
    assert before == (ChangeRequest.objects.count(), Flag.objects.get(key="banner").version)
    refused = api.post("author", "change-requests/preview", api.change({"enabled": 1}))
    assert (refused.status, refused.body["type"]) == (422, "/api/problems/invalid")
    assert api.post("viewer", "change-requests/preview", api.change(ON)).status == 403
    assert api.post("outsider", "change-requests/preview", api.change(ON)).status == 404


def test_the_history_of_a_flag_is_told_to_whoever_sees_it(api: Api) -> None:
    api.cast.propose(OFF, environment="development")
    api.cast.propose(ON, environment="development")
    first = api.get("viewer", "flags/shop/banner/history?limit=2")
    assert [each["before"] for each in first.results] == [OFF, None]
    assert first.results[0]["after"] == ON
    assert first.results[0]["sentences"] == ["Development: turned on; *on* for everyone"]
    rest = api.get("viewer", first.body["next"].removeprefix("http://testserver"))
    assert [each["type"] for each in rest.results] == ["flags.v1.flag.created"]
    assert api.get("outsider", "flags/shop/banner/history").status == 404


def test_the_report_is_csv_for_whoever_may_export(api: Api) -> None:
    api.cast.propose(ON, environment="development")
    client = Client(headers={"Authorization": f"Bearer {api.token('auditor')}", "Accept": "text/csv"})
    answer = client.get("/api/v1/report.csv")
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/csv; charset=utf-8")
    text = b"".join(answer).decode("utf-8-sig")  # type: ignore[arg-type]
    assert text.splitlines()[0].startswith("number,time (UTC),project")
    assert "banner" in text
    assert api.get("viewer", "report.csv").status == 403


def test_people_are_seen_by_whom_they_share_a_project_with(api: Api) -> None:
    seen = {each["name"] for each in api.get("viewer", "people").results}
    assert "Author" in seen
    assert "Outsider" not in seen
    assert "Outsider" in {each["name"] for each in api.get("root", "people").results}
    assert all(set(each) == {"id", "name", "is_active"} for each in api.get("root", "people").results)


def test_a_role_is_given_by_user_name_or_address_too(api: Api) -> None:
    for who in ("outsider", "OUTSIDER@example.com"):
        body = {"project": "shop", "member": who, "role": "viewer"}
        assert api.post("administrator", "memberships", body).status == 201
        assert api.post("viewer", "memberships", body).status == 403
    assert Membership.objects.filter(member=api.cast.users["outsider"].pseudonym, role="viewer").count() == 1
    nobody = api.post("administrator", "memberships", {"project": "shop", "member": "x", "role": "viewer"})
    assert nobody.status == 404


def test_what_waits_for_a_reviewer_is_a_filter(api: Api) -> None:
    number = api.cast.propose(ON).number
    assert [each["number"] for each in api.get("reviewer", "change-requests?waiting=true").results] == [
        number
    ]
    for name in ("author", "viewer", "outsider"):
        assert api.get(name, "change-requests?waiting=true").results == []


def test_side_doors_stay_shut(api: Api) -> None:
    override = {"X-HTTP-Method-Override": "DELETE"}
    administrator = api.cast.users["administrator"].pseudonym
    address = f"memberships/shop/{administrator}/administrator"
    assert api.post("administrator", address, **override).status == 405
    assert api.get("viewer", "flags?_method=DELETE").status == 400
    assert api.get("viewer", "flags?format=json").status == 400
    options = api("viewer", "OPTIONS", "flags/shop/banner")
    assert (options.status, options.body["type"]) == (405, "/api/problems/method-not-allowed")
    assert api.get("viewer", "flags/").status == 404
    head = Client(headers={"Authorization": f"Bearer {api.token('outsider')}"}).head(
        "/api/v1/flags/shop/banner"
    )
    assert (head.status_code, head.content) == (404, b"")
    body = {"name": "laptop", "user": 1}
    assert api.post("author", "tokens", body).body["member"] == "user"


def test_what_nobody_foresaw_is_a_problem_too_and_is_told_to_the_log(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    def watch(**kwargs: Any) -> None:
        told.append(kwargs["request"].path)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(workflow, "change", fail)
    got_request_exception.connect(watch)
    try:
        client = Client(
            headers={"Authorization": f"Bearer {api.token('author')}"}, raise_request_exception=False
        )
        answer = client.post("/api/v1/change-requests", api.change(ON), content_type="application/json")
    finally:
        got_request_exception.disconnect(watch)
    assert (answer.status_code, answer.headers["Content-Type"]) == (500, "application/problem+json")
    assert answer.json()["type"] == "/api/problems/unforeseen"
    assert "nobody foresaw this" not in answer.content.decode()
    assert told == ["/api/v1/change-requests"]


def test_a_host_that_is_not_ours_is_a_problem_too(api: Api) -> None:
    answer = api.get("viewer", "me", Host="evil.example")
    assert (answer.status, answer.body["type"]) == (400, "/api/problems/malformed")
