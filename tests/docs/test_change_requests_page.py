"""The page about change requests says what the test of every combination asks for."""

from __future__ import annotations

from pathlib import Path

from tests.access.doors import API
from tests.docs.change_requests_page import PAGE, render
from tests.gate.steps import STEPS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_shows_the_declaration_as_it_is() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), (
        "write it again, as tests/docs/change_requests_page.py says"
    )


def test_the_buttons_and_addresses_that_it_names_are_there() -> None:
    pages = ROOT / "templates" / "countersign"
    template = "".join((pages / name).read_text("utf-8") for name in ("request.html", "thread_verbs.html"))
    doors = {(door.method, door.route.partition("change-requests/")[2], door.verb) for door in API}
    for name, step in STEPS.items():
        assert f'"{step.page}"' in template, name
        if step.api:
            method, _, path = step.api.partition(" ")
            tail = path.removeprefix("…").lstrip("/")
            found = {verb for m, route, verb in doors if m == method and route.rstrip("/").endswith(tail)}
            assert step.verb in found, (name, found)
