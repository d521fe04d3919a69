"""Under granian, over sockets, and through the published OFREP client."""

import gzip
import socket
from urllib.parse import quote

import pytest
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, OpenFeatureError, ParseError

from countersign.dsn import read_dsn
from countersign.fetching import Fetcher
from countersign.snapshot import Snapshot
from distribution.read_plane.directory_store import DirectoryStore
from distribution.read_plane.redis_store import RedisStore

from .conftest import eventually, free_port
from .granian import Granian
from .publisher import CLIENT_KEY, ORIGIN, PRODUCTION, SERVER_KEY

HEADERS = {"Authorization": f"Bearer {SERVER_KEY}"}


@pytest.fixture(scope="module")
def kept(publisher, tmp_path_factory):
    """A last-known-good directory with version 1."""
    directory = tmp_path_factory.mktemp("kept")
    store = DirectoryStore(directory)
    store.put_snapshot(PRODUCTION, publisher.snapshot())
    store.put_keyring(PRODUCTION, publisher.keyring())
    return directory


@pytest.fixture(scope="module")
def granian(publisher, kept):
    """Served from the last-known-good directory alone; the Redis it is told of does not exist."""
    made = Granian(
        READ_PLANE_ORIGIN=ORIGIN,
        READ_PLANE_VERIFY=publisher.vkey,
        READ_PLANE_DIRECTORY=str(kept),
        READ_PLANE_REDIS=f"redis://:hunter2@127.0.0.1:{free_port()}/0",
    )
    yield made
    made.stop()


@pytest.fixture(scope="module")
def provider(granian):
    return OFREPProvider(granian.url, headers_factory=lambda: HEADERS)


def test_the_snapshot_comes_over_the_wire_as_published(granian, kept):
    status, headers, body = granian.get("/sdk/v1/snapshot", **HEADERS)
    assert status == 200
    assert body == DirectoryStore(kept).get_snapshot(PRODUCTION)
    again = granian.get("/sdk/v1/snapshot", **HEADERS, **{"If-None-Match": headers["etag"]})
    assert (again[0], again[2]) == (304, b"")
    head = granian.get("/sdk/v1/snapshot", "HEAD", **HEADERS)
    assert (head[0], head[1]["content-length"], head[2]) == (200, str(len(body)), b"")


def test_our_own_client_takes_it_compressed_and_polls_by_its_tag(granian, publisher, kept):
    dsn = f"http://{SERVER_KEY}@127.0.0.1:{granian.port}/{PRODUCTION}?verify={quote(publisher.vkey, safe='')}"
    fetcher = Fetcher(read_dsn(dsn), timeout=10, max_bytes=1024 * 1024)
    try:
        raw = fetcher.fetch(None)
        assert raw == DirectoryStore(kept).get_snapshot(PRODUCTION)
        assert fetcher.fetch(Snapshot.parse(raw, verify=[publisher.vkey]).etag) is None
    finally:
        fetcher.close()
    _, headers, body = granian.get("/sdk/v1/snapshot", **HEADERS, **{"Accept-Encoding": "gzip"})
    assert (headers["content-encoding"], gzip.decompress(body)) == ("gzip", raw)


def test_ready_is_degraded_and_keeps_the_password(granian):
    status, _, body = granian.get("/readyz")
    assert status == 200
    assert b'"status":"degraded"' in body
    assert b"hunter2" not in body
    assert b"127.0.0.1" not in body


def test_what_is_not_the_read_plane_s_is_passed_on(granian):
    assert granian.get("/admin/")[0::2] == (404, b"behind")


def test_the_published_client_reads_all_five_types(provider):
    context = EvaluationContext(
        "ann", {"plan": "gold", "seats": 3, "share": 0.5, "beta": True, "tags": ["a"]}
    )
    boolean = provider.resolve_boolean_details("banner", False, context)
    assert (boolean.value, boolean.variant, boolean.reason) == (True, "on", "TARGETING_MATCH")
    assert boolean.flag_metadata["change"] == "CR-7.1"
    assert provider.resolve_string_details("colour", "none").value == "red"
    integer = provider.resolve_integer_details("limit", 0).value
    assert (integer, type(integer)) == (3, int)
    number = provider.resolve_float_details("ratio", 0.5).value
    assert (number, type(number)) == (3.0, float)
    assert provider.resolve_object_details("theme", {}).value == {"depth": 3, "ratio": 0.5, "tags": ["a"]}


def test_the_published_client_applies_its_default_where_none_is_served(provider):
    details = provider.resolve_string_details("deferred", "mine")
    assert (details.value, details.variant, details.reason) == ("mine", "", "DISABLED")


def test_the_published_client_understands_the_errors(provider, granian):
    with pytest.raises(FlagNotFoundError):
        provider.resolve_boolean_details("missing", False)
    with pytest.raises(ParseError):
        provider.resolve_boolean_details("unreadable", False)
    stranger = OFREPProvider(granian.url, headers_factory=lambda: {"X-API-Key": "unknown"})
    with pytest.raises(OpenFeatureError, match="unauthorized"):
        stranger.resolve_boolean_details("banner", False)
    browser = OFREPProvider(granian.url, headers_factory=lambda: {"X-API-Key": CLIENT_KEY})
    assert browser.resolve_boolean_details("banner", True).value is False
    with pytest.raises(FlagNotFoundError):
        browser.resolve_integer_details("limit", 0)


@pytest.mark.parametrize("declared", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
def test_a_body_that_is_too_large_is_cut_off_on_the_wire(granian, declared):
    head = (
        f"POST /ofrep/v1/evaluate/flags/banner HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SERVER_KEY}\r\n"
    )
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n" if "chunked" in declared else b" " * 65536
    with socket.create_connection(("127.0.0.1", granian.port), timeout=10) as connection:
        connection.sendall(f"{head}Content-Type: application/json\r\n{declared}\r\n\r\n".encode())
        try:
            for _ in range(30):
                connection.sendall(chunk)
        except OSError:
            pass  # it answered and closed: the answer may still be there to read
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


def test_clients_that_leave_midway_leave_the_server_well(granian):
    head = (
        f"POST /ofrep/v1/evaluate/flags/banner HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SERVER_KEY}\r\n"
    )
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", granian.port), timeout=10) as connection:
            connection.sendall(
                f"{head}Content-Type: application/json\r\nContent-Length: 500\r\n\r\n{{".encode()
            )
    assert granian.get("/livez")[0] == 200


def test_publishing_and_revoking_through_redis_reaches_a_running_server(publisher, redis_server, tmp_path):
    store = RedisStore(redis_server.url)
    store.put_keyring(PRODUCTION, 1, publisher.keyring())
    store.put_snapshot(PRODUCTION, 1, publisher.snapshot())
    server = Granian(
        READ_PLANE_ORIGIN=ORIGIN,
        READ_PLANE_VERIFY=publisher.vkey,
        READ_PLANE_DIRECTORY=str(tmp_path / "kept"),
        READ_PLANE_REDIS=redis_server.url,
    )
    try:
        eventually(lambda: server.get("/sdk/v1/snapshot", **HEADERS)[0] == 200)
        store.put_snapshot(PRODUCTION, 2, publisher.snapshot(2))
        store.announce(PRODUCTION)
        eventually(lambda: server.get("/sdk/v1/snapshot", **HEADERS)[1]["etag"].startswith('"2-'))
        store.put_keyring(PRODUCTION, 2, publisher.keyring(2, keys=[]))  # not announced: the poll finds it
        eventually(lambda: server.get("/sdk/v1/snapshot", **HEADERS)[0] == 401)
    finally:
        server.stop()
        store.close()
