"""OFREP: one flag or all of them, in the form that clients of the protocol read."""

import asyncio

import pytest

from distribution.read_plane import ofrep

from .client import Client
from .conftest import eventually
from .publisher import CLIENT_KEY, FLAGS, PRODUCTION, SERVER_KEY, flag

BULK = "/ofrep/v1/evaluate/flags"


def test_a_flag_is_evaluated_for_the_context(server):
    reply = server.evaluate("banner", {"targetingKey": "ann"})
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.json == {
        "key": "banner",
        "value": True,
        "reason": "TARGETING_MATCH",
        "variant": "on",
        "metadata": {"cause": "target", "flag_version": 3, "snapshot_version": 1, "change": "CR-7.1"},
    }
    assert server.evaluate("banner", {"targetingKey": "bob"}).json["value"] is False


@pytest.mark.parametrize(
    ("flag", "written"),
    [
        ("banner", b'"value":false,'),
        ("colour", b'"value":"red",'),
        ("limit", b'"value":3,'),
        ("ratio", b'"value":3.0,'),
        ("huge", b'"value":1.0e+22,'),
        ("theme", b'"value":{"depth":3,"ratio":0.5,"tags":["a"]},'),
    ],
)
def test_values_are_written_by_the_flag_s_type(server, flag, written):
    assert written in server.evaluate(flag).body


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("float", 3, b"3.0"),
        ("float", -0.0, b"0.0"),
        ("float", 1e16, b"1.0e+16"),
        ("float", 1e-7, b"1.0e-07"),
        ("float", 9007199254740991, b"9007199254740991.0"),
        ("float", 1.5e300, b"1.5e+300"),
        ("integer", 3, b"3"),
        ("integer", -9007199254740991, b"-9007199254740991"),
    ],
)
def test_a_decimal_point_is_the_type_whatever_the_size(
    server, store, publisher, holder, kind, value, written
):
    store.publish(publisher, 2, flags={"number": flag(kind, {"v": value}, "v")})
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
    for body in (server.evaluate("number").body, server.post(BULK, {}).body):
        assert b'"value":' + written + b"," in body


def test_where_the_caller_s_default_applies_there_is_no_value(server):
    document = server.evaluate("deferred").json
    assert "value" not in document
    assert (document["variant"], document["reason"]) == ("", "DISABLED")


@pytest.mark.parametrize("key", ["missing", "a/b", "ä", "x" * 500, "..", "\ud800"])
def test_a_flag_that_is_not_there_is_404(server, key):
    reply = server.evaluate(key)
    assert reply.status == 404
    assert reply.json["key"] == key
    assert reply.json["errorCode"] == "FLAG_NOT_FOUND"
    assert reply.json["errorDetails"]


def test_a_flag_that_cannot_be_read_is_a_parse_error(server, browser):
    reply = server.evaluate("unreadable")
    assert reply.status == 400
    assert reply.json["errorCode"] == "PARSE_ERROR"
    assert reply.json["errorDetails"]


def test_an_api_key_header_will_do(serving):
    client = Client(serving)
    assert client.post(f"{BULK}/limit", {}, x_api_key=SERVER_KEY).json["value"] == 3
    assert client.post(f"{BULK}/limit", {}, x_api_key=SERVER_KEY + "x").status == 401


def test_without_a_context_the_context_is_empty(server):
    assert server.post(f"{BULK}/limit", {}).json["value"] == 3


@pytest.mark.parametrize("targeting_key", [None, "", 5, ["ann"]])
def test_a_targeting_key_of_any_kind_is_no_error(server, targeting_key):
    assert server.evaluate("banner", {"targetingKey": targeting_key}).json["value"] is False


@pytest.mark.parametrize("context", [None, [], "ann", 1, True])
def test_a_context_that_is_no_object_is_an_invalid_context(server, context):
    reply = server.post(f"{BULK}/limit", {"context": context})
    assert reply.status == 400
    assert (reply.json["key"], reply.json["errorCode"]) == ("limit", "INVALID_CONTEXT")


def test_a_client_side_key_sees_client_side_flags_only(browser):
    assert browser.evaluate("banner", {"targetingKey": "ann"}).json["value"] is True
    reply = browser.evaluate("limit")
    assert reply.status == 404
    hidden, absent = reply.body, browser.evaluate("nosuc").body
    assert hidden.replace(b"limit", b"nosuc") == absent, "a hidden flag looks as if it did not exist"


@pytest.mark.parametrize("path", [BULK, f"{BULK}/limit"])
class TestRefusals:
    def test_401(self, serving, path):
        reply = Client(serving).post(path, {})
        assert reply.status == 401
        assert reply.headers["www-authenticate"] == "Bearer"
        assert reply.json["errorDetails"]

    def test_405(self, server, path):
        for method in ("GET", "PUT", "DELETE", "HEAD"):
            reply = server.request(method, path)
            assert (reply.status, reply.headers["allow"]) == (405, "POST")

    @pytest.mark.parametrize(
        "media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"]
    )
    def test_415(self, server, path, media_type):
        assert server.post(path, {}, content_type=media_type).status == 415

    def test_415_for_a_compressed_or_otherwise_encoded_body(self, server, path):
        assert server.post(path, {}, content_encoding="gzip").status == 415
        assert server.post(path, {}, content_type="application/json; charset=utf-16").status == 415

    @pytest.mark.parametrize(
        "media_type", ["application/json; charset=UTF-8", 'Application/JSON;charset="utf-8"']
    )
    def test_json_is_recognised_however_it_is_written(self, server, path, media_type):
        assert server.post(path, {}, content_type=media_type).status == 200

    def test_503_before_the_first_snapshot(self, plane, store, publisher, path):
        store.put(PRODUCTION, "keyring", 1, publisher.keyring())
        plane.start()
        eventually(plane.refresher.in_contact)
        reply = Client(plane, SERVER_KEY).post(path, {})
        assert (reply.status, reply.json["errorCode"]) == (503, "PROVIDER_NOT_READY")
        assert reply.headers["retry-after"].isdigit()

    def test_500_says_nothing_of_the_inside(self, server, holder, path, monkeypatch):
        def broken(*_, **__):
            raise RuntimeError("postgres://user:hunter2@db")

        for verb in ("evaluate", "evaluate_all"):
            monkeypatch.setattr(type(holder.environments()[PRODUCTION].snapshot), verb, broken)
        reply = server.post(path, {})
        assert (reply.status, reply.json["errorCode"]) == (500, "GENERAL")
        assert b"hunter2" not in reply.body
        assert b"Traceback" not in reply.body


class TestBulk:
    def test_all_flags_are_answered_in_order(self, server):
        reply = server.post(BULK, {"context": {"targetingKey": "ann"}})
        assert reply.status == 200
        document = reply.json
        assert [member["key"] for member in document["flags"]] == sorted(FLAGS)
        assert document["metadata"] == {"snapshot_version": 1}

    def test_each_as_it_would_be_alone(self, server):
        context = {"targetingKey": "ann"}
        for member in server.post(BULK, {"context": context}).json["flags"]:
            assert member == server.evaluate(member["key"], context).json

    def test_a_client_side_key_gets_its_own(self, browser):
        keys = [member["key"] for member in browser.post(BULK, {}).json["flags"]]
        assert keys == [key for key in sorted(FLAGS) if browser.evaluate(key).status != 404]
        assert "banner" in keys
        assert "limit" not in keys

    def test_other_requests_have_their_turn_meanwhile(self, serving, monkeypatch):
        monkeypatch.setattr(ofrep, "_TURN", 0.0)
        turns: list[int] = []

        async def both():
            task = asyncio.create_task(ticking())
            answer = await bulk()
            task.cancel()
            return answer

        async def ticking():
            while True:
                turns.append(1)
                await asyncio.sleep(0)

        async def bulk():
            body = [{"type": "http.request", "body": b"{}"}]
            sent = []

            async def receive():
                return body.pop()

            async def send(message):
                sent.append(message)

            before = len(turns)
            headers = [
                (b"authorization", f"Bearer {SERVER_KEY}".encode()),
                (b"content-type", b"application/json"),
            ]
            await serving({"type": "http", "method": "POST", "path": BULK, "headers": headers}, receive, send)
            return sent[0]["status"], len(turns) - before

        status, between = asyncio.run(both())
        assert status == 200
        assert between >= len(FLAGS) - 1

    def test_304_for_the_same_context_in_any_order(self, server):
        etag = server.post(BULK, {"context": {"a": 1, "b": {"c": 2, "d": 3}}}).headers["etag"]
        reply = server.post(BULK, {"context": {"b": {"d": 3, "c": 2}, "a": 1}}, if_none_match=etag)
        assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (b'{"a":1}', b'{"a":1.0}'),
            (b'{"a":1}', b'{"a":1e0}'),
            (b'{"a":[{"b":10}]}', b'{"a":[{"b":1E1}]}'),
            (b'{"a":0}', b'{"a":-0.0}'),
            (b'{"a":0.1}', b'{"a":1e-1}'),
            (b'{"a":0.1}', b'{"a":0.1000000000000000055511151231257827}'),
            (b'{"a":9007199254740993}', b'{"a":9007199254740992.0}'),
            (b'{"a":100000000000000000000}', b'{"a":1e20}'),
            (b'{"a":1e400}', b'{"a":null}'),
            (b'{"a":1' + b"0" * 400 + b"}", b'{"a":null}'),
            (b'{"a":-1' + b"0" * 350 + b"}", b'{"a":null}'),
            ('{"a":"é"}'.encode(), b'{"a":"\\u00e9"}'),
            ('{"\U0001f600":1,"\uff5e":2}'.encode(), b'{"\\uff5e":2,"\\ud83d\\ude00":1}'),
            (b'{"a":1, "b":2}', b'{ "b" : 2 ,"a":1 }'),
        ],
    )
    def test_304_for_the_same_context_however_it_is_written(self, server, one, other):
        etag = server.post(BULK, b'{"context":' + one + b"}").headers["etag"]
        reply = server.post(BULK, b'{"context":' + other + b"}", if_none_match=etag)
        assert (reply.status, reply.headers["etag"]) == (304, etag)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (b'{"a":1}', b'{"a":true}'),
            (b'{"a":0}', b'{"a":false}'),
            (b'{"a":1}', b'{"a":"1"}'),
            (b'{"a":1}', b'{"a":1.0000000000000002}'),
            (b'{"a":[1,2]}', b'{"a":[2,1]}'),
            (b'{"a":{"b":1}}', b'{"a":{"b":2}}'),
            (b'{"a":9007199254740991}', b'{"a":9007199254740992}'),
            ('{"a":"é"}'.encode(), '{"a":"e\u0301"}'.encode()),
            (b'{"a":"\\ud800"}', b'{"a":"\\udfff"}'),
            (b'{"targetingKey":"ann"}', b'{"targetingKey":"bob"}'),
        ],
    )
    def test_no_304_for_a_context_that_could_be_decided_otherwise(self, server, one, other):
        etag = server.post(BULK, b'{"context":' + one + b"}").headers["etag"]
        assert server.post(BULK, b'{"context":' + other + b"}", if_none_match=etag).status == 200

    def test_there_is_no_event_stream_to_name_yet(self, server):
        assert set(server.post(BULK, {}).json) == {"flags", "metadata"}

    def test_every_member_has_what_the_protocol_promises(self, server, browser):
        for client in (server, browser):
            for member in client.post(BULK, {}).json["flags"]:
                if "errorCode" in member:
                    assert set(member) == {"key", "errorCode", "errorDetails"}
                    assert member["errorDetails"]
                else:
                    assert set(member) - {"value"} == {"key", "reason", "variant", "metadata"}
                    assert member["reason"] in {"STATIC", "DEFAULT", "SPLIT", "TARGETING_MATCH", "DISABLED"}

    def test_a_change_of_flags_that_a_browser_does_not_see_is_in_no_answer(self, browser):
        body = browser.post(BULK, {}).body
        for key in set(FLAGS) - {"banner"}:
            assert key.encode() not in body

    def test_another_context_version_or_side_is_another_etag(self, server, serving, store, publisher, holder):
        def etag(key=SERVER_KEY, context=None):
            return Client(serving, key).post(BULK, {"context": context or {}}).headers["etag"]

        seen = {
            etag(),
            etag(CLIENT_KEY),
            etag(context={"a": 1}),
            etag(context={"a": "1"}),
            etag(context={"a": True}),
        }
        store.publish(publisher, 2)
        eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
        seen.add(etag())
        assert len(seen) == 6

    def test_what_shares_an_etag_shares_every_decision(self, server, store, publisher, holder):
        """Each operator on numbers and each hash, for numbers at the edges of what a double holds."""
        rules = [
            ("in", [1]),
            ("in", [0]),
            ("in", [2.0**53]),
            ("in", [True]),
            ("gt", [0]),
            ("lt", [0]),
            ("gte", [1e20]),
            ("after", ["2020-01-01T00:00:00Z"]),
            ("includes", ["1"]),
        ]
        boolean = {"on": True, "off": False}
        flags = {}
        for number, (operator, values) in enumerate(rules):
            constraint = {"attribute": "a", "operator": operator, "values": values}
            rule = {"id": "r", "constraints": [constraint], "serve": {"variant": "on"}}
            flags[f"rule-{number}"] = flag("boolean", boolean, "off", rules=[rule])
        for hash_ in ("murmur3", "murmur3-cbor", "unleash", "flagsmith", "launchdarkly"):
            split = {"by": "a", "seed": "s", "hash": hash_, "weights": [["on", 1], ["off", 1]]}
            flags[f"split-{hash_}"] = flag("boolean", boolean, "off", off="off") | {
                "default": {"split": split}
            }
        store.publish(publisher, 2, flags=flags)
        eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
        written = (
            "0 0.0 -0.0 1 1.0 1e0 true false null 1e400 -1e400 0.1 1e-1 1577836800 1577836800.0 1e20 "
            "9007199254740991 9007199254740992 9007199254740993 9007199254740993.0 9007199254740994 "
            f'100000000000000000000 1e308 {10**308} {10**309} -{10**500} "1" [1] [1.0] ["1"]'
        ).split(" ")
        answers = {}
        for text in written:
            reply = server.post(BULK, f'{{"context":{{"a":{text}}}}}'.encode())
            answers.setdefault(reply.headers["etag"], set()).add(reply.body)
        assert all(len(bodies) == 1 for bodies in answers.values())
        assert len(answers) == 15
