"""Bodies made to break a JSON reader, a counter or a buffer: each gets its answer, none gets a 500."""

import asyncio
import math
import tracemalloc

import pytest

from distribution.read_plane import request as request_module
from distribution.read_plane.request import MAX_BODY

PATH = "/ofrep/v1/evaluate/flags/banner"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'"x"',
        b"{",
        b"{}{}",
        b"{'context':{}}",
        b'{"context":{"a":NaN}}',
        b'{"context":{"a":Infinity}}',
        b'{"context":{"a":-Infinity}}',
        b'{"context":{},"context":{"targetingKey":"ann"}}',
        b'{"context":{"a":{"b":1,"b":2}}}',
        b'{"context":{"a":01}}',
        b'{"context":{"a":"\xff"}}',
        b'{"context":{"a":"\x01"}}',
        b'\xef\xbb\xbf{"context":{}}',
        '{"context":{}}'.encode("utf-16"),
        '{"context":{}}'.encode("utf-32"),
        b"[" * 500_000,
        b'{"a":' * 100_000,
        b'{"context":{"a":' + b"[" * 40 + b"]" * 40 + b"}}",
    ],
)
def test_what_is_not_strict_json_is_a_parse_error(server, body):
    reply = server.post(PATH, body)
    assert reply.status == 400
    assert reply.json["errorCode"] == "PARSE_ERROR"
    assert reply.json["key"] == "banner"


@pytest.mark.parametrize(
    "attribute",
    [
        b"9" * 5000,
        b"-" + b"9" * 500_000,
        b"1e999",
        b"1" * 399,
        b"-0.0",
        b'"\\ud800"',
        b'"\\u0000"',
        b"[[[[]]]]",
    ],
)
def test_odd_but_valid_values_are_taken(server, attribute):
    body = b'{"context":{"targetingKey":"ann","a":' + attribute + b"}}"
    assert server.post(PATH, body).json["value"] is True
    assert server.post("/ofrep/v1/evaluate/flags", body).status == 200


def test_an_odd_targeting_key_is_taken_too(server):
    for attribute in (b"9" * 5000, b'"\\ud800"', b"{}"):
        reply = server.post(PATH, b'{"context":{"targetingKey":' + attribute + b"}}")
        assert reply.json["value"] is False


def test_an_endless_integer_becomes_infinite_rather_than_slow():
    parsed = request_module._parse_object(b'{"a":-' + b"9" * 900_000 + b"}")
    assert parsed == {"a": -math.inf}


def test_a_body_of_the_full_size_is_taken(server):
    body = b'{"context":{"a":"' + b"x" * (MAX_BODY - 20) + b'"}}'
    assert len(body) == MAX_BODY
    assert server.post(PATH, body).status == 200


def test_an_announced_length_beyond_the_limit_is_refused_without_reading(server):
    for length in (str(MAX_BODY + 1), "9" * 50):
        reply = server.post(PATH, b"{}", content_length=length)
        assert reply.status == 413


def test_a_stream_beyond_the_limit_is_cut_off(server):
    messages = [{"type": "http.request", "body": b" " * 65536, "more_body": True} for _ in range(100)]
    reply = server.request("POST", PATH, headers={"content-type": "application/json"}, messages=messages)
    assert reply.status == 413
    assert len(messages) == 100 - (MAX_BODY // 65536 + 1), "no more was read than needed"


def test_pieces_of_nothing_take_no_memory(server):
    def pieces():
        for _ in range(100_000):
            yield {"type": "http.request", "body": b"", "more_body": True}
        yield {"type": "http.request", "body": b'{"context":{}}'}

    class Endless(list):
        source = pieces()

        def pop(self, index):
            return next(self.source)

    headers = {"content-type": "application/json"}
    tracemalloc.start()
    try:
        reply = server.request("POST", PATH, headers=headers, messages=Endless([None]))
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert reply.status == 200


def test_a_body_in_pieces_is_put_together(server):
    pieces = [b'{"context":', b"", b'{"targetingKey"', b':"ann"}}']
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request"})
    reply = server.request("POST", PATH, headers={"content-type": "application/json"}, messages=messages)
    assert reply.json["value"] is True


def test_a_client_that_leaves_midway_gets_nothing(server):
    messages = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    assert (
        server.request("POST", PATH, headers={"content-type": "application/json"}, messages=messages) is None
    )


def test_a_client_that_stops_sending_is_given_up(server, serving, monkeypatch):
    monkeypatch.setattr(request_module, "_BODY_TIME", 0.05)
    sent = []

    async def receive():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    headers = [(b"authorization", f"Bearer {server.key}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers}
    asyncio.run(serving(scope, receive, send))
    assert sent[0]["status"] == 408


def test_an_unknown_key_is_told_so_before_the_body_is_read(server):
    server.key = "unknown"
    messages = [{"type": "http.request", "body": b"x", "more_body": True}]
    assert server.request("POST", PATH, messages=messages).status == 401
    assert len(messages) == 1
