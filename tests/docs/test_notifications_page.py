"""The page about notifications says what the code does."""

from __future__ import annotations

from pathlib import Path

from tests.docs.notifications_page import render

PAGE = Path(__file__).resolve().parents[2] / "docs" / "notifications.md"


def test_the_page_shows_the_table_of_kinds_as_it_is() -> None:
    again = "write it again: .venv/bin/python -m tests.docs.notifications_page > docs/notifications.md"
    assert PAGE.read_text(encoding="utf-8") == render(), again
