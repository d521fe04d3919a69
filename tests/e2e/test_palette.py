"""The command palette by keyboard alone, in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation


def test_one_goes_to_a_flag_and_begins_a_kill_without_a_mouse(
    embedded: Installation, chromium: Chromium
) -> None:
    with chromium.person(embedded, "priya") as page:
        page.goto("/admin/p/shop/home/")
        page.keyboard.press("Control+k")
        field = page.get_by_role("combobox", name="Search or go to")
        expect(field).to_be_focused()
        page.keyboard.type("dark-mo")
        first = page.get_by_role("option", name="dark-mode").first
        expect(first).to_have_attribute("aria-selected", "true")
        assert field.get_attribute("aria-activedescendant") == first.get_attribute("id")
        page.keyboard.press("ArrowUp")  # around the end, and back
        expect(first).to_have_attribute("aria-selected", "false")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/p/shop/flags/dark-mode/")

        # Esc gives the focus back to where it was.
        opener = page.get_by_role("link", name="Search or go to")
        opener.focus()
        page.keyboard.press("Enter")
        expect(field).to_be_focused()
        page.keyboard.press("Escape")
        expect(opener).to_be_focused()

        # Enter before the answer is for the first of what it says.
        page.keyboard.press("Control+k")
        page.keyboard.type("kill dark-mode")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/admin/p/shop/flags/dark-mode/(in/[a-z]+/)?kill/"))
