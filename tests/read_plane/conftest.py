"""The cast: a publisher whose key is trusted, a read plane over a store in memory, a Redis of our own."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from distribution.read_plane import ReadPlane
from distribution.read_plane.holder import Holder
from distribution.read_plane.refresher import Refresher

from .client import Client
from .publisher import CLIENT_KEY, ORIGIN, SERVER_KEY, MemoryStore, Publisher


@pytest.fixture(scope="session")
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def holder(publisher: Publisher) -> Holder:
    return Holder(origin=ORIGIN, verify=[publisher.vkey])


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


async def _django(scope, receive, send) -> None:
    """What stands behind the read plane: says that it was asked."""
    await send({"type": "http.response.start", "status": 299, "headers": []})
    await send(
        {"type": "http.response.body", "body": scope["type"].encode() + b" " + scope.get("path", "").encode()}
    )


@pytest.fixture
def plane(holder: Holder, store: MemoryStore) -> Iterator[ReadPlane]:
    """A read plane over the store in memory, not started."""
    made = ReadPlane(holder, Refresher(holder, [("database", store)], interval=0.02), next_app=_django)
    yield made
    made.stop()


@pytest.fixture
def serving(plane: ReadPlane, store: MemoryStore, publisher: Publisher) -> ReadPlane:
    """A read plane that serves version 1 of production."""
    store.publish(publisher)
    plane.start()
    eventually(plane.refresher.in_contact)
    return plane


@pytest.fixture
def server(serving: ReadPlane) -> Client:
    """A client with the server-side key."""
    return Client(serving, SERVER_KEY)


@pytest.fixture
def browser(serving: ReadPlane) -> Client:
    """A client with the client-side key."""
    return Client(serving, CLIENT_KEY)


def eventually(condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Wait for `condition`; fails when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class RedisServer:
    """A real Redis on loopback, which can be stopped and started again; it keeps nothing."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [
            "redis-server",
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        self._process = subprocess.Popen(
            [*command, "--dir", str(self._directory)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        eventually(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1) as connection:
                return bool(connection.ping())
        except redis.RedisError:
            return False


@pytest.fixture(scope="session")
def _one_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if shutil.which("redis-server") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("redis-server is not installed, and CI=true forbids leaving its tests out")
        pytest.skip("redis-server is not installed")
    made = RedisServer(tmp_path_factory.mktemp("redis"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def redis_server(_one_redis: RedisServer) -> RedisServer:
    """A running, empty Redis."""
    if not _one_redis.running:
        _one_redis.start()
    with redis.Redis.from_url(_one_redis.url) as connection:
        connection.flushall()
    return _one_redis
