"""The page about roles says what the code does."""

from __future__ import annotations

from pathlib import Path

from tests.docs.roles_page import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "roles.md"


def test_the_page_shows_the_table_of_verbs_and_roles_as_it_is() -> None:
    again = "write it again: .venv/bin/python -m tests.docs.roles_page > docs/roles.md"
    assert PAGE.read_text(encoding="utf-8") == render(), again
