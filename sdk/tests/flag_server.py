"""A flag server on loopback that answers what a test puts there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote

from signed_snapshots import ENVIRONMENT

SDK_KEY = "sdk-server-1"


class FlagServer(ThreadingHTTPServer):
    """Serves ``raw`` with ``etag`` at /sdk/v1/snapshot, or ``status`` where that is not 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.raw = b""
        self.etag = '"1"'
        self.status = 200
        self.headers: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answered: list[int] = []

    def dsn(self, *vkeys: str, key: str = SDK_KEY, environment: str = ENVIRONMENT) -> str:
        query = "&".join(f"verify={quote(vkey, safe='')}" for vkey in vkeys)
        return f"http://{key}@127.0.0.1:{self.server_port}/{environment}" + (f"?{query}" if query else "")


class _Handler(BaseHTTPRequestHandler):
    server: FlagServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        server.requests.append((self.path, dict(self.headers)))
        status, body = server.status, server.raw
        if self.headers["Authorization"] != f"Bearer {SDK_KEY}":
            status = 401
        elif status == 200 and self.headers.get("If-None-Match") == server.etag:
            status = 304
        body = body if status == 200 else b""
        self.send_response(status)
        self.send_header("ETag", server.etag)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        for name, value in server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        server.answered.append(status)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def flag_server() -> Iterator[FlagServer]:
    with FlagServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
