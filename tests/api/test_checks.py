"""Checks, freezes, expectations and rebases over HTTP."""

from __future__ import annotations

from tests.api.conftest import Api
from tests.cast import OFF, ON

FREEZE = {
    "reason": "Stock-taking",
    "environments": ["production"],
    "starts_at": "2026-01-01T00:00:00Z",
    "ends_at": "2098-12-31T00:00:00Z",
    "base": 0,
}
EXPECTED = {
    "sentence": "Everybody has it",
    "environment": "development",
    "context": {"targetingKey": "customer-1"},
    "variant": "on",
}


def test_a_freeze_is_planned_listed_and_lifted_and_holds_changes_up(api: Api) -> None:
    made = api.put("administrator", "freezes/shop/stock", FREEZE)
    assert (made.status, made.body["holds"], made.body["version"]) == (200, True, 1)
    assert made.body["windows"] == [{"start": FREEZE["starts_at"], "end": FREEZE["ends_at"]}]
    assert [each["key"] for each in api.get("viewer", "freezes?project=shop").results] == ["stock"]
    again = api.put("administrator", "freezes/shop/stock", FREEZE)
    assert (again.status, again.body["found"]) == (409, 1)
    preview = api.post("author", "change-requests/preview", api.change(ON)).body
    assert [(each["check"], each["severity"]) for each in preview["checks"]] == [
        ("policy", "block"),
        ("freeze", "block"),
    ]
    asked = api.post("author", "change-requests", api.change(ON)).body
    address = f"change-requests/{asked['number']}"
    approved = api.post("reviewer", f"{address}/approve", {"digest": asked["digest"]}).body
    assert (approved["state"], approved["checks"][0]["open_slot"]) == ("approved", None)  # none within a year
    refused = api.post("author", f"{address}/apply")
    assert (refused.status, refused.body["type"]) == (409, "/api/problems/wrong-state")
    assert "Production is frozen until 2098-12-31 00:00 UTC: Stock-taking (stock)." in refused.body["detail"]
    own = api("administrator", "DELETE", "freezes/shop/stock")
    assert (own.status, "a person who did not make it" in own.body["detail"]) == (409, True)


def test_a_freeze_that_cannot_be_names_the_member(api: Api) -> None:
    for members, member in (
        ({"ends_at": "2025-01-01T00:00:00Z"}, "ends_at"),
        ({"zone": "Mars"}, "zone"),
        ({"ends_at": None, "rrule": "FREQ=DAILY", "duration": 86_400}, "rrule"),
    ):
        answer = api.put("administrator", "freezes/shop/bad", {**FREEZE, **members})
        assert (answer.status, answer.body["member"]) == (422, member), answer.body


def test_expectations_are_read_with_what_is_served_and_changed_by_a_request(api: Api) -> None:
    api.post("author", "change-requests", api.change(ON, environment="development"))
    subject = "project/shop/expectations/banner"
    none = api.get("viewer", "expectations/shop/banner").body
    assert (none["version"], none["outcomes"]) == (0, [])
    body = {
        "project": "shop",
        "title": "Expected",
        "operations": [{"subject": subject, "after": {"expectations": [EXPECTED]}}],
        "base": {subject: 0},
    }
    assert api.post("author", "change-requests", body).body["state"] == "applied"
    found = api.get("viewer", "expectations/shop/banner").body
    [outcome] = found["outcomes"]
    assert (outcome["holds"], outcome["got"], outcome["context"]) == (True, "on", EXPECTED["context"])
    assert [each["flag"] for each in api.get("viewer", "expectations?project=shop").results] == ["banner"]
    refused = api.post("author", "change-requests", api.change(OFF, environment="development", base=1))
    assert (refused.status, "would fail" in refused.body["detail"]) == (409, True)


def test_a_conflict_is_told_by_member_and_rebased(api: Api) -> None:
    def applied(after: object, base: int) -> None:
        asked = api.post("author", "change-requests", api.change(after, base=base)).body
        api.post("reviewer", f"change-requests/{asked['number']}/approve", {"digest": asked["digest"]})

    applied(ON, 0)
    mine = api.post("author", "change-requests", api.change({**ON, "off": "on"}, base=1)).body
    applied({**ON, "regions": {"us": False}}, 1)
    address = f"change-requests/{mine['number']}"
    [conflict] = api.get("reviewer", address).body["conflicts"]
    assert (conflict["seen_version"], conflict["version"]) == (1, 2)
    assert conflict["members"][0] == {
        "pointer": "/off",
        "seen": "off",
        "now": "off",
        "proposed": "on",
        "collides": False,
    }
    assert api.post("administrator", f"{address}/rebase").status == 409
    rebased = api.post("author", f"{address}/rebase")
    assert (rebased.status, rebased.body["conflicts"]) == (200, [])
    assert rebased.body["change"]["operations"][0]["after"] == {**ON, "off": "on", "regions": {"us": False}}
