"""The gate in a browser: a rollout from plan to abort, a kill and its review, a rebase, and a policy by request."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation, eventually

OFF = {"enabled": False, "off": "off", "default": {"variant": "on"}}


def configured(installation: Installation, key: str, after: dict[str, Any] | None = None) -> str:
    """A new flag that stands in production as `after` says, off if nothing else; its subject there."""
    subject = f"project/shop/environment/production/flag/{key}"
    definition = {
        "name": key.title(),
        "type": "boolean",
        "kind": "operational",
        "variants": {"on": True, "off": False},
        "permanent_reason": "It is turned by hand.",
        "tags": [key],
    }
    operations = [
        {"subject": f"project/shop/flag/{key}", "after": definition},
        {"subject": subject, "after": after or OFF},
    ]
    approved(installation, ask(installation, operations, 0))
    return subject


def ask(installation: Installation, operations: list[dict[str, Any]], base: int, **more: Any) -> Any:
    body = {
        "project": "shop",
        "title": "By the API",
        "rationale": "To begin with.",
        "ticket": "SHOP-1",
        "operations": operations,
        "base": {operation["subject"]: base for operation in operations},
        **more,
    }
    status, made = installation.api("editor", "POST", "change-requests", body)
    assert status == 201, made
    return made


def approved(installation: Installation, made: Any) -> None:
    address = f"change-requests/{made['number']}/approve"
    status, answer = installation.api("reviewer", "POST", address, {"digest": made["digest"]})
    assert (status, answer["state"]) == (200, "applied"), answer


def approve(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Approve").click()
    page.get_by_text("Applied").first.wait_for()


def stages(page: Page, mark: str) -> int:
    return page.locator(f"li.cs-stage-{mark}").count()


def test_a_rollout_is_planned_approved_seen_in_stages_paused_and_aborted(
    embedded: Installation, chromium: Chromium
) -> None:
    configured(embedded, "doorbell")
    with chromium.person(embedded, "mara") as page:
        page.goto("/admin/p/shop/flags/doorbell/in/production/rollout/")
        for number, (whom, percent, hours) in enumerate(
            [("internal-staff", "", "0"), ("beta-testers", "", "0"), ("", "25", "24"), ("", "100", "")], 1
        ):
            if whom:
                page.get_by_label(f"Stage {number}", exact=True).select_option(f"segment:{whom}")
            page.get_by_label(f"Stage {number}, percent").fill(percent)
            page.get_by_label(f"Stage {number}, hours until the next").fill(hours)
        page.get_by_label("Why").fill("Few first, then everyone.")
        page.get_by_label("Ticket").fill("SHOP-510")
        page.get_by_role("button", name="Ask for review").click()
        page.wait_for_url("**/requests/**")
        address = page.url
        assert page.get_by_text("internal-staff").first.is_visible()
        assert page.get_by_text("beta-testers").first.is_visible()
    staff = {"email_domain": "example.com"}
    assert embedded.evaluate("doorbell", **staff)["value"] is False

    with chromium.person(embedded, "jonas") as page:
        approve(page, address)
        page.get_by_role("link", name="The rollout plan").first.click()
        page.wait_for_url("**/plans/**")
        eventually(
            lambda: page.reload() and stages(page, "done") == 3, "three stages are carried out", seconds=120
        )
        assert page.get_by_text("3 of 4 stages carried out").is_visible()
        eventually(lambda: embedded.evaluate("doorbell", **staff)["value"], "the staff keeps what it has")
        served = [embedded.evaluate("doorbell", targetingKey=f"customer-{n}")["value"] for n in range(60)]
        assert 3 <= sum(served) <= 30, "about a quarter"

        page.get_by_role("button", name="Pause").click()
        page.get_by_text("paused by hand").wait_for()
        page.get_by_text("Abort", exact=True).click()
        assert page.get_by_text("goes back at once to what stood there before the plan").is_visible()
        page.get_by_role("button", name="Abort and go back").click()
        page.get_by_text("Aborted").first.wait_for()
    eventually(lambda: embedded.evaluate("doorbell", **staff)["value"] is False, "it is off again")
    status, found = embedded.api("viewer", "GET", "configurations/shop/production/doorbell")
    assert (status, found["document"]) == (200, OFF)


def test_a_kill_is_served_at_once_and_its_review_is_owed_until_somebody_else_gives_it(
    embedded: Installation, chromium: Chromium
) -> None:
    configured(embedded, "siren", {**OFF, "enabled": True})
    eventually(lambda: embedded.evaluate("siren").get("value") is True, "it is on")
    with chromium.person(embedded, "priya") as page:
        page.goto("/admin/p/shop/flags/siren/in/production/kill/")
        page.get_by_role("button", name="Kill").click()
        page.wait_for_url(lambda url: "/kill" not in url)
        eventually(lambda: embedded.evaluate("siren")["value"] is False, "off, without any review")
        page.goto("/admin/p/shop/requests/")
        assert page.get_by_text("siren").first.is_visible()
        assert page.get_by_text("You did it, so somebody else reviews it.").first.is_visible()
    with chromium.person(embedded, "jonas") as page:
        page.goto("/admin/p/shop/requests/")
        page.get_by_role("button", name=re.compile("Mark as reviewed.*siren")).click()
        page.get_by_role("button", name=re.compile("Mark as reviewed.*siren")).wait_for(state="detached")


def test_a_request_that_conflicts_is_rebased_by_one_click_and_keeps_what_it_asked_for(
    embedded: Installation, chromium: Chromium
) -> None:
    subject = configured(embedded, "ladder")
    mine = ask(embedded, [{"subject": subject, "after": {**OFF, "enabled": True}}], 1, confirm_within=3_600)
    approved(embedded, ask(embedded, [{"subject": subject, "after": {**OFF, "off": "on"}}], 1))
    with chromium.person(embedded, "mara") as page:
        page.goto(f"/admin/p/shop/requests/{mine['number']}/")
        table = page.get_by_role("table", name="What differs, by member")
        assert table.get_by_role("row").filter(has_text="/enabled").get_by_text("true").is_visible()
        page.get_by_role("button", name="Rebase on what stands now").click()
        page.get_by_text(f"CR-{mine['number']}.2 has what changed meanwhile").wait_for()
        address = page.url
    with chromium.person(embedded, "jonas") as page:
        approve(page, address)
        page.get_by_text("It waits to be confirmed.").wait_for()
        page.get_by_role("button", name="Confirm: it stays").click()
        page.get_by_text("Confirmed: it stays.").wait_for()
    status, found = embedded.api("viewer", "GET", "configurations/shop/production/ladder")
    assert (status, found["document"]) == (200, {**OFF, "off": "on", "enabled": True})


def test_the_calendar_shows_what_is_frozen(embedded: Installation, chromium: Chromium) -> None:
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
        page.goto("/admin/p/shop/calendar/?month=2026-03")
        assert page.get_by_role("table", name="What is planned in March 2026, by day").is_visible()
        assert page.get_by_text("Stock-taking").first.is_visible()


def test_a_policy_is_asked_for_approved_by_somebody_else_and_holds_from_then_on(
    embedded: Installation, chromium: Chromium
) -> None:
    subject = configured(embedded, "vault")
    with chromium.person(embedded, "admin") as page:
        page.goto("/admin/p/shop/policies/new/")
        page.get_by_label("Key").fill("vaults")
        page.get_by_label("Name").fill("Vaults")
        page.get_by_label("Only for flags with one of these tags").fill("vault")
        page.get_by_label("Approvals").fill("2")
        page.get_by_label("Why", exact=True).fill("Two pairs of eyes.")
        page.get_by_label("Ticket", exact=True).fill("SHOP-511")
        page.locator("form#policy button[type=submit].cs-primary").click()
        page.wait_for_url("**/requests/**")
        address = page.url
        assert page.get_by_text("This is your own change, so somebody else approves it.").is_visible()
    with chromium.person(embedded, "jonas") as page:
        approve(page, address)
        page.goto("/admin/p/shop/policies/")
        assert page.get_by_text("Vaults").first.is_visible()
    made = ask(embedded, [{"subject": subject, "after": {**OFF, "enabled": True}}], 1)
    with chromium.person(embedded, "jonas") as page:
        page.goto(f"/admin/p/shop/requests/{made['number']}/")
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("1 of 2").first.wait_for()
    assert embedded.evaluate("vault")["value"] is False
