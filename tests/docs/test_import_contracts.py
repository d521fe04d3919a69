"""What import-linter is told is whole: a domain module that nobody named would be free to import an edge."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
APPS = ("audit", "access", "flags", "approvals", "distribution")
EDGES = {"admin", "api", "tasks", "management"}
# Django's: loaded by it, and part of no story.
FRAMEWORK = {"apps", "migrations", "templatetags", "__init__"}


def modules() -> set[str]:
    found = {
        f"{app}.{path.stem}"
        for app in APPS
        for path in (ROOT / app).iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    return {each for each in found if each.partition(".")[2] not in FRAMEWORK}


def test_every_domain_module_is_forbidden_to_import_an_edge() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    [contract] = [each for each in contracts if each["name"] == "No domain module imports an edge"]
    edges = {each for each in modules() if each.partition(".")[2] in EDGES}
    assert set(contract["forbidden_modules"]) == edges
    assert set(contract["source_modules"]) == modules() - edges
