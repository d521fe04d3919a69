"""Targeting built by keyboard: a segment of people, a split, the order, who matches, and the request."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation

RULES = "/admin/p/shop/flags/checkout-revamp/in/production/rules/"


def _document(page: Page) -> dict[str, object]:
    found: dict[str, object] = json.loads(page.locator("#id_document").input_value())
    return found


def test_rules_are_built_by_keyboard_tried_and_proposed(embedded: Installation, chromium: Chromium) -> None:
    with chromium.person(embedded, "mara") as page:
        page.goto(RULES)
        before = len(_document(page).get("rules", []))  # type: ignore[arg-type]
        page.get_by_role("button", name="Add a rule").press("Enter")
        rule = page.locator(f"#rule-{before}")
        expect(rule.get_by_label("Attribute")).to_be_focused()
        page.keyboard.type("country")
        page.keyboard.press("Tab")
        rule.get_by_label("Values, one a line").fill("DE\nAT\nDE")
        rule.get_by_label("What the rule serves").select_option("split")
        first = rule.get_by_label("Percent of").first
        first.fill("12.5")
        first.press("Tab")
        expect(rule.get_by_label("Percent of").nth(1)).to_have_value("87.5")
        made = _document(page)["rules"][before]  # type: ignore[index]
        assert made["constraints"] == [{"attribute": "country", "operator": "in", "values": ["DE", "AT"]}]
        assert [weight for _, weight in made["serve"]["split"]["weights"]] == [12_500, 87_500]

        # What is wrong is said where it is wrong; then it is mended.
        rule.get_by_label("Name of the rule").fill("")
        rule.get_by_label("Name of the rule").press("Tab")
        expect(rule.locator("> .cs-error")).to_be_visible()
        rule.get_by_label("Name of the rule").fill("neighbours")
        rule.get_by_label("Name of the rule").press("Tab")
        expect(rule.locator("> .cs-error")).to_be_hidden()

        if before:
            rule.get_by_role("button", name="Move up:").press("Enter")
            assert _document(page)["rules"][before - 1]["id"] == "neighbours"  # type: ignore[index]

        # A flag that is needed: its key by a part of it, and which of its variants will do.
        page.get_by_role("button", name="Add a prerequisite").press("Enter")
        needed = page.locator("#needs-0")
        expect(needed.get_by_label("Prerequisite flag")).to_be_focused()
        page.keyboard.type("dark-mode")
        page.keyboard.press("Tab")
        needed.get_by_label("on", exact=True).press("Space")
        expect(page.locator('#rules-flags option[value="dark-mode"]')).to_have_count(1)
        assert _document(page)["prerequisites"] == [{"flag": "dark-mode", "variants": ["on"]}]
        needed.get_by_role("button", name="Remove prerequisite: dark-mode").press("Enter")
        assert "prerequisites" not in _document(page)

        page.get_by_label("Try a context").fill('{"targetingKey": "customer-1", "country": "AT"}')
        row = page.get_by_role("row", name="The context you typed")
        expect(row).to_contain_text("neighbours")

        # JSON both ways: what is typed there stands in the rows.
        page.get_by_text("The whole document (JSON)").click()
        text = page.locator("#id_document").input_value().replace('"neighbours"', '"next-door"')
        page.locator("#id_document").fill(text)
        moved = page.locator(f"#rule-{max(before - 1, 0)}")
        expect(moved.get_by_label("Name of the rule")).to_have_value("next-door")

        page.get_by_label("Why").fill("Neighbours first.")
        page.get_by_label("Ticket").fill("SHOP-7")
        page.get_by_role("button", name="Ask for review").click()
        page.wait_for_url("**/requests/*/")
        expect(page.get_by_text("country is one of DE, AT").first).to_be_visible()


def test_leaving_with_unsaved_work_asks(embedded: Installation, chromium: Chromium) -> None:
    with chromium.person(embedded, "mara") as page:
        page.goto(RULES)
        page.get_by_role("button", name="Add a rule").click()
        with page.expect_event("dialog") as asked:
            page.once("dialog", lambda dialog: dialog.accept())
            page.get_by_role("link", name="Segments").click()
        assert asked.value.type == "beforeunload"


def test_a_segment_is_built_of_the_same_rows(embedded: Installation, chromium: Chromium) -> None:
    with chromium.person(embedded, "mara") as page:
        page.goto("/admin/p/shop/new-segment/")
        page.locator("#id_key").fill("neighbours")
        page.get_by_role("button", name="Add a rule").press("Enter")
        rule = page.locator("#rule-0")
        expect(rule.get_by_label("Attribute")).to_be_focused()
        page.keyboard.type("country")
        page.keyboard.press("Tab")
        # What is wrong is said at the row that it is about.
        expect(rule.locator(".cs-constraint .cs-error")).to_contain_text("give at least one value")
        rule.get_by_label("Values, one a line").fill("DE\nAT")
        # An attribute that is known is added by a click, and its value is what one types next.
        page.get_by_role("button", name="country").click()
        page.keyboard.type('"AT"')
        expect(page.get_by_role("row", name="The context you typed")).to_contain_text("changes")
        expect(rule.locator(".cs-constraint .cs-error")).to_be_hidden()
        page.get_by_role("button", name="Create segment").click()
        page.wait_for_url("**/segments/neighbours/")
        expect(page.get_by_text("country is one of DE, AT").first).to_be_visible()


def test_variants_are_rows_of_names_and_values_of_the_type(
    embedded: Installation, chromium: Chromium
) -> None:
    with chromium.person(embedded, "mara") as page:
        page.goto("/admin/p/shop/new-flag/")
        page.get_by_label("Key").fill("button-colour")
        page.locator("#id_name").fill("Button colour")
        page.get_by_label("Type").select_option("string")
        names = page.locator("[data-name]")
        expect(names.first).to_have_value("new")
        page.get_by_role("button", name="Add a variant").press("Enter")
        expect(names.nth(2)).to_be_focused()
        page.keyboard.type("old")
        expect(page.get_by_text("Another variant has this name").first).to_be_visible()
        page.get_by_role("button", name="Create flag").click()
        assert page.url.endswith("/new-flag/")  # the row keeps the form from being sent
        page.get_by_role("button", name="Add to draft").click()
        assert page.url.endswith("/new-flag/")
        names.nth(2).fill("green")
        page.locator(".cs-variants li").nth(2).get_by_label("Value").fill("#0a0")
        page.get_by_role("button", name="Create flag").click()
        page.wait_for_url("**/flags/button-colour/")
    _, flag = embedded.api("viewer", "GET", "flags/shop/button-colour")[:2]
    assert flag["document"]["variants"] == {"new": "new", "old": "old", "green": "#0a0"}
