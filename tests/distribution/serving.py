"""The newest snapshot over HTTP, as an SDK's client asks for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from django.conf import settings as configured

from distribution import publish
from distribution.models import Snapshot
from flags.models import Environment


@contextmanager
def served() -> Iterator[list[bytes]]:
    """The newest snapshot over HTTP, as a client asks for it; what is in the list is served."""
    raw: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("ETag", f'"{len(raw)}"')
            self.end_headers()
            self.wfile.write(raw[-1])

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        configured.BASE_URL = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield raw
        server.shutdown()


def newest(environment: Environment) -> bytes:
    publish.publish_due()
    return Snapshot.objects.filter(environment=environment).order_by("-version")[0].raw


def version(raw: list[bytes]) -> int:
    return int(raw[-1].split(b"\n")[3].split()[1])
