"""Reading a request: header fields, the SDK key, and a JSON body within limits."""

import asyncio
import json
import re
from typing import Any, NoReturn

from distribution.read_plane.answer import ClientGoneError, Receive, RefusedError, Scope

MAX_BODY = 1024 * 1024
"""Bytes of the longest request body."""

MAX_DEPTH = 32
"""Levels of nesting in a request body, as in a snapshot's lines."""

# Seconds in which a body must have arrived; who sends it slower holds memory for nothing.
_BODY_TIME = 30.0
# Digits after which an integer is far beyond any double. Python refuses to convert very long ones.
_LONGEST_INTEGER = 400

_BEARER = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,512}=*) *", re.IGNORECASE | re.ASCII)
_API_KEY = re.compile(r"[A-Za-z0-9._~+/-]{1,512}=*", re.ASCII)
_ENTITY_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def header(scope: Scope, name: str) -> str | None:
    """The field `name` (lower case), its lines joined by ", "; None where it was not sent."""
    wanted = name.encode("latin-1")
    lines = [value for field, value in scope["headers"] if field == wanted]  # ASGI has names in lower case
    return b", ".join(lines).decode("latin-1") if lines else None


def presented_key(scope: Scope, *, api_key: bool) -> str | None:
    """The SDK key of `Authorization: Bearer`, else, where `api_key`, of `X-API-Key`; None for neither."""
    bearer = _BEARER.fullmatch(header(scope, "authorization") or "")
    if bearer:
        return bearer[1]
    given = (header(scope, "x-api-key") or "").strip() if api_key else ""
    return given if _API_KEY.fullmatch(given) else None


def already_has(scope: Scope, etag: str) -> bool:
    """Whether `If-None-Match` names `etag`, by weak comparison (RFC 9110 section 13.1.2)."""
    condition = header(scope, "if-none-match")
    if condition is None:
        return False
    return condition.strip() == "*" or etag in _ENTITY_TAG.findall(condition)


async def read_json_object(scope: Scope, receive: Receive) -> dict[str, Any]:
    """The request's body, a JSON object, read strictly.

    Raises RefusedError (408, 413, 415, or 400 PARSE_ERROR), and ClientGoneError when the client leaves
    before the end.
    """
    _check_media_type(scope)
    return _parse_object(await _read_body(scope, receive))


def _check_media_type(scope: Scope) -> None:
    media_type, _, parameters = (header(scope, "content-type") or "").partition(";")
    charset = parameters.replace('"', "").replace(" ", "").lower()
    if media_type.strip().lower() != "application/json" or charset not in ("", "charset=utf-8"):
        raise RefusedError(
            415,
            "Content-Type: must be application/json in UTF-8",
            headers={"accept-post": "application/json"},
        )
    if (header(scope, "content-encoding") or "identity").strip().lower() != "identity":
        raise RefusedError(
            415,
            "Content-Encoding: send the body as it is, not compressed",
            headers={"accept-encoding": "identity"},
        )


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    too_large = RefusedError(413, f"body: longer than {MAX_BODY} bytes; send fewer or shorter attributes")
    announced = header(scope, "content-length") or ""
    if announced.isdecimal() and (len(announced) > 20 or int(announced) > MAX_BODY):
        raise too_large
    body = bytearray()  # not a list of parts: HTTP/2 may send any number of empty ones
    try:
        async with asyncio.timeout(_BODY_TIME):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGoneError
                body += message.get("body", b"")
                if len(body) > MAX_BODY:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise RefusedError(
            408, f"body: did not arrive within {_BODY_TIME:.0f} seconds; send it again"
        ) from None


def _parse_object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(
            body.decode("utf-8"),  # by hand: from bytes, json would also take UTF-16 and UTF-32
            object_pairs_hook=_unique,
            parse_int=_parse_integer,
            parse_constant=_refuse_constant,
        )
    except RefusedError:
        raise
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise RefusedError(
            400, f"body: not JSON ({error}); send an object with a context", "PARSE_ERROR"
        ) from None
    if not isinstance(document, dict):
        raise RefusedError(400, 'body: not a JSON object; send {"context": {…}}', "PARSE_ERROR")
    _check_depth(document)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise RefusedError(400, "body: an object has the same member twice; send each once", "PARSE_ERROR")
    return members


def _parse_integer(digits: str) -> int | float:
    # Beyond the double range it counts as null wherever it is compared, which infinity does as well.
    return int(digits) if len(digits) <= _LONGEST_INTEGER else float("-inf" if digits[0] == "-" else "inf")


def _refuse_constant(name: str) -> NoReturn:
    raise RefusedError(400, f"body: {name} is not JSON; leave the attribute out or send null", "PARSE_ERROR")


def _too_deep() -> RefusedError:
    return RefusedError(
        400, f"body: nested deeper than {MAX_DEPTH} levels; send flatter attributes", "PARSE_ERROR"
    )


def _check_depth(document: dict[str, Any]) -> None:
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for container in level
            for child in (container.values() if isinstance(container, dict) else container)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise _too_deep()
