"""The threat model names tests that exist, and each kind of adversary."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "security" / "threat-model.md").read_text(encoding="utf-8")


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`((?:sdk/)?tests/[\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > 40
    for file, function in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), f"{file}::{function}"


def test_every_row_names_a_test() -> None:
    for row in re.findall(
        r"^\| (?!---|tries|try|asset|what )(.+) \|$", TEXT.split("## An outsider")[1], re.MULTILINE
    ):
        assert re.search(r"`(sdk/)?tests/[\w/]+\.py::test_\w+`", row), row
