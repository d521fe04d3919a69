"""gzip: for those who ask, of what is long enough, and the same bytes in the end."""

import gzip
import json
import threading

import pytest

from countersign.snapshot import Snapshot
from distribution.read_plane import compression
from distribution.read_plane import holder as holders

from .client import Client
from .conftest import eventually
from .publisher import PRODUCTION, SERVER_KEY, flag

BULK = "/ofrep/v1/evaluate/flags"
SNAPSHOT = "/sdk/v1/snapshot"
MANY = {f"flag-{number:05}": flag("boolean", {"on": True, "off": False}, "on") for number in range(2000)}


@pytest.fixture
def large(serving, store, publisher, holder):
    """Serves an environment with 2000 flags."""
    store.publish(publisher, 2, flags=MANY)
    eventually(lambda: (held := holder.environments()[PRODUCTION].snapshot) and holder.gzipped(held))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
    eventually(lambda: holder.gzipped(holder.environments()[PRODUCTION].snapshot))
    return Client(serving, SERVER_KEY)


def test_a_snapshot_comes_compressed_and_is_the_same_file(large, store):
    reply = large.get(SNAPSHOT, accept_encoding="gzip")
    assert reply.status == 200
    assert reply.headers["content-encoding"] == "gzip"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert gzip.decompress(reply.body) == store.get_snapshot(PRODUCTION)
    assert len(reply.body) < len(store.get_snapshot(PRODUCTION)) / 5


def test_the_entity_tag_is_the_signed_file_s_either_way(large, publisher, store):
    plain, packed = large.get(SNAPSHOT), large.get(SNAPSHOT, accept_encoding="gzip, deflate, br")
    parsed = Snapshot.parse(store.get_snapshot(PRODUCTION), verify=[publisher.vkey])
    assert plain.headers["etag"] == packed.headers["etag"] == parsed.etag
    for reply in (plain, packed, large.get(SNAPSHOT, if_none_match=parsed.etag)):
        assert reply.headers["vary"].split(", ") == ["Authorization", "Accept-Encoding"]
    for condition in (parsed.etag, f"W/{parsed.etag}"):  # a proxy that compresses makes it weak
        assert large.get(SNAPSHOT, accept_encoding="gzip", if_none_match=condition).status == 304


def test_a_snapshot_is_compressed_once_and_not_by_a_request(large, monkeypatch):
    def refuse(*_):
        raise AssertionError("compressed again")

    monkeypatch.setattr(compression, "gzip_of", refuse)
    for _ in range(3):
        assert large.get(SNAPSHOT, accept_encoding="gzip").headers["content-encoding"] == "gzip"


def test_a_new_snapshot_does_not_wait_for_its_compression(serving, store, publisher, holder, monkeypatch):
    asked, go = threading.Event(), threading.Event()

    def slowly(body):
        asked.set()
        assert go.wait(10)
        return compression.gzip_of(body)

    monkeypatch.setattr(holders, "gzip_of", slowly)
    store.publish(publisher, 2)
    assert asked.wait(10)
    server = Client(serving, SERVER_KEY)
    reply = server.get(SNAPSHOT, accept_encoding="gzip")
    assert reply.headers["etag"].startswith('"2-')
    assert "content-encoding" not in reply.headers, "no request compresses it in the meantime"
    go.set()
    eventually(lambda: "content-encoding" in server.get(SNAPSHOT, accept_encoding="gzip").headers)


def test_a_bulk_answer_is_compressed_off_the_event_loop_where_it_is_long(large, monkeypatch):
    threads = []
    original = compression.gzip_of
    monkeypatch.setattr(
        compression, "gzip_of", lambda body: threads.append(threading.current_thread()) or original(body)
    )
    reply = large.post(BULK, {}, accept_encoding="gzip")
    assert reply.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in reply.headers["vary"].split(", ")
    assert len(json.loads(gzip.decompress(reply.body))["flags"]) == len(MANY)
    assert gzip.decompress(reply.body) == large.post(BULK, {}).body
    assert threads[0] is not threading.current_thread()
    etag = reply.headers["etag"]
    again = large.post(BULK, {}, accept_encoding="gzip", if_none_match=etag)
    assert (again.status, again.headers["vary"]) == (304, reply.headers["vary"])


def test_a_short_answer_is_sent_as_it_is(server):
    reply = server.post(f"{BULK}/limit", {}, accept_encoding="gzip")
    assert "content-encoding" not in reply.headers
    assert "vary" not in reply.headers


def test_health_and_errors_are_compressed_as_well_where_they_are_long(serving):
    reply = Client(serving, SERVER_KEY).post(f"{BULK}/{'x' * 2000}", {}, accept_encoding="gzip")
    assert (reply.status, reply.headers["content-encoding"]) == (404, "gzip")
    assert json.loads(gzip.decompress(reply.body))["errorCode"] == "FLAG_NOT_FOUND"


def test_head_tells_what_get_would_send(large):
    head = large.request("HEAD", SNAPSHOT, headers={"accept-encoding": "gzip"})
    whole = large.get(SNAPSHOT, accept_encoding="gzip")
    assert (head.headers, head.body) == (whole.headers, b"")


@pytest.mark.parametrize(
    ("field", "packed"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("deflate, br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0.001", True),
        ("gzip ; Q=0.5", True),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("identity", False),
        ("identity, gzip", True),
        ("identity;q=1, gzip;q=0.5", False),
        ("identity;q=0.5, gzip;q=1.0", True),
        ("identity;q=0, gzip", True),
        (" , gzip,, ", True),
        ("gzip;q=2", False),
        ("gzip;level=9", False),
        ("gzip;q=", False),
        ("gzip " * 100, False),
        ("br, " * 1000 + "gzip", False),
    ],
)
def test_accept_encoding_is_read_with_its_weights(field, packed):
    assert compression.prefers_gzip(field) is packed
