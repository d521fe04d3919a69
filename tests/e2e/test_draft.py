"""A draft in a browser: two edits over two flags and environments, reviewed as a whole, proposed, approved."""

from __future__ import annotations

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation, eventually


def test_two_edits_are_collected_reviewed_proposed_and_approved(
    embedded: Installation, chromium: Chromium
) -> None:
    with chromium.person(embedded, "mara") as page:
        page.goto("/admin/p/shop/flags/")
        # Found as one types, by keyboard alone, and the address follows.
        page.keyboard.press("/")
        page.keyboard.type("gift-cards")
        page.get_by_text("1 flag", exact=True).wait_for()
        page.wait_for_url("**/flags/?q=gift-cards")
        page.get_by_role("switch", name="gift-cards in Production").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_role("button", name="Add to draft").click()
        page.get_by_text("1 change in 1 environment").wait_for()
        assert page.get_by_text("In your draft: on").is_visible()

        # Ticked by keyboard, into the same draft.
        page.goto("/admin/p/shop/flags/?q=delivery")
        page.keyboard.press("j")
        page.keyboard.press("x")
        page.get_by_text("1 of 1 ticked").wait_for()
        page.get_by_label("What to do with the ticked flags").select_option(label="Turn on in Staging")
        page.get_by_role("button", name="Add to draft").click()
        page.get_by_text("2 changes in 2 environments").wait_for()

        page.get_by_role("link", name="Review and propose").click()
        page.get_by_text("2 flags, in 2 environments").wait_for()
        page.get_by_label("Why").fill("Both belong to the spring campaign.")
        page.get_by_label("Ticket").fill("SHOP-640")
        page.get_by_role("button", name="Ask for review").click()
        page.wait_for_url("**/requests/**")
        address = page.url
        assert page.get_by_text("Your draft:").count() == 0
    assert embedded.evaluate("gift-cards").get("value") is not True

    with chromium.person(embedded, "jonas") as page:
        page.goto(address)
        page.get_by_role("button", name="Approve").click()
        page.get_by_text("Applied").first.wait_for()
    eventually(lambda: embedded.evaluate("gift-cards").get("value") is True, "the draft is served")
