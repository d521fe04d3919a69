"""What the read plane answers: a status, headers and bytes; refusals, which become answers; sending."""

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. `media_type` is left out of the headers where there is no body to describe.

    `gzipped`: the body compressed beforehand; empty where it is not to be compressed, None where it may be.
    """

    status: int
    body: bytes = b""
    media_type: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    gzipped: bytes | None = None


@dataclass(eq=False)
class RefusedError(Exception):
    """A request that is not served. `detail` names the thing, the reason and the next step.

    `error_code` is OpenFeature's, for the endpoints that speak OFREP.
    """

    status: int
    detail: str
    error_code: str = "GENERAL"
    headers: dict[str, str] = field(default_factory=dict)


def varying(headers: dict[str, str], *fields: str) -> dict[str, str]:
    """`headers` with the request's `fields` named in `Vary`, after those that are named there already."""
    return {**headers, "vary": ", ".join([*filter(None, [headers.get("vary")]), *fields])}


class ClientGoneError(Exception):
    """The client went away before it had sent its request; nobody is left to answer."""


def problem(refused: RefusedError) -> Answer:
    """`refused` as problem details (RFC 9457)."""
    document = {
        "type": "about:blank",  # the status says what kind of problem it is, so the title is its phrase
        "title": HTTPStatus(refused.status).phrase,
        "status": refused.status,
        "detail": refused.detail,
    }
    return json_answer(
        refused.status, document, media_type="application/problem+json", headers=refused.headers
    )


def json_answer(
    status: int, document: Any, *, media_type: str = "application/json", headers: dict[str, str] | None = None
) -> Answer:
    """`document` as JSON, in ASCII: contexts and keys may hold lone surrogates, which UTF-8 cannot carry."""
    body = json.dumps(document, separators=(",", ":")).encode("ascii")
    return Answer(status, body, media_type, headers or {})


async def send_answer(send: Send, answer: Answer, *, head: bool = False) -> None:
    """Send `answer`, without its body for a HEAD request. A client that is gone is no error."""
    headers = {"x-content-type-options": "nosniff", "cache-control": "no-store", **answer.headers}
    if answer.media_type is not None:
        headers["content-type"] = answer.media_type
    if answer.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
        headers["content-length"] = str(len(answer.body))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": b"" if head else answer.body})
    except (OSError, RuntimeError) as error:  # servers differ in how they say that the connection is closed
        logger.debug("answer not delivered: %s", error)
