"""An ASGI client in a few lines, so that the tests see exactly the messages that an application sends."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Sends one request at a time to an ASGI application."""

    def __init__(self, app: Any, key: str | None = None) -> None:
        self.app = app
        self.key = key

    def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
        messages: list[dict[str, Any]] | None = None,
        body: bytes = b"",
    ) -> Reply | None:
        """The reply; None where the application sent nothing. `messages` replace the body's one message."""
        given = list(headers.items() if isinstance(headers, Mapping) else headers)
        if self.key is not None:
            given.append(("authorization", f"Bearer {self.key}"))
        path, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in given],
        }
        incoming = messages or [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop(0) if incoming else {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(self.app(scope, receive, send))
        if not sent:
            return None
        names = {name.decode(): value.decode("latin-1") for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], names, b"".join(message.get("body", b"") for message in sent[1:]))

    def get(self, path: str, **headers: str) -> Reply:
        reply = self.request(
            "GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        assert reply is not None
        return reply

    def post(self, path: str, document: Any, **headers: str) -> Reply:
        """A JSON body; bytes are sent as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        fields = {"content-type": "application/json", **{n.replace("_", "-"): v for n, v in headers.items()}}
        reply = self.request("POST", path, headers=fields, body=body)
        assert reply is not None
        return reply

    def evaluate(self, flag: str, context: dict[str, Any] | None = None) -> Reply:
        return self.post(f"/ofrep/v1/evaluate/flags/{flag}", {"context": context or {}})
