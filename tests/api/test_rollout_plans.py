"""`rollout-plans`: proposed as a whole, paused, resumed, aborted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.conftest import Api
from tests.cast import OFF

STAGES = [
    {"weights": [["on", 10], ["off", 90]], "hold": 3600},
    {"weights": [["on", 100], ["off", 0]], "hold": 0},
]


def plan(api: Api, **members: Any) -> Any:
    body = {
        "project": "shop",
        "environment": "development",
        "flag": "banner",
        "title": "Roll it out",
        "stages": STAGES,
        "base": 1,
        **members,
    }
    return api.post("author", "rollout-plans", body)


def test_a_plan_is_approved_as_a_whole_then_paused_resumed_and_aborted(api: Api) -> None:
    api.cast.propose(OFF, environment="development")
    made = plan(api)
    assert made.status == 201
    number = made.body["number"]
    assert made.body["rollout_plan"] == number
    assert made.body["effects"][0].startswith("stage 1, at once: Development: turned on")
    assert api.get("viewer", f"rollout-plans/{number}").body["state"] == "proposed"
    applied = api.post("author", f"change-requests/{number}/apply")
    assert applied.status == 200, applied.body
    found = api.get("viewer", f"rollout-plans/{number}").body
    assert (found["state"], found["done"], found["stages"]) == ("running", 1, STAGES)
    assert api.post("author", f"rollout-plans/{number}/pause").body["state"] == "paused"
    assert api.post("author", f"rollout-plans/{number}/pause").status == 409
    assert api.post("author", f"rollout-plans/{number}/resume").body["state"] == "running"
    assert api.post("author", f"rollout-plans/{number}/abort").body["state"] == "aborted"
    assert api.get("viewer", "configurations/shop/development/banner").body["document"] == OFF
    assert [each["number"] for each in api.get("viewer", "rollout-plans?state=aborted").results] == [number]
    assert api.get("viewer", "rollout-plans?flag=other").results == []


@pytest.mark.parametrize(
    ("stages", "status", "member"),
    [
        ([], 422, "stages"),
        ([1], 400, "stages[0]"),
        ([{"weights": [["on", 1]]}], 422, "stages[0]"),
        ([{"weights": [["on", 1]], "hold": 1.5}], 422, "stages[0].hold"),
        ([{"weights": "on", "hold": 1}], 422, "stages[0].weights"),
        ([{"weights": [["nothing", 1]], "hold": 1}], 422, "flags.banner.default.split.weights[0]"),
        ([{"weights": [["on", -1]], "hold": 1}], 422, "stages[0].weights"),
        ([{"weights": [[{}, []]], "hold": 1}], 422, "stages[0].weights"),
    ],
)
def test_a_stage_that_breaks_a_rule_is_named(api: Api, stages: Any, status: int, member: str) -> None:
    api.cast.propose(OFF, environment="development")
    answer = plan(api, stages=stages)
    assert answer.status == status, answer.body
    assert answer.body["member"].startswith(member), answer.body


def test_a_flag_that_is_not_configured_there_cannot_be_rolled_out(api: Api) -> None:
    assert plan(api).status == 422
    assert plan(api, flag="nothing").status == 404
