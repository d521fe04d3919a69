"""The page about settings names every variable that the settings read, with its default, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS, PAGE = ROOT / "config" / "settings.py", ROOT / "docs" / "settings.md"


def variables() -> dict[str, object]:
    """Every variable read through `env.<kind>(…)`, with its default; Ellipsis where that is computed."""
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse(SETTINGS.read_text(encoding="utf-8"))):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "env"
        ):
            continue
        name, *rest = node.args
        assert isinstance(name, ast.Constant), ast.unparse(node)
        given = (
            rest[0] if rest else next((word.value for word in node.keywords if word.arg == "default"), None)
        )
        found[str(name.value)] = given.value if isinstance(given, ast.Constant) else ...
    return found


def rows() -> dict[str, str]:
    """The table of the page: variable -> default, as written there."""
    text = PAGE.read_text(encoding="utf-8").split("## Read elsewhere")[0]
    return dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", text, re.MULTILINE))


def test_the_page_names_exactly_the_variables_that_the_settings_read() -> None:
    assert sorted(rows()) == sorted(variables())


def test_the_page_gives_the_defaults_that_the_settings_have() -> None:
    written = rows()
    shown = {"": "none", False: "`false`", True: "`true`"}
    for name, default in variables().items():
        if default is not ...:
            assert written[name] == shown.get(default, f"`{default}`"), name
