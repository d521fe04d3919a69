"""The addresses of pages, and forms as a browser would send them."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from typing import Any

from tests.cast import ON

LIST = "/admin/p/shop/flags/"
SWITCH = "/admin/p/shop/flags/banner/in/production/"
SWITCH_OPEN = "/admin/p/shop/flags/banner/in/development/"


def switch_form(base: int, state: str = "on", **members: Any) -> dict[str, Any]:
    """What the switch's form sends; `document` is what it was shown unless given."""
    form: dict[str, Any] = {
        "base": base,
        "state": state,
        "serve": "keep",
        "variant": "on",
        "rest": "off",
        "percent": "",
        "document": "",
        "rationale": "planned",
        "ticket": "",
        "when": "soon",
        "at": "",
        "zone": "UTC",
    }
    form |= members
    if isinstance(form["document"], dict):
        form["document"] = json.dumps(form["document"])
    return form


DOCUMENT_ON = ON


class _Scripts(HTMLParser):
    """Collects what a browser would run: inline scripts and event handler attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        is_data = attributes.get("type") == "application/json"
        if tag == "script" and "src" not in attributes and not is_data:
            self.found.append("inline script")
        self.found += [name for name in attributes if name.startswith("on")]
        self.found += [
            value
            for name, value in attrs
            if name in ("href", "src", "action") and (value or "").startswith("javascript:")
        ]  # type: ignore[misc]


def runs(html: str) -> list[str]:
    """What of this page a browser would run that is not a script file of ours."""
    parser = _Scripts()
    parser.feed(html)
    return parser.found
