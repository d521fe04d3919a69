"""The files in deploy/ fit the code: what they start exists, and what they set is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import get_commands

from tests.docs.test_settings_page import variables

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
# Read by other containers or by the compose file, not by our settings.
FOREIGN = {"OWNER_DATABASE_PASSWORD", "SERVER_DATABASE_PASSWORD"}
OURS = ("migrate", "web", "worker", "beat")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text(encoding="utf-8")


def example() -> dict[str, str]:
    lines = (DEPLOY / "env.example").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_one_machine_runs_all_parts(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {*OURS, "postgres", "redis"}
    assert compose["services"]["postgres"]["image"] == "postgres:16"
    assert compose["services"]["redis"]["image"] == "redis:7"


def test_nothing_is_reachable_from_other_machines_by_default(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", ())]
    assert ports == ["127.0.0.1:8000:8000"]


def test_the_containers_start_what_exists(compose: dict[str, Any]) -> None:
    migrate = compose["services"]["migrate"]["command"]
    assert migrate[:2] == ["python", "manage.py"]
    assert migrate[2] in get_commands()
    for name in ("worker", "beat"):
        assert compose["services"][name]["command"][:4] == ["celery", "--app", "config", name]


def test_web_worker_and_beat_start_as_serve_starts_them(compose: dict[str, Any], dockerfile: str) -> None:
    serve = (ROOT / "config/management/commands/serve.py").read_text(encoding="utf-8")
    started = " ".join(
        [dockerfile, *(" ".join(compose["services"][name]["command"]) for name in ("worker", "beat"))]
    )
    for flag in re.findall(r'"(--[a-z-]+|config\.asgi:application|asgi|threads)"', serve):
        if flag not in ("--quiet", "--host", "--port", "--workers"):
            assert flag in started, flag


def test_everything_waits_for_the_migrations(compose: dict[str, Any]) -> None:
    for name in ("web", "worker", "beat"):
        waits = compose["services"][name]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"


def test_every_variable_set_is_one_that_the_settings_read(compose: dict[str, Any]) -> None:
    for name in OURS:
        assert set(compose["services"][name]["environment"]) <= set(variables())


def test_the_example_names_what_the_compose_file_asks_for_and_no_more() -> None:
    asked = set(re.findall(r"\$\{([A-Z_]+)", (DEPLOY / "compose.yaml").read_text(encoding="utf-8")))
    assert set(example()) == asked
    assert asked - FOREIGN <= set(variables())


def test_no_secret_has_a_value_that_could_be_left_as_it_is(compose: dict[str, Any]) -> None:
    secrets = [name for name in example() if name.endswith(("_KEY", "_PASSWORD"))]
    assert len(secrets) == 5
    assert all(example()[name].startswith("replace-me") for name in secrets)
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    for name in secrets:
        assert f"${{{name}:-" not in text


def test_the_placeholders_do_not_pass_the_system_checks() -> None:
    from config.checks import _is_seed

    assert not _is_seed(example()["COUNTERSIGN_LEDGER_KEY"])
    assert not _is_seed(example()["COUNTERSIGN_SNAPSHOT_KEY"])


def test_only_the_container_that_migrates_owns_tables(compose: dict[str, Any]) -> None:
    roles = {name: compose["services"][name]["environment"]["DATABASE_URL"] for name in OURS}
    assert [name for name, url in roles.items() if "countersign_owner" in url] == ["migrate"]


def test_the_image_copies_files_that_are_there_and_all_of_our_packages(dockerfile: str) -> None:
    sources = re.findall(r"^COPY (\S+) ", dockerfile, re.MULTILINE)
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert {"config", "audit", "access", "flags", "approvals", "distribution", "templates"} <= set(sources)


def test_the_image_is_locked_unprivileged_and_watched(dockerfile: str) -> None:
    assert "--require-hashes --requirement requirements/server.lock" in dockerfile
    assert "--no-deps --no-build-isolation ./sdk" in dockerfile
    assert re.search(r"^USER countersign$", dockerfile, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*\n.*/livez", dockerfile, re.MULTILINE)
