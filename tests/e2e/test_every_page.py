"""Every page that links lead to, as its users see it: light and dark, wide and narrow."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page

from tests.e2e.browser import Chromium
from tests.e2e.installation import ROOT, Installation
from tests.e2e.walk import walk

AXE = ROOT / "tests" / "clients" / "node_modules" / "axe-core" / "axe.min.js"
# What WCAG 2.2 AA asks; those that axe calls serious or critical fail.
_ASK = "() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']})"
_GRAVE = ("serious", "critical")
# Of a page that was visited before: what a warm cache still fetches.
WARM = 400_000  # bytes
SIGHTS = [("light", 1440), ("dark", 360)]


def test_a_page_is_accessible_fits_its_width_and_weighs_little(
    embedded: Installation, chromium: Chromium
) -> None:
    wrong: list[str] = []
    seen = 0
    with chromium.person(embedded, "admin", reduced_motion="reduce") as page:
        page.add_init_script(AXE.read_text())
        for path in walk(page):
            seen += 1
            for scheme, width in SIGHTS:
                _look(page, scheme, width)
                found = [*_broken_rules(page), *_too_wide(page)]
                wrong += [f"{path}, {scheme}, {width} px: {what}" for what in found]
            wrong += [f"{path}: {what}" for what in _heavy(page)]
    assert not wrong, "\n".join(wrong)
    assert seen > 80, "links lead to fewer pages than there are"


def _look(page: Page, scheme: Any, width: int) -> None:
    """As somebody with that theme and window; Unfold writes the theme into a class when a page opens."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("dark => document.documentElement.classList.toggle('dark', dark)", scheme == "dark")


def _broken_rules(page: Page) -> list[str]:
    found = page.evaluate(_ASK)
    return [
        f"{rule['id']} ({rule['impact']}): {json.dumps([node['html'][:160] for node in rule['nodes'][:3]])}"
        for rule in found["violations"]
        if rule["impact"] in _GRAVE
    ]


def _too_wide(page: Page) -> list[str]:
    excess = page.evaluate(
        "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return [f"{excess} px wider than the window"] if excess > 0 else []


def _heavy(page: Page) -> list[str]:
    sizes = page.evaluate(
        "() => [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map(each => each.transferSize).reduce((sum, size) => sum + size, 0)"
    )
    return [f"{sizes:,} bytes with a warm cache"] if sizes > WARM else []
