"""Over the API: going back, promoting, hibernating, archiving, and killing everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from approvals import workflow
from approvals.models import ChangeRequest
from flags.models import Flag, FlagConfiguration
from tests.api.conftest import Answer, Api
from tests.cast import BANNER, OFF, ON, Cast, split

PRODUCTION = "project/shop/environment/production/flag/banner"


@pytest.fixture
def shop(api: Api) -> Api:
    """Whose banner is on in production, for a quarter since, and on in development."""
    cast = api.cast
    cast.propose(ON, environment="development")
    cast.approve(cast.propose(ON))
    cast.approve(cast.propose(split(25)))
    return api


def approved(api: Api, answer: Answer) -> Answer:
    assert answer.status == 201, answer.body
    if answer.body["state"] == "applied":
        return answer
    address = f"change-requests/{answer.body['number']}/approve"
    return api.post("reviewer", address, {"digest": answer.body["digest"]})


def standing(environment: str = "production") -> Any:
    return FlagConfiguration.objects.get(environment__key=environment).document


def latest() -> int:
    return ChangeRequest.objects.latest("pk").number


def test_a_change_set_shows_how_much_it_is_about(api: Api) -> None:
    subjects = {"project/shop/flag/tour": BANNER}
    subjects |= {f"project/shop/environment/{name}/flag/tour": ON for name in ("production", "development")}
    body = {
        "project": "shop",
        "title": "A tour",
        "rationale": "planned",
        "operations": [{"subject": subject, "after": after} for subject, after in subjects.items()],
        "base": dict.fromkeys(subjects, 0),
    }
    answer = api.post("author", "change-requests", body)
    assert answer.status == 201
    assert answer.body["extent"] == "1 flag, in 2 environments"
    assert approved(api, answer).body["state"] == "applied"
    assert Flag.objects.get(key="tour").configurations.count() == 2


def test_a_request_says_how_it_goes_back_and_a_revert_is_linked_both_ways(shop: Api) -> None:
    number = latest()
    seen = shop.get("author", f"change-requests/{number}").body
    assert seen["way_back"]["operations"] == [{"subject": PRODUCTION, "after": ON}]
    assert (seen["way_back"]["obstacles"], seen["revertible"]) == ([], True)
    assert "without its way back" in seen["way_back"]["why_not_at_once"]
    made = shop.post("author", f"change-requests/{number}/revert", {"rationale": "It hurts."})
    assert made.body["title"].startswith(f"Revert CR-{number}: ")
    assert (made.body["reverts"], made.body["change"]["base"]) == (number, {PRODUCTION: 2})
    approved(shop, made)
    listed = {row["number"]: row for row in shop.get("author", "change-requests").results}
    assert listed[number]["reverted_by"] == [made.body["number"]]
    assert (listed[number]["revertible"], standing()) == (False, ON)
    again = shop.post("author", f"change-requests/{number}/revert", {"rationale": "It hurts."})
    assert again.status == 409
    assert "as it was before already" in again.body["detail"]


def test_on_call_reverts_at_once_where_policy_allows(shop: Api) -> None:
    refused = shop.post("on_call", f"change-requests/{latest()}/revert-at-once")
    assert refused.status == 409
    shop.cast.policy(on_call_may_revert=True)
    shop.cast.approve(shop.cast.propose(split(50)))
    assert shop.post("author", f"change-requests/{latest()}/revert-at-once").status == 403
    answer = shop.post("on_call", f"change-requests/{latest()}/revert-at-once")
    assert (answer.status, answer.body["taken_back"], standing()) == (200, True, split(25))
    debt = shop.get("reviewer", "emergencies?reviewed=false").results[0]
    assert (debt["kind"], debt["change_request"], debt["overdue"]) == ("revert", latest(), False)
    assert shop.post("reviewer", f"emergencies/{debt['event']}/review").body["reviewed_by"]


def test_an_earlier_version_is_restored_from_the_history(shop: Api) -> None:
    history = shop.get("viewer", "flags/shop/banner/history").results
    first = [row for row in history if row["subject"] == PRODUCTION][-1]
    body = {"project": "shop", "event": first["event"], "rationale": "As in May."}
    assert shop.post("author", "change-requests/restore", body).status == 409
    approved(shop, shop.post("author", "change-requests/restore", {**body, "base": 2}))
    assert standing() == ON
    unknown = {**body, "event": "3f2b8a53-7d0c-4f6e-9b1e-2a4f3c5d6e7f"}
    assert shop.post("author", "change-requests/restore", unknown).status == 404


def test_on_call_restores_an_earlier_version_at_once_where_policy_allows(shop: Api) -> None:
    shop.cast.policy(on_call_may_revert=True)
    history = shop.get("viewer", "flags/shop/banner/history").results
    stood = next(row for row in history if row["subject"] == PRODUCTION)
    for share in (50, 75):
        shop.cast.approve(shop.cast.propose(split(share)))
    body = {"project": "shop", "event": stood["event"], "base": 4}
    assert shop.post("author", "change-requests/restore-at-once", body).status == 403
    assert shop.post("on_call", "change-requests/restore-at-once", {**body, "base": 3}).status == 409
    made = shop.post("on_call", "change-requests/restore-at-once", body)
    assert (made.status, standing()) == (201, split(25))
    assert [debt["change_request"] for debt in made.body] == [latest(), latest() - 1]
    again = shop.post("on_call", "change-requests/restore-at-once", {**body, "base": 6})
    assert (again.status, "by going back" in again.body["detail"]) == (409, True)


def test_a_flag_is_promoted_with_a_preview(shop: Api) -> None:
    preview = shop.get("viewer", "flags/shop/banner/promote?environment=development").body
    assert (preview["to"], preview["version"], preview["blockers"]) == ("production", 2, [])
    assert preview["travels"] == ["Switched on.", "The default: *on*."]
    assert preview["effects"][0].startswith("Production: ")
    body = {"environment": "development", "rationale": "It works."}
    assert shop.post("author", "flags/shop/banner/promote", body).status == 409
    assert shop.post("viewer", "flags/shop/banner/promote", {**body, "base": 2}).status == 403
    approved(shop, shop.post("author", "flags/shop/banner/promote", {**body, "base": 2}))
    assert standing() == ON
    last = shop.post("author", "flags/shop/banner/promote", {**body, "environment": "production"})
    assert (last.status, "last environment" in last.body["detail"]) == (409, True)


def test_a_flag_hibernates_wakes_and_is_archived(shop: Api) -> None:
    cast: Cast = shop.cast
    owner = cast.users["author"].pseudonym
    subject = "project/shop/flag/banner"
    workflow.change(
        cast.actor("author"),
        cast.project,
        [{"subject": subject, "after": {**BANNER, "owner": owner}}],
        title="Owner",
    )
    wake_at = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    body = {"variant": "off", "wake_at": wake_at, "plan": "Go on.", "rationale": "Later."}
    approved(shop, shop.post("author", "flags/shop/banner/hibernate", body))
    assert standing() == {**ON, "default": {"variant": "off"}}
    sleeping = shop.get("viewer", "flags?lifecycle=hibernating").results
    assert sleeping[0]["document"]["hibernation"]["plan"] == "Go on."
    approved(shop, shop.post("author", "flags/shop/banner/wake", {"rationale": "Now."}))
    assert standing() == split(25)
    obstacles = shop.get("viewer", "flags/shop/banner/archive").body
    assert obstacles == {
        "possible": False,
        "obstacles": [
            "It is on in Development; turn it off there first.",
            "It is on in Production; turn it off there first.",
        ],
    }
    refused = shop.post("author", "flags/shop/banner/archive", {"rationale": "Done."})
    assert (refused.status, refused.body["member"]) == (422, "archived")
    cast.propose(OFF, environment="development")
    cast.approve(cast.propose(OFF))
    approved(shop, shop.post("author", "flags/shop/banner/archive", {"rationale": "Done."}))
    assert shop.get("viewer", "flags").results == []
    assert [row["key"] for row in shop.get("viewer", "flags?lifecycle=archived").results] == ["banner"]
    approved(shop, shop.post("author", "flags/shop/banner/unarchive", {"rationale": "Not quite."}))
    assert [row["key"] for row in shop.get("viewer", "flags").results] == ["banner"]


def test_one_call_kills_everywhere(shop: Api) -> None:
    assert shop.post("author", "flags/shop/banner/kill").status == 403
    answer = shop.post("on_call", "flags/shop/banner/kill")
    assert answer.status == 201
    assert [row["subject"].split("/")[3] for row in answer.body] == ["development", "production"]
    assert standing()["killed"] is True
    assert standing("development")["killed"] is True
    again = shop.post("on_call", "flags/shop/banner/kill")
    assert (again.status, "in every environment" in again.body["detail"]) == (409, True)
