"""`make screenshots`: every page of the demo, light and dark, wide and narrow, as pictures to look at."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

import django

from tests.e2e.browser import Chromium
from tests.e2e.installation import ROOT, Installation
from tests.e2e.walk import walk

PICTURES = ROOT / "var" / "screenshots"
SIGHTS = [(scheme, width) for scheme in ("light", "dark") for width in (1440, 390)]


def main() -> None:
    """Start an installation of its own, look at all of it, and end it."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    with tempfile.TemporaryDirectory(prefix="countersign-screenshots-") as directory, Chromium() as browser:
        installation = Installation(Path(directory) / "data")
        installation.start()
        try:
            for scheme, width in SIGHTS:
                print(f"{_take(browser, installation, scheme, width)} pages in {PICTURES}/{scheme}-{width}")
        finally:
            installation.stop()


def _take(browser: Chromium, installation: Installation, scheme: str, width: int) -> int:
    folder = PICTURES / f"{scheme}-{width}"
    folder.mkdir(parents=True, exist_ok=True)
    taken = 0
    with browser.person(installation, "admin", color_scheme=scheme, reduced_motion="reduce") as page:
        page.set_viewport_size({"width": width, "height": 900})
        for path in walk(page):
            name = re.sub(r"[^a-z0-9]+", "-", path.removeprefix("/admin/").lower()).strip("-") or "start"
            page.screenshot(path=folder / f"{name}.png", full_page=True)
            taken += 1
    return taken


if __name__ == "__main__":
    main()
