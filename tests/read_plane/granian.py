"""A real granian in front of a read plane of the tests' own."""

import http.client
import os
import subprocess
import sys
from pathlib import Path

from .conftest import eventually, free_port

ROOT = Path(__file__).resolve().parents[2]


class Granian:
    """A granian with one worker on loopback."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [
            str(Path(sys.executable).with_name("granian")),
            *("--interface", "asgi", "--workers", "1", "--host", "127.0.0.1", "--port", str(self.port)),
            "tests.read_plane.served:app",
        ]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )
        eventually(lambda: self.get("/livez")[0] == 200, seconds=30)

    def get(self, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, headers=headers)
            reply = connection.getresponse()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read()
        except OSError:
            return 0, {}, b""
        finally:
            connection.close()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(20)
