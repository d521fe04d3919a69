"""What comes in between: somebody else, a session that ends, a click too many, the way back, a slow or dead network."""

from __future__ import annotations

import json

from playwright.sync_api import Page, Route, expect

from tests.e2e.browser import Chromium, sign_in
from tests.e2e.installation import Installation
from tests.e2e.test_gate import OFF, ask, configured

# What becomes of a button; the page is on its way to another, so it is asked at once.
CLICKED_TWICE = """async (button) => {
  const place = () => JSON.stringify(button.getBoundingClientRect());
  const before = place();
  button.click();
  button.click();
  await new Promise((done) => setTimeout(done, 50));
  return { disabled: button.disabled, busy: button.ariaBusy, moved: place() !== before };
}"""


def add_rule(page: Page, name: str, country: str) -> None:
    page.get_by_role("button", name="Add a rule").click()
    rule = page.locator("ol.cs-rules > li").last
    expect(rule.get_by_label("Attribute")).to_be_focused()
    rule.get_by_label("Name of the rule").fill(name)
    rule.get_by_label("Attribute").fill("country")
    rule.get_by_label("Values, one a line").fill(country)
    page.get_by_label("Why").fill(f"{name} first.")
    page.get_by_label("Ticket").fill("SHOP-71")


def rules_in(page: Page) -> list[str]:
    """Of the document that would be sent, which must be those that are shown."""
    names = [rule["id"] for rule in json.loads(page.locator("#id_document").input_value()).get("rules", ())]
    shown = page.get_by_label("Name of the rule")
    expect(shown).to_have_count(len(names))
    assert [each.input_value() for each in shown.all()] == names
    return names


def test_two_people_at_the_same_flag_both_get_their_rule(embedded: Installation, chromium: Chromium) -> None:
    configured(embedded, "carousel", {**OFF, "enabled": True})
    rules = "/admin/p/shop/flags/carousel/in/staging/rules/"
    with (
        chromium.person(embedded, "mara") as first,
        chromium.person(embedded, "admin", forgive="409") as second,
    ):
        for page in (first, second):
            page.goto(rules)
        add_rule(first, "germans", "DE")
        add_rule(second, "swiss", "CH")
        first.get_by_role("button", name="Change it now").click()
        expect(first.get_by_text("Done (CR-")).to_be_visible()

        second.get_by_role("button", name="Change it now").click()
        alert = second.get_by_role("alert")
        expect(alert).to_contain_text("Nothing was overwritten.")
        expect(alert).to_contain_text("germans")
        expect(second.get_by_label("Why")).to_have_value("swiss first.")
        assert rules_in(second) == ["germans", "swiss"]
        second.get_by_role("button", name="Change it now").click()
        expect(second.get_by_text("Done (CR-")).to_be_visible()
    status, found = embedded.api("viewer", "GET", "configurations/shop/staging/carousel")
    assert (status, [rule["id"] for rule in found["document"]["rules"]]) == (200, ["germans", "swiss"])


def test_what_was_typed_outlives_the_session(embedded: Installation, chromium: Chromium) -> None:
    subject = configured(embedded, "footer")
    made = ask(embedded, [{"subject": subject, "after": {**OFF, "enabled": True}}], 1)
    password = embedded.demo["users"]["mara"]["password"]
    with chromium.person(embedded, "mara") as page:
        page.goto("/admin/p/shop/flags/footer/in/production/rules/")
        add_rule(page, "finns", "FI")
        page.context.clear_cookies(name="sessionid")
        page.get_by_role("button", name="Ask for review").click()
        expect(page.get_by_text("What you typed is kept in this tab")).to_be_visible()
        sign_in(page, "mara", password)
        expect(page.get_by_text("What you typed before is back.")).to_be_visible()
        assert rules_in(page) == ["finns"]
        expect(page.get_by_label("Values, one a line")).to_have_value("FI")
        expect(page.get_by_label("Why")).to_have_value("finns first.")

        page.goto(f"/admin/p/shop/requests/{made['number']}/")
        page.get_by_label("Comment").fill("It took me ten minutes to write this.")
        page.context.clear_cookies(name="sessionid")
        page.get_by_role("button", name="Add comment").click()
        sign_in(page, "mara", password)
        expect(page.get_by_label("Comment")).to_have_value("It took me ten minutes to write this.")
        page.get_by_role("button", name="Add comment").click()
        expect(page.get_by_text("Comment added.")).to_be_visible()


def test_a_double_click_on_a_slow_network_asks_once_and_so_does_the_way_back(
    embedded: Installation, chromium: Chromium
) -> None:
    configured(embedded, "ticker")
    rules = "/admin/p/shop/flags/ticker/in/production/rules/"
    asked: list[Route] = []
    with chromium.person(embedded, "mara") as page:
        page.goto(rules)
        add_rule(page, "danes", "DK")
        ask_button = page.get_by_role("button", name="Ask for review")
        expect(page.get_by_text("country is one of DK")).to_be_visible()
        # The network holds back what is sent until both clicks are done.
        page.route(f"**{rules}", lambda route: asked.append(route))
        assert ask_button.evaluate(CLICKED_TWICE) == {"disabled": True, "busy": "true", "moved": False}
        for route in asked:
            route.continue_()
        page.unroute(f"**{rules}")
        page.wait_for_url("**/requests/*/")
        address = page.url
        assert [each.request.is_navigation_request() for each in asked].count(True) == 1

        # The form is as empty as a new one, and says that this was asked for.
        page.go_back()
        note = page.get_by_role("link", name="Change ticker in Production")
        expect(note).to_have_attribute("href", address.removeprefix(embedded.base_url))
        assert rules_in(page) == []
        # Who asks for the very same gets the request that there is.
        add_rule(page, "danes", "DK")
        ask_button.click()
        page.wait_for_url(address)


def test_while_the_server_cannot_be_reached_nothing_is_sent_and_nothing_lost(
    embedded: Installation, chromium: Chromium
) -> None:
    with chromium.person(embedded, "mara", forgive="ERR_INTERNET_DISCONNECTED") as page:
        page.goto("/admin/p/shop/new-flag/")
        page.get_by_label("Key").fill("written-in-a-tunnel")
        page.get_by_role("textbox", name="Name required").fill("Written in a tunnel")
        banner = page.get_by_text("The server cannot be reached. What you typed stays here")
        expect(banner).to_be_hidden()
        page.context.set_offline(True)
        expect(banner).to_be_visible()
        page.locator("#content form button[type=submit].cs-primary").click()
        refusal = page.get_by_text("Nothing was sent; what you typed stays here.")
        expect(refusal).to_be_visible()
        page.context.set_offline(False)
        expect(banner).to_be_hidden()
        expect(refusal).to_be_hidden()
        expect(page.get_by_label("Key")).to_have_value("written-in-a-tunnel")
