"""The OpenFeature Remote Evaluation Protocol 0.3: one flag, or all, evaluated here.

Every answer, refusals included, has the protocol's form: its clients read `errorCode` and `errorDetails`.
"""

import asyncio
import hashlib
import json
import math
import time
from typing import Any

from countersign import Result
from distribution.read_plane.access import Access
from distribution.read_plane.answer import Answer, Receive, RefusedError, Scope, json_answer
from distribution.read_plane.request import already_has, read_json_object

# Seconds between two turns of the event loop, so that a bulk request does not hold up all others: the caller
# chooses the context, and with it how long a flag takes.
_TURN = 0.005
# Beyond it not every integer is a double.
_GREATEST_INTEGER = 2**53 - 1


async def answer_flag(key: str, scope: Scope, receive: Receive, access: Access) -> Answer:
    """`POST /ofrep/v1/evaluate/flags/{key}`; raises RefusedError and ClientGoneError."""
    context = await _read_context(scope, receive)
    status, member = _evaluate(access, key, context)
    return Answer(status, member.encode("ascii"), "application/json")


async def answer_flags(scope: Scope, receive: Receive, access: Access) -> Answer:
    """`POST /ofrep/v1/evaluate/flags`: every flag that the key may see; 304 where the client has it."""
    context = await _read_context(scope, receive)
    headers = {
        "etag": _bulk_etag(access, context),
        "cache-control": "private, no-cache",
        "vary": "Accept-Encoding",
    }
    if already_has(scope, headers["etag"]):
        return Answer(304, headers=headers)
    members: list[str] = []
    turn = time.monotonic() + _TURN
    for key, result in access.snapshot.evaluate_all(context):
        if time.monotonic() > turn:
            await asyncio.sleep(0)
            turn = time.monotonic() + _TURN
        if access.sees(key):
            members.append(_told(key, result)[1])
    metadata = json.dumps({"snapshot_version": access.snapshot.version}, separators=(",", ":"))
    body = f'{{"flags":[{",".join(members)}],"metadata":{metadata}}}'
    return Answer(200, body.encode("ascii"), "application/json", headers)


def ofrep_refusal(refused: RefusedError, key: str | None) -> Answer:
    """`refused` in the protocol's form, naming the flag where one was asked for."""
    member = {"errorCode": refused.error_code, "errorDetails": refused.detail}
    return json_answer(
        refused.status, {"key": key, **member} if key is not None else member, headers=refused.headers
    )


async def _read_context(scope: Scope, receive: Receive) -> dict[str, Any]:
    """About whom is asked."""
    context = (await read_json_object(scope, receive)).get("context", {})
    if not isinstance(context, dict):
        raise RefusedError(
            400, "context: not a JSON object; send the attributes as its members", "INVALID_CONTEXT"
        )
    return context


def _evaluate(access: Access, key: str, context: dict[str, Any]) -> tuple[int, str]:
    """HTTP status and JSON text (ASCII) for one flag."""
    if not access.sees(key):
        details = f"flag: {key!a} is not in {access.key.environment}, or not for this key"
        return 404, _dump({"key": key, "errorCode": "FLAG_NOT_FOUND", "errorDetails": details})
    return _told(key, access.snapshot.evaluate(key, context))


def _told(key: str, result: Result) -> tuple[int, str]:
    """HTTP status and JSON text (ASCII) for one answer."""
    if result.error_code is not None:
        error = {"key": key, "errorCode": result.error_code, "errorDetails": result.error_message or ""}
        return 400, _dump(error)
    members = [f'"key":{_dump(key)}']
    if result.has_value:
        members.append(f'"value":{_render(result.value)}')
    metadata = {name: value for name, value in result.metadata.items() if value is not None}
    members.append(f'"reason":{_dump(result.reason)},"variant":{_dump(result.variant or "")}')
    members.append(f'"metadata":{_dump(metadata)}')
    return 200, "{" + ",".join(members) + "}"


def _render(value: Any) -> str:
    """A value as JSON. Clients in typed languages tell an integer from a float by the decimal point alone."""
    text = _dump(value)
    if type(value) is float and "." not in text:  # 1e+22
        mantissa, e, exponent = text.partition("e")
        return f"{mantissa}.0{e}{exponent}"
    return text


def _bulk_etag(access: Access, context: dict[str, Any]) -> str:
    """Version, body, canonical context and side in one tag: clients keep theirs when attributes change."""
    canonical = json.dumps(_canonical(context), sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(f"{access.key.side}\n{canonical}".encode("ascii")).hexdigest()
    return f'{access.snapshot.etag[:-1]}-{digest[:32]}"'


def _canonical(value: Any) -> Any:
    """`value` with one form for each number: what evaluates alike (section 1 of its page) is written alike.

    3.0 is 3, -0.0 is 0, an integer beyond ±(2^53-1) is the double next to it, and what no double holds is null.
    """
    kind = type(value)
    if kind is dict:
        return {name: _canonical(member) for name, member in value.items()}
    if kind is list:
        return [_canonical(member) for member in value]
    if kind is int and abs(value) > _GREATEST_INTEGER:
        try:
            value = float(value)
        except OverflowError:
            return None
    elif kind is float and abs(value) <= _GREATEST_INTEGER and value.is_integer():
        return int(value)
    return None if type(value) is float and not math.isfinite(value) else value


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
