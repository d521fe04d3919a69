"""What the read plane adds to a bare ASGI application on the same granian, over loopback.

Run it with `make bench`. Each server is a granian with one worker; a round asks each candidate in a random order
over one kept connection. What is compared is the processor's time in the server, which other programs on the
machine do not change (without Linux's /proc: the time that passed). `no limits` is the read plane without rates;
`from a browser` adds the fields that Chromium sends across origins. It asserts nothing about time.
"""

from __future__ import annotations

import http.client
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.interleaved import table
from distribution.read_plane.directory_store import DirectoryStore
from tests.read_plane.publisher import CLIENT_KEY, ORIGIN, PRODUCTION, SERVER_KEY, Publisher, flag

ROOT = Path(__file__).resolve().parent.parent
ROUNDS, INNER = 30, 100
Asking = tuple["Server", Callable[[], None]]
FLAGS = 500
APP = "https://app.example.com"
BARE = "bare ASGI application"


class Server:
    """A granian with one worker, ended with the `with` block."""

    def __init__(self, target: str, **environment: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._process = subprocess.Popen(  # noqa: S603  (granian, with arguments of ours)
            [
                str(Path(sys.executable).with_name("granian")),
                *("--interface", "asgi", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port)),
                target,
            ],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Server:
        deadline = time.monotonic() + 30
        while True:
            try:
                self.asking("GET", "/livez", 200, {})[1]()
                return self
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(20)

    def processor_time(self) -> float:
        """Seconds that a processor worked for the server so far; the clock where that cannot be known."""
        process = Path(f"/proc/{self._process.pid}")
        try:
            children = (process / "task" / process.name / "children").read_text().split()
            tasks = [
                task for each in (process.name, *children) for task in Path(f"/proc/{each}/task").iterdir()
            ]
            return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
        except OSError:
            return time.perf_counter()

    def asking(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | None = None
    ) -> Asking:
        """One request over a connection of its own that is kept; the answer must have `status`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

        def ask() -> None:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != status:
                raise RuntimeError(f"{path} answered {answer.status}")

        return self, ask


def measure(candidates: Mapping[str, Asking], *, inner: int = INNER) -> dict[str, list[float]]:
    """Seconds of the server's processor per request of each candidate, one number a round."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    order = list(candidates)
    shuffle = random.Random(1).shuffle  # noqa: S311  (an order, not a secret)
    for _, ask in candidates.values():
        ask()
    for _ in range(ROUNDS):
        shuffle(order)
        for name in order:
            server, ask = candidates[name]
            started = server.processor_time()
            for _ in range(inner):
                ask()
            times[name].append((server.processor_time() - started) / inner)
    return times


def main() -> None:
    """Start the servers, ask them, print the tables."""
    publisher = Publisher()
    lines = {
        f"flag-{number:03}": flag("boolean", {"on": True, "off": False}, "on", off="off", client_side=True)
        for number in range(FLAGS)
    }
    with tempfile.TemporaryDirectory() as directory, ExitStack() as running:
        store = DirectoryStore(Path(directory))
        raw = publisher.snapshot(flags=lines)
        store.put_snapshot(PRODUCTION, raw)
        store.put_keyring(PRODUCTION, publisher.keyring(origins={"key-2": [APP]}))
        environment = {
            "READ_PLANE_ORIGIN": ORIGIN,
            "READ_PLANE_VERIFY": publisher.vkey,
            "READ_PLANE_DIRECTORY": directory,
        }
        rates = {"READ_PLANE_KEY_RATE": "1000000", "READ_PLANE_ADDRESS_RATE": "1000000"}
        bare = running.enter_context(Server("benchmarks.bare_application:application"))
        free = running.enter_context(Server("tests.read_plane.served:app", **environment))
        limited = running.enter_context(Server("tests.read_plane.served:app", **environment, **rates))
        _print_tables(bare, free, limited)
        print(f"snapshot of {FLAGS} flags: {len(raw):,} bytes")
        print(
            f"CPython {platform.python_version()}, {platform.machine()}; one granian worker each, one connection"
        )


def _print_tables(bare: Server, free: Server, limited: Server) -> None:
    body = json.dumps({"context": {"targetingKey": "customer-1017", "plan": "gold"}}).encode()
    key = {"Authorization": f"Bearer {SERVER_KEY}"}
    post = {**key, "Content-Type": "application/json"}
    page = {
        **post,
        "Authorization": f"Bearer {CLIENT_KEY}",
        "Origin": APP,
        "Accept-Encoding": "gzip, deflate, br",
    }
    one, every, path = "/ofrep/v1/evaluate/flags/flag-007", "/ofrep/v1/evaluate/flags", "/sdk/v1/snapshot"
    times = measure(
        {
            BARE: bare.asking("POST", one, 200, post, body),
            "no limits": free.asking("POST", one, 200, post, body),
            "limits": limited.asking("POST", one, 200, post, body),
            "limits, from a browser": limited.asking("POST", one, 200, page, body),
        }
    )
    _show("one flag by OFREP", times, "us", BARE)
    polling = {**key, "If-None-Match": _etag_of(free, key), "Accept-Encoding": "gzip"}
    times = measure(
        {
            BARE: bare.asking("GET", path, 200, key),
            "304, no limits": free.asking("GET", path, 304, polling),
            "304, limits": limited.asking("GET", path, 304, polling),
            "200, as it is": limited.asking("GET", path, 200, key),
            "200, gzip": limited.asking("GET", path, 200, {**key, "Accept-Encoding": "gzip"}),
        }
    )
    _show("a snapshot, polled", times, "us", BARE)
    times = measure(
        {
            "as it is": limited.asking("POST", every, 200, post, body),
            "gzip, from a browser": limited.asking("POST", every, 200, page, body),
        },
        inner=5,
    )
    _show(f"all {FLAGS} flags by OFREP", times, "ms", "as it is")


def _show(title: str, times: Mapping[str, Sequence[float]], unit: str, baseline: str) -> None:
    print(table(f"{title}: the server's processor time for a request", times, unit=unit, baseline=baseline))
    rates = (f"{name} {1 / statistics.median(each):,.0f}" for name, each in times.items())
    print(f"  requests a second on one core: {'; '.join(rates)}\n")


def _etag_of(server: Server, key: dict[str, str]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("HEAD", "/sdk/v1/snapshot", headers=key)
    etag = connection.getresponse().getheader("ETag") or ""
    connection.close()
    return etag


if __name__ == "__main__":
    main()
