"""A person at a browser meets a conflict and rebases, and reads the calendar of freezes."""

from __future__ import annotations

from typing import Any

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation


def test_a_conflict_is_rebased_by_one_click_and_the_calendar_shows_what_is_frozen(
    embedded: Installation, chromium: Chromium
) -> None:
    off = {"enabled": False, "off": "off", "default": {"variant": "on"}}
    definition = {
        "name": "Parcel",
        "type": "boolean",
        "kind": "release",
        "variants": {"on": True, "off": False},
    }
    subject = "project/shop/environment/production/flag/parcel"

    def ask(after: Any, base: int, at: str = subject) -> dict[str, Any]:
        body = {
            "project": "shop",
            "title": "Parcel",
            "rationale": "For parcels.",
            "ticket": "SHOP-9",
            "operations": [{"subject": at, "after": after}],
            "base": {at: base},
        }
        status, made = embedded.api("editor", "POST", "change-requests", body)
        assert status == 201, made
        return dict(made)

    def approved(made: dict[str, Any]) -> None:
        address = f"change-requests/{made['number']}/approve"
        status, answer = embedded.api("reviewer", "POST", address, {"digest": made["digest"]})
        assert (status, answer["state"]) == (200, "applied"), answer

    ask(definition, 0, "project/shop/flag/parcel")
    approved(ask(off, 0))
    mine = ask({**off, "enabled": True}, 1)
    approved(ask({**off, "off": "on"}, 1))
    freeze = {
        "reason": "Stock-taking",
        "starts_at": "2026-01-01T00:00:00Z",
        "rrule": "FREQ=YEARLY",
        "duration": 364 * 86_400,
        "tags": ["parcels"],
        "base": 0,
    }
    status, answer = embedded.api("administrator", "PUT", "freezes/shop/stock", freeze)
    assert status == 200, answer

    with chromium.person(embedded, "mara") as page:
        page.goto(f"/admin/p/shop/requests/{mine['number']}/")
        table = page.get_by_role("table", name="What differs, by member")
        assert table.get_by_role("row").filter(has_text="/enabled").get_by_text("true").is_visible()
        page.get_by_role("button", name="Rebase on what stands now").click()
        page.get_by_text(f"CR-{mine['number']}.2 has what changed meanwhile").wait_for()
        assert page.get_by_role("heading", name="Checks").is_visible()
        assert page.get_by_text("It has 0 of 1 approvals").is_visible()
        page.goto("/admin/p/shop/freezes/?month=2026-03")
        assert page.get_by_role("table", name="Freezes of March 2026, by day").is_visible()
        assert page.get_by_text("Stock-taking").first.is_visible()
    status, found = embedded.api("viewer", "GET", f"change-requests/{mine['number']}")
    assert found["change"]["operations"][0]["after"] == {**off, "off": "on", "enabled": True}
    assert found["conflicts"] == []
