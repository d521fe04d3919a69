"""The two published OFREP clients of JavaScript decide as our evaluator does, and poll, wait and fail well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from countersign.snapshot import Snapshot
from tests.clients.conftest import CONTEXTS, FLAGS
from tests.read_plane.granian import Granian
from tests.read_plane.publisher import CLIENT_KEY, SERVER_KEY, Publisher

Node = Callable[[str, dict[str, Any]], dict[str, Any]]

DEFAULTS = {
    "boolean": ("Boolean", True),
    "string": ("String", "mine"),
    "integer": ("Number", -1),
    "float": ("Number", -1),
    "object": ("Object", {"mine": True}),
}


def question(key: str) -> dict[str, Any]:
    kind, default = DEFAULTS[FLAGS[key]["type"]]
    return {"flag": key, "type": kind, "default": default}


def ours(publisher: Publisher, key: str, context: dict[str, Any]) -> dict[str, Any]:
    """What our evaluator says, in the words of an OpenFeature client in JavaScript."""
    result = Snapshot.parse(publisher.snapshot(flags=FLAGS), verify=[publisher.vkey]).evaluate(key, context)
    default = DEFAULTS[FLAGS[key]["type"]][1]
    if result.error_code:
        return {"value": default, "reason": "ERROR", "errorCode": result.error_code}
    return {
        "value": result.value if result.has_value else default,
        "variant": result.variant or "",
        "reason": result.reason,
        "flagMetadata": {name: value for name, value in result.metadata.items() if value is not None},
    }


def theirs(details: dict[str, Any]) -> dict[str, Any]:
    if "errorCode" in details:
        return {name: details[name] for name in ("value", "reason", "errorCode")}
    return {name: details[name] for name in ("value", "variant", "reason", "flagMetadata")}


def test_the_server_provider_decides_as_our_evaluator(
    server: Granian, publisher: Publisher, node: Node
) -> None:
    asked = [
        {**question(key), "context": context} for key in FLAGS if key != "deferred" for context in CONTEXTS
    ]
    headers = [["Authorization", f"Bearer {SERVER_KEY}"]]
    told = node("ofrep_server.mjs", {"url": server.url, "headers": headers, "questions": asked})
    for each, details in zip(asked, told["details"], strict=True):
        assert theirs(details) == ours(publisher, each["flag"], each["context"]), each


def test_the_server_provider_keeps_the_caller_s_default_where_none_is_served(
    server: Granian, node: Node
) -> None:
    """Its release does not know answers without a value yet: the default is right, the reason is not."""
    headers = [["Authorization", f"Bearer {SERVER_KEY}"]]
    task = {"url": server.url, "headers": headers, "questions": [{**question("deferred"), "context": {}}]}
    [details] = node("ofrep_server.mjs", task)["details"]
    assert (details["value"], details["errorCode"]) == ("mine", "GENERAL")


def test_the_server_provider_understands_errors_and_both_forms_of_a_key(server: Granian, node: Node) -> None:
    asked = [
        {"flag": "missing", "type": "Boolean", "default": True},
        {"flag": "secret", "type": "String", "default": "mine"},
        {"flag": "string", "type": "Boolean", "default": True},
        {"flag": "string", "type": "String", "default": "mine"},
    ]
    for headers, codes, statuses in (
        (
            {"X-API-Key": CLIENT_KEY},
            ["FLAG_NOT_FOUND", "FLAG_NOT_FOUND", "TYPE_MISMATCH", None],
            [404, 404, 200, 200],
        ),
        ({"Authorization": "Bearer unknown"}, ["GENERAL"] * 4, [401] * 4),
    ):
        task = {"url": server.url, "headers": list(map(list, headers.items())), "questions": asked}
        told = node("ofrep_server.mjs", task)
        assert [details.get("errorCode") for details in told["details"]] == codes
        assert [answer["status"] for answer in told["answered"]] == statuses


def test_the_server_provider_waits_as_long_as_retry_after_says(
    serve: Callable[..., Granian], node: Node
) -> None:
    limited = serve(READ_PLANE_KEY_RATE="1")
    headers = [["Authorization", f"Bearer {SERVER_KEY}"]]
    asked = [{**question("integer"), "context": {}}] * 6
    told = node(
        "ofrep_server.mjs", {"url": limited.url, "headers": headers, "questions": asked, "pause": 1200}
    )
    assert [(answer["status"], answer["retryAfter"]) for answer in told["answered"]] == [
        (200, None),
        (200, None),
        (429, "1"),
        (200, None),
    ], "after a 429 the provider asks nothing until the second is over"
    assert [details["value"] for details in told["details"]] == [3000, 3000, -1, -1, -1, 3000]
    assert "paused due to TooManyRequests" in told["details"][3]["errorMessage"]


def web(server: Granian, key: str, steps: list[dict[str, Any]], **task: Any) -> dict[str, Any]:
    headers = [["Authorization", f"Bearer {key}"]]
    return {"url": server.url, "headers": headers, "steps": steps, **task}


def test_the_web_provider_decides_as_our_evaluator_at_each_context(
    server: Granian, publisher: Publisher, node: Node
) -> None:
    visible = [key for key, line in FLAGS.items() if line.get("client_side")]
    steps = [{"context": context, "resolve": [question(key) for key in visible]} for context in CONTEXTS]
    told = node("ofrep_web.mjs", web(server, CLIENT_KEY, steps, context=CONTEXTS[0]))
    asked = [(key, context) for context in CONTEXTS for key in visible]
    for (key, context), details in zip(asked, told["details"], strict=True):
        assert theirs(details) == ours(publisher, key, context), (key, context)


def test_the_web_provider_sees_client_side_flags_only(server: Granian, node: Node) -> None:
    hidden = [question(key) for key, line in FLAGS.items() if not line.get("client_side")]
    told = node("ofrep_web.mjs", web(server, CLIENT_KEY, [{"resolve": [*hidden, question("string")]}]))
    *not_found, found = told["details"]
    assert [details["errorCode"] for details in not_found] == ["FLAG_NOT_FOUND"] * len(hidden)
    assert found["value"] == "grün"


def test_the_web_provider_polls_by_etag_and_asks_anew_for_another_context(
    server: Granian, node: Node
) -> None:
    steps = [{"wait": 250}, {"context": CONTEXTS[1]}, {"wait": 250}]
    told = node("ofrep_web.mjs", web(server, CLIENT_KEY, steps, context=CONTEXTS[0], poll=60))
    first, *polled = told["answered"]
    assert (first["status"], first["ifNoneMatch"]) == (200, None)
    polls = [(answer["status"], answer["ifNoneMatch"]) for answer in polled]
    changed = [status for status, _ in polls].index(200)
    assert set(polls[:changed]) == {(304, first["etag"])}
    renewed = polled[changed]["etag"]
    assert renewed != first["etag"]
    # A poll that was due while the context changed asks once more without a tag.
    assert set(polls[changed:]) <= {(200, None), (304, renewed)}
    assert polls[-1] == (304, renewed)
    assert {event["event"] for event in told["events"]} <= {"PROVIDER_CONFIGURATION_CHANGED"}


def test_the_web_provider_waits_as_long_as_retry_after_says(
    serve: Callable[..., Granian], node: Node
) -> None:
    limited = serve(READ_PLANE_ADDRESS_RATE="1")
    told = node("ofrep_web.mjs", web(limited, CLIENT_KEY, [{"wait": 1500}], poll=50))
    statuses = [answer["status"] for answer in told["answered"]]
    assert statuses[:3] == [200, 304, 429]
    assert len(statuses) in (4, 5), "polled every 50 ms, but not in the second after the 429"
    assert told["answered"][3]["at"] - told["answered"][2]["at"] >= 950
    assert told["events"][0]["event"] == "PROVIDER_STALE"


def test_the_web_provider_gives_up_with_an_unknown_key(server: Granian, node: Node) -> None:
    told = node("ofrep_web.mjs", web(server, "unknown", [{"resolve": [question("string")]}]))
    assert [answer["status"] for answer in told["answered"]] == [401]
    assert told["status"] == "FATAL"
    assert told["details"][0]["value"] == "mine"
