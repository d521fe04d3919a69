"""A whole installation, started as its operators start it and ended by process id."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def eventually(condition: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """Wait for a condition; the bound only keeps a failing test from waiting for ever."""
    deadline = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


@dataclass
class Installation:
    """`make run` in a directory of its own: embedded, or with the PostgreSQL and Redis named."""

    directory: Path
    database_url: str = ""
    redis_url: str = ""
    port: int = field(default_factory=free_port)
    # Where the tests may put an identity provider; it is on loopback, which nothing else is trusted to be.
    provider_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def issuer(self) -> str:
        """Of the identity provider there."""
        return f"http://127.0.0.1:{self.provider_port}"

    @property
    def environment(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "REDIS_URL")}
        own = {
            "COUNTERSIGN_DATA": str(self.directory),
            "COUNTERSIGN_PORT": str(self.port),
            "EMAIL_URL": "dummymail://",
            "COUNTERSIGN_PRIVATE_ISSUERS": self.issuer,
        }
        stores = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}
        return {**inherited, **own, **{name: url for name, url in stores.items() if url}}

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.directory.parent / f"{self.directory.name}.log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "start_demo"],
            cwd=ROOT,
            env=self.environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        eventually(self._is_ready, f"{self.base_url} answers (see {log.name})", 120)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        status, _, _ = self.get("/readyz")
        return status == 200

    def log(self) -> str:
        """What it printed so far."""
        return (self.directory.parent / f"{self.directory.name}.log").read_text(errors="replace")

    def stop(self) -> None:
        """End it as an operator does, and all that it started."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=30)

    def kill(self) -> None:
        """Take every process of it away at once, as a power cut does."""
        assert self.process is not None
        family = _children(self.process.pid)
        for pid in [self.process.pid, *family]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait(timeout=30)

    def manage(self, *command: str) -> str:
        """Run a management command and return what it prints."""
        done = subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def demo(self) -> dict[str, Any]:
        """What `demo.json` holds for scripts."""
        return json.loads((self.directory / "demo.json").read_text())

    def sdk_key(self, environment: str) -> str:
        return str(urlsplit(self.demo["dsn"][environment]).username)

    def get(self, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """GET a path; a status of 0 means that nothing answered."""
        return self._send(urllib.request.Request(self.base_url + path, headers=headers))

    def api(self, role: str, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Call the API with the demo token of a role."""
        request = urllib.request.Request(
            f"{self.base_url}/api/v1/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self.demo['tokens'][role]}",
                "Content-Type": "application/json",
            },
        )
        status, _, answer = self._send(request)
        return status, json.loads(answer) if answer else None

    def evaluate(self, flag: str, environment: str = "shop/production", **context: Any) -> dict[str, Any]:
        """Ask OFREP for a flag, as a service does."""
        request = urllib.request.Request(
            f"{self.base_url}/ofrep/v1/evaluate/flags/{flag}",
            data=json.dumps({"context": {"targetingKey": "customer-1", **context}}).encode(),
            headers={
                "Authorization": f"Bearer {self.sdk_key(environment)}",
                "Content-Type": "application/json",
            },
        )
        status, _, answer = self._send(request)
        return {"status": status, **(json.loads(answer) if answer else {})}

    def _send(self, request: urllib.request.Request) -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()
        except OSError:
            return 0, {}, b""


def _children(pid: int) -> list[int]:
    """All processes that descend from `pid`."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = re.sub(r"\(.*\)", "x", (entry / "stat").read_text()).split()
            except OSError:
                continue
            parents.setdefault(int(fields[3]), []).append(int(entry.name))
    found: list[int] = []
    pending = [pid]
    while pending:
        for child in parents.get(pending.pop(), ()):
            found.append(child)
            pending.append(child)
    return found
