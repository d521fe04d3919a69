"""Reviewing in a browser: by keys alone, on a line, and told of what others do meanwhile."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation
from tests.e2e.test_gate import ask, configured


def test_a_line_is_commented_and_the_request_approved_by_keys_while_the_author_is_told(
    embedded: Installation, chromium: Chromium
) -> None:
    subject = configured(embedded, "gong")
    after = {"enabled": True, "off": "off", "default": {"variant": "on"}}
    made = ask(embedded, [{"subject": subject, "after": after}], 1, title="Sound the gong")
    address = f"/admin/p/shop/requests/{made['number']}/"
    with chromium.person(embedded, "mara") as author, chromium.person(embedded, "jonas") as reviewer:
        author.goto(address)
        author.get_by_label("Comment").fill("I was about to say")

        reviewer.goto("/admin/p/shop/requests/?which=waiting&q=gong")
        reviewer.keyboard.press("j")
        reviewer.keyboard.press("Enter")
        reviewer.wait_for_url(f"**{address}")
        reviewer.keyboard.press("j")
        reviewer.keyboard.press("c")
        # Letters that are keys of the page are text while one types.
        reviewer.keyboard.type("are any jackdaws near?")
        assert "enabled" in reviewer.locator("[data-on-words]").inner_text()
        reviewer.get_by_role("button", name="Add comment").press("Enter")
        reviewer.get_by_text("Comment added.").wait_for()
        # Once, although the way back, approved with it, has a line on the same member.
        thread = reviewer.locator(".cs-diff .cs-thread")
        expect(thread).to_have_count(1)
        expect(thread).to_contain_text("are any jackdaws near?")
        expect(thread).to_be_visible()

        author.get_by_text("This request changed while you looked.").wait_for(timeout=20_000)
        assert author.get_by_text("Jonas Weber commented").is_visible()
        author.get_by_role("link", name="Reload").click()
        author.locator(".cs-thread").wait_for()
        assert author.get_by_label("Comment").input_value() == "I was about to say"

        # The key only goes to the button; nothing is sent by it.
        reviewer.keyboard.press("a")
        focused = "document.activeElement.value"
        assert reviewer.evaluate(focused) == "approve"
        assert embedded.api("editor", "GET", f"change-requests/{made['number']}")[1]["state"] == "in_review"
        reviewer.keyboard.press("Enter")
        reviewer.get_by_text("Approved").first.wait_for()
        author.get_by_text("This request changed while you looked.").wait_for(timeout=20_000)
