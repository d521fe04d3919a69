"""What goes on while the rest is broken: services get their answers, and nothing half done stays."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import Servers
from tests.e2e.installation import Installation, eventually

ON = {"enabled": True, "off": "off", "default": {"variant": "on"}}


def toggle(installation: Installation, flag: str, document: object) -> tuple[int, object]:
    """Change a flag in staging, which asks nobody."""
    subject = f"project/shop/environment/staging/flag/{flag}"
    status, standing = installation.api("editor", "GET", f"configurations/shop/staging/{flag}")
    return installation.api(
        "editor",
        "POST",
        "change-requests",
        {
            "project": "shop",
            "title": f"Change {flag}",
            "operations": [{"subject": subject, "after": document}],
            "base": {subject: standing["version"] if status == 200 else 0},
        },
    )


def serves(installation: Installation, flag: str, variant: str) -> bool:
    return installation.evaluate(flag, "shop/staging").get("variant") == variant


@pytest.fixture
def snapshot_headers(embedded: Installation) -> dict[str, str]:
    return {"Authorization": f"Bearer {embedded.sdk_key('shop/production')}"}


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Hold SQLite's write lock, as a stuck writer does."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_with_the_sqlite_file_locked_services_are_answered_from_memory(
    embedded: Installation, snapshot_headers: dict[str, str]
) -> None:
    with locked(embedded.directory / "countersign.sqlite3"):
        for _ in range(20):
            assert embedded.evaluate("payment-provider")["status"] == 200
            assert embedded.get("/sdk/v1/snapshot", **snapshot_headers)[0] == 200


def test_a_change_reaches_a_service_without_a_restart(embedded: Installation) -> None:
    status, answer = toggle(embedded, "budget-banner-missing", ON)
    assert status == 422, answer
    status, answer = toggle(
        embedded, "recommendation-weight", {**ON, "off": "none", "default": {"variant": "strong"}}
    )
    assert status == 201, answer
    eventually(lambda: serves(embedded, "recommendation-weight", "strong"), "the service sees the change")


def test_after_a_power_cut_everything_that_was_applied_is_served(embedded: Installation) -> None:
    status, answer = toggle(
        embedded, "page-size", {"enabled": True, "off": "small", "default": {"variant": "large"}}
    )
    assert status == 201, answer
    embedded.kill()  # at once: the publisher may not have seen the change yet
    embedded.start()
    eventually(lambda: serves(embedded, "page-size", "large"), "the change is published after the restart")


def test_with_postgresql_and_redis_stopped_services_are_answered_from_memory(
    with_servers: tuple[Installation, Servers],
) -> None:
    installation, servers = with_servers
    headers = {"Authorization": f"Bearer {installation.sdk_key('shop/production')}"}
    _, before, body = installation.get("/sdk/v1/snapshot", **headers)
    assert (
        toggle(installation, "page-size", {"enabled": True, "off": "small", "default": {"variant": "large"}})[
            0
        ]
        == 201
    )
    eventually(lambda: serves(installation, "page-size", "large"), "worker and beat publish the change")
    servers.stop_redis()
    document = {"enabled": True, "off": "small", "default": {"variant": "medium"}}
    assert toggle(installation, "page-size", document)[0] == 201
    eventually(lambda: serves(installation, "page-size", "medium"), "without Redis the web process publishes")
    servers.stop()
    for _ in range(20):
        assert installation.evaluate("payment-provider")["status"] == 200
        status, headers_after, body_after = installation.get("/sdk/v1/snapshot", **headers)
        assert (status, body_after) == (200, body)
        assert headers_after["etag"] == before["etag"]
    eventually(lambda: b"failing" in installation.get("/readyz")[2], "/readyz names what is gone")
