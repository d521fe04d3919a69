"""The client: it polls a real server on loopback, and keeps what it has when that misbehaves."""

from __future__ import annotations

import os
import re
import threading
import time
from collections import UserDict
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import Enum

import pytest
from flag_server import FlagServer, flag_server
from signed_snapshots import SigningKey, a_flag, body_of, signed

from countersign import Client, DsnError, Snapshot, SnapshotError
from countersign.dsn import read_dsn
from countersign.last_known_good import LastKnownGood

ON = {"variant": "on"}
KEY = SigningKey()


@pytest.fixture
def server() -> Iterator[FlagServer]:
    with flag_server() as running:
        publish(running, {"banner": a_flag(default=ON)})
        yield running


def publish(
    server: FlagServer, flags: dict, *, version: int = 1287, key: SigningKey = KEY, **changes: object
) -> None:
    raw = signed(body_of(flags), key, version=version, **changes)
    server.raw, server.etag = raw, Snapshot.parse(raw).etag


def client_of(server: FlagServer, **settings: object) -> Client:
    return Client(server.dsn(KEY.vkey), **{"poll_interval": 0.02, **settings})


def eventually(holds: Callable[[], object], *, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "did not come true"
        time.sleep(0.005)


def test_a_client_fetches_verifies_and_evaluates(server):
    with client_of(server) as client:
        assert client.wait_until_ready(10)
        assert client.get_boolean_value("banner", False) is True
        status = client.status()
    path, headers = server.requests[0]
    assert path == "/sdk/v1/snapshot"
    assert headers["Authorization"] == "Bearer sdk-server-1"
    assert (status.ready, status.snapshot_version, status.etag) == (True, 1287, server.etag)
    assert status.last_error is None
    assert status.age is not None


def test_a_client_asks_only_for_news_and_takes_a_newer_version(server):
    with client_of(server) as client:
        client.wait_until_ready(10)
        eventually(lambda: 304 in server.answered)
        publish(server, {"banner": a_flag()}, version=1288)
        eventually(lambda: client.status().snapshot_version == 1288)
        assert client.get_boolean_value("banner", True) is False


def test_before_the_first_snapshot_the_caller_s_default_applies():
    with Client("http://k@127.0.0.1:9/shop/production", poll_interval=60) as client:
        assert not client.wait_until_ready(0.01)
        details = client.get_string_details("banner", "fallback")
        assert (details.value, details.reason, details.error_code) == (
            "fallback",
            "ERROR",
            "PROVIDER_NOT_READY",
        )
        assert client.get_all() == {}
        eventually(lambda: client.status().last_error)
        assert "cannot be reached" in (client.status().last_error or "")


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda server: publish(server, {}, version=1288, key=SigningKey()), "signature"),
        (lambda server: publish(server, {}, version=1286), "older"),
        (lambda server: publish(server, {}), "another body"),
        (lambda server: publish(server, {}, version=1288, environment="shop/staging"), "shop/staging"),
        (lambda server: publish(server, {}, version=1288, origin="evil.example.com"), "origin"),
        (lambda server: setattr(server, "raw", server.raw[:-1]) or setattr(server, "etag", '"x"'), "bytes"),
        (
            lambda server: setattr(server, "raw", b"<html>") or setattr(server, "etag", '"x"'),
            "not a snapshot",
        ),
        (lambda server: setattr(server, "status", 500), "500"),
        (lambda server: setattr(server, "status", 302), "302"),
        (lambda server: server.shutdown() or server.server_close(), "cannot be reached|answers"),
    ],
    ids=["unsigned", "older", "rewritten", "environment", "origin", "cut", "html", "500", "redirect", "gone"],
)
def test_a_client_keeps_what_it_has_and_says_why(server, spoil, reason):
    with client_of(server) as client:
        client.wait_until_ready(10)
        if reason.startswith("cannot"):
            server.status = 500
        spoil(server)
        eventually(lambda: client.status().last_error)
        status = client.status()
        assert re.search(reason, status.last_error or "")
        assert status.failures >= 1
        assert status.snapshot_version == 1287
        assert client.get_boolean_value("banner", False) is True


def test_a_client_recovers_when_the_server_does(server):
    server.status = 503
    with client_of(server) as client:
        eventually(lambda: client.status().failures)
        server.status = 200
        assert client.wait_until_ready(10)
        eventually(lambda: client.status().last_error is None)
        assert client.status().failures == 0


def test_a_rejected_key_is_named_as_the_reason_but_never_shown(server):
    with Client(server.dsn(key="very-secret"), poll_interval=0.02) as client:
        eventually(lambda: client.status().last_error)
        error = client.status().last_error or ""
        assert "401" in error
        assert "very-secret" not in error + repr(client.status())


def test_retry_after_is_respected(server):
    server.status, server.headers = 503, {"Retry-After": "600"}
    with client_of(server) as client:
        eventually(lambda: client.status().failures)
        server.status = 200
        time.sleep(0.3)
        assert len(server.requests) == 1


def test_an_answer_that_is_too_long_is_refused(server):
    with client_of(server, max_bytes=100) as client:
        eventually(lambda: client.status().last_error)
        assert "100 bytes" in (client.status().last_error or "")
        assert not client.status().ready


def test_without_a_verify_key_signature_and_origin_are_not_checked(server):
    with Client(server.dsn(), poll_interval=0.02) as client:
        assert client.wait_until_ready(10)


class Clock:
    """The time, as the client sees it; a test moves it on."""

    ahead = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead


def test_past_max_staleness_flags_take_their_safe_state(server, monkeypatch):
    clock = Clock()
    monkeypatch.setattr("countersign.client.time", clock)
    keeps = {"fail_safe": "last_known_good", "default": ON}
    flags = {"off": a_flag(default=ON), "keep": a_flag(**keeps), "none": a_flag(default=ON, off=None)}
    publish(server, {**flags, "typed": a_flag(**keeps)})
    with client_of(server, max_staleness=3600) as client:
        client.wait_until_ready(10)
        assert client.get_boolean_details("off", False).reason == "STATIC"
        server.status = 503
        eventually(lambda: client.status().failures)
        assert client.get_boolean_details("off", False).reason == "STATIC"
        assert [client.get_boolean_value(key, False) for key in ("off", "none") * 2] == [True] * 4
        clock.ahead = 3700.0
        assert client.status().stale
        assert [client.get_boolean_value("off", default) for default in (True, False)] == [False, False]
        assert [client.get_boolean_value("none", default) for default in (True, False)] == [True, False]
        off = client.get_boolean_details("off", True)
        assert (off.value, off.variant, off.reason, off.flag_metadata["cause"]) == (
            False,
            "off",
            "STALE",
            "stale",
        )
        keep = client.get_boolean_details("keep", False)
        assert (keep.value, keep.reason, keep.flag_metadata["cause"]) == (True, "STALE", "default")
        none = client.get_boolean_details("none", True)
        assert (none.value, none.variant, none.reason) == (True, None, "STALE")
        assert client.get_string_details("typed", "d").error_code == "TYPE_MISMATCH"
        assert client.get_boolean_details("nowhere", True).error_code == "FLAG_NOT_FOUND"
        server.status = 200
        eventually(lambda: not client.status().stale)
        assert client.get_boolean_value("off", False) is True
        assert client.get_boolean_details("off", False).reason == "STATIC"


def a_file(tmp_path, flags: dict) -> str:
    path = tmp_path / "flags.snapshot"
    path.write_bytes(signed(body_of(flags), KEY))
    return str(path)


def test_a_client_from_a_file_verifies_it_and_is_never_stale(tmp_path):
    path = a_file(tmp_path, {"banner": a_flag(default=ON)})
    with Client.from_file(path, verify=[KEY.vkey], environment="shop/production") as client:
        assert client.wait_until_ready(0)
        assert client.get_boolean_value("banner", False) is True
        status = client.status()
        assert (status.age, status.stale) == (None, False)
    with pytest.raises(SnapshotError):
        Client.from_file(path, verify=[SigningKey().vkey])
    with pytest.raises(OSError, match="nowhere"):
        Client.from_file(tmp_path / "nowhere")


def test_the_static_context_is_merged_and_a_call_wins(tmp_path):
    def rule(name: str, value: str) -> dict:
        constraint = {"attribute": name, "operator": "in", "values": [value]}
        return a_flag(rules=[{"id": "r", "constraints": [constraint], "serve": ON}])

    path = a_file(tmp_path, {"service": rule("service", "api"), "region": rule("region", "us")})
    client = Client.from_file(path, context={"service": "api", "region": "eu"})
    assert client.get_boolean_value("service", False) is True
    assert client.get_boolean_value("service", False, {"other": 1}) is True
    assert client.get_boolean_value("service", False, {"service": "web"}) is False
    assert client.get_boolean_value("service", False, {"service": None}) is False
    assert client.get_boolean_value("region", False, {"region": "us"}) is True


def test_a_call_does_not_move_a_process_to_another_region(tmp_path):
    path = a_file(tmp_path, {"f": a_flag(default=ON, regions={"eu": False})})
    inside, anywhere = Client.from_file(path, context={"region": "eu"}), Client.from_file(path)
    assert inside.get_boolean_details("f", True, {"region": "us"}).flag_metadata["cause"] == "region"
    assert anywhere.get_boolean_value("f", False, {"region": "us"}) is True
    assert anywhere.get_boolean_value("f", True, {"region": "eu"}) is False


def test_each_type_has_its_methods(tmp_path):
    values = {"boolean": True, "string": "x", "integer": 3, "float": 3, "object": {"a": 1}}
    flags = {
        kind: a_flag(type=kind, variants={"v": v}, off="v", default={"variant": "v"})
        for kind, v in values.items()
    }
    client = Client.from_file(a_file(tmp_path, flags))
    assert client.get_boolean_value("boolean", False) is True
    assert client.get_string_value("string", "") == "x"
    assert client.get_integer_value("integer", 0) == 3
    assert type(client.get_float_value("float", 0.0)) is float
    assert type(client.get_float_value("integer", 0.0)) is float
    assert client.get_object_value("object", {}) == {"a": 1}
    assert client.get_object_details("object", {}).variant == "v"
    assert client.get_integer_details("float", 9).error_code == "TYPE_MISMATCH"
    assert client.get_float_details("float", 9.0).flag_key == "float"
    assert client.get_all() == {**values, "float": 3.0}


def test_get_all_gives_null_where_the_caller_s_default_applies(tmp_path):
    client = Client.from_file(a_file(tmp_path, {"a": a_flag(killed=True, off=None), "b": a_flag(type="x")}))
    assert client.get_all({}) == {"a": None, "b": None}


def test_all_values_are_of_one_snapshot(tmp_path):
    targeted = {name: a_flag(default=ON, targets={"on": ["u"]}) for name in ("a", "b")}
    client = Client.from_file(a_file(tmp_path, targeted))
    newer = Snapshot.parse(signed(body_of({"a": a_flag(), "b": a_flag()}), version=1288))

    class Swapping(UserDict):
        def __iter__(self):
            client._use(newer, None)  # as the polling thread may at any moment
            return super().__iter__()

    assert client.get_all(Swapping({"country": "DK"})) == {"a": True, "b": True}
    assert client.get_all() == {"a": False, "b": False}


class Name(str):
    __slots__ = ()

    __hash__ = object.__hash__  # as an enumeration's members have one of their own


@pytest.mark.parametrize(
    "key", ["u", "v", "", "\ud800", None, 5, True, 1.0, [], {}, Name("u"), datetime(2026, 11, 26), object()]
)
def test_the_quick_check_answers_as_the_evaluation_whatever_the_targeting_key(tmp_path, key):
    split = {
        "split": {"by": "targetingKey", "seed": "s", "hash": "murmur3", "weights": [["on", 1], ["off", 1]]}
    }
    flags = {"targets": a_flag(targets={"on": ["u"]}), "split": a_flag(default=split)}
    client = Client.from_file(a_file(tmp_path, flags))
    for context in ({"targetingKey": key}, {"targetingKey": key, "plan": "gold"}):
        for flag in flags:
            wanted = client.snapshot.evaluate(flag, context, "boolean").value
            answers = [client.get_boolean_value(flag, not wanted, context) for _ in range(4)]
            assert answers == [wanted] * 4, flag


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no name")


class Flags(str, Enum):  # noqa: UP042  # as on Python 3.10
    TARGETED = "targets"
    SETTLED = "settled"


@pytest.mark.parametrize("own", [None, {"service": "api"}])
def test_a_flag_may_be_named_by_an_enumeration_and_asked_for_without_a_context(tmp_path, own):
    flags = {"targets": a_flag(targets={"on": ["u"]}), "settled": a_flag(default=ON)}
    client = Client.from_file(a_file(tmp_path, flags), context=own)
    for _ in range(3):
        assert client.get_boolean_value(Flags.TARGETED, False, {"targetingKey": "u"}) is True
        assert client.get_boolean_value(Flags.TARGETED, True) is False
        assert client.get_boolean_value(Flags.SETTLED, False) is True
    assert set(client._booleans) == {"targets", "settled"}


def test_what_cannot_be_read_now_is_read_later(tmp_path, monkeypatch):
    client = Client.from_file(a_file(tmp_path, {"f": a_flag(default=ON)}))
    with monkeypatch.context() as patched:
        patched.setattr(Snapshot, "check", lambda *_: 1 / 0)
        assert client.get_boolean_value("f", False) is False
    assert client.get_boolean_value("f", False) is True


@pytest.mark.parametrize("context", [5, "text", [1], [], 0, object()])
def test_a_method_never_raises_whatever_the_context(tmp_path, context):
    flags = {"f": a_flag(targets={"on": ["u"]}, change="CR-3"), "settled": a_flag(default=ON)}
    client = Client.from_file(a_file(tmp_path, flags), context={"service": "api"})
    assert [client.get_boolean_value("settled", False, context) for _ in range(3)] == [True] * 3
    assert client.get_boolean_details("settled", False, context).value is True
    details = client.get_boolean_details("f", True, context)
    assert (details.value, details.error_code) == (True, "GENERAL")
    assert [client.get_boolean_value("f", default, context) for default in (True, False)] == [True, False]
    for key in (["f"], Unspeakable()):
        assert client.get_boolean_details(key, True).value is True
    assert client.get_boolean_details(["f"], True).error_code == "GENERAL"
    assert details.flag_metadata == {"snapshot_version": 1287, "flag_version": 7, "change": "CR-3"}
    assert client.get_boolean_details(["f"], True).flag_metadata == {"snapshot_version": 1287}


@pytest.mark.parametrize(
    "settings",
    [
        {"poll_interval": 0},
        {"poll_interval": float("nan")},
        {"poll_interval": float("inf")},
        {"timeout": -1},
        {"timeout": float("inf")},
        {"max_staleness": -1},
        {"max_staleness": float("nan")},
        {"max_bytes": 0},
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Client("http://k@127.0.0.1:9/shop/production", **settings)


@pytest.mark.parametrize(
    "dsn",
    [
        "",
        "flags.example.com/shop/production",
        "ftp://k@flags.example.com/shop/production",
        "https://flags.example.com/shop/production",
        "https://k:secret@flags.example.com/shop/production",
        "https://k@/shop/production",
        "https://k@flags.example.com:port/shop/production",
        "https://k@flags.example.com/shop",
        "https://k@flags.example.com/shop/production/more",
        "https://k@flags.example.com/shop/-",
        "https://k@flags.example.com/shop/production?verfy=x",
        "https://k@flags.example.com/shop/production?verify=x",
        "https://k@flags.example.com/shop/production#x",
        "https://k%0d%0aX:y@flags.example.com/shop/production",
        "https://secret%20key@flags.example.com/shop/production",
        "https://secr%C3%A9t@flags.example.com/shop/production",
        "https://secret/key@flags.example.com/shop/production",
        "https://secret#key@flags.example.com/shop/production",
        "https://k@flags example.com/shop/production",
        "https://k@flags..\xe9xample.com/shop/production",
        "https://k@" + "\xe9" * 70 + ".com/shop/production",
        "https://k@flags.example.com:0/shop/production",
        "https://k@flags.example.com:99999/shop/production",
        "https://k@[::1/shop/production",
        "https://k@flags.example.com/shop/production?verify=",
    ],
)
def test_a_dsn_that_cannot_be_meant_is_refused(dsn):
    with pytest.raises(DsnError) as refused:
        Client(dsn)
    assert "secret" not in str(refused.value)


def test_a_dsn_s_host_and_key_are_read_as_the_network_needs_them():
    dsn = read_dsn("https://a%2Bb~c%3D@Fl\xe4gs.example.com:8443/shop/production/\n")
    assert (dsn.sdk_key, dsn.address) == ("a+b~c=", "https://xn--flgs-moa.example.com:8443")
    assert "a+b" not in repr(dsn)
    assert read_dsn("http://k@[::1]:8000/shop/production").address == "http://[::1]:8000"


def test_the_dsn_comes_from_the_environment_when_omitted(server, monkeypatch):
    monkeypatch.setenv("COUNTERSIGN_DSN", server.dsn(KEY.vkey, SigningKey().vkey))
    with Client(poll_interval=0.02) as client:
        assert client.wait_until_ready(10)
    monkeypatch.delenv("COUNTERSIGN_DSN")
    with pytest.raises(DsnError, match="COUNTERSIGN_DSN"):
        Client()


def test_a_client_starts_from_its_last_known_good_file_while_the_server_is_away(server, tmp_path):
    with client_of(server, cache_dir=tmp_path) as client:
        client.wait_until_ready(10)
        eventually(lambda: 304 in server.answered)
    server.status = 503
    with client_of(server, cache_dir=tmp_path) as client:
        assert client.wait_until_ready(0)
        assert client.get_boolean_value("banner", False) is True
    (file,) = tmp_path.iterdir()
    hour_ago = time.time() - 3600
    os.utime(file, (hour_ago, hour_ago))
    with client_of(server, cache_dir=tmp_path, max_staleness=60.0) as client:
        assert client.status().stale
    file.write_bytes(b"damaged")
    with client_of(server, cache_dir=tmp_path) as client:
        assert not client.status().ready
        assert client.status().last_error


def test_a_file_that_could_not_be_written_is_not_confirmed_as_fresh(server, tmp_path, monkeypatch):
    write = LastKnownGood.write
    with client_of(server, cache_dir=tmp_path) as client:
        eventually(lambda: 304 in server.answered)
        (file,) = tmp_path.iterdir()
        hour_ago = time.time() - 3600

        def full(self, raw):
            os.utime(file, (hour_ago, hour_ago))
            raise OSError("no space left")

        monkeypatch.setattr(LastKnownGood, "write", full)
        publish(server, {"banner": a_flag()}, version=1288)
        eventually(lambda: "no space left" in (client.status().last_error or ""))
        server.answered.clear()
        eventually(lambda: server.answered.count(304) > 2)
        assert file.stat().st_mtime < hour_ago + 60
        monkeypatch.setattr(LastKnownGood, "write", write)
        eventually(lambda: b"version 1288" in file.read_bytes())
        eventually(lambda: client.status().last_error is None)


def test_a_file_that_somebody_removed_is_written_again(server, tmp_path):
    with client_of(server, cache_dir=tmp_path) as client:
        eventually(lambda: 304 in server.answered)
        (file,) = tmp_path.iterdir()
        file.unlink()
        eventually(file.exists)
        eventually(lambda: client.status().last_error is None)


def test_an_older_snapshot_than_the_last_known_good_one_is_refused(server, tmp_path):
    with client_of(server, cache_dir=tmp_path) as client:
        client.wait_until_ready(10)
        eventually(lambda: 304 in server.answered)
    publish(server, {}, version=1286)
    with client_of(server, cache_dir=tmp_path) as client:
        eventually(lambda: client.status().failures)
        assert client.status().snapshot_version == 1287


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_client_goes_on_polling_in_the_child_of_a_fork(server):
    with client_of(server) as client:
        client.wait_until_ready(10)
        # As if the thread had taken another snapshot, and had not yet come to what was kept of the one before.
        client._booleans = {"banner": (None, "of an older snapshot", None, None)}
        child = os.fork()
        if child == 0:
            code = 1
            try:
                assert client.get_boolean_value("banner", False) is True
                deadline = time.monotonic() + 10
                while client.status().snapshot_version != 1288 and time.monotonic() < deadline:
                    time.sleep(0.01)
                code = 0 if client.status().snapshot_version == 1288 else 2
            finally:
                os._exit(code)
        publish(server, {"banner": a_flag()}, version=1288)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        eventually(lambda: client.status().snapshot_version == 1288)


def test_a_closed_client_answers_and_no_longer_polls(server):
    client = client_of(server)
    client.wait_until_ready(10)
    client.close()
    eventually(lambda: not client._thread.is_alive())
    count = len(server.requests)
    time.sleep(0.1)
    assert len(server.requests) == count
    assert client.get_boolean_value("banner", False) is True


def test_threads_see_one_snapshot_or_the_next_while_they_are_swapped(server):
    """Two flags that are always alike, and an object whose members are: nobody ever sees a half of each."""

    def flags(version: int) -> dict:
        side = {"variant": "on" if version % 2 else "off"}
        pair = {"on": {"a": "on", "b": [version % 2]}, "off": {"a": "off", "b": [version % 2]}}
        needs = [{"flag": "left", "variants": [side["variant"]]}]
        return {
            "left": a_flag(default=side),
            "object": a_flag(type="object", variants=pair, default=side),
            "right": a_flag(default=side, prerequisites=needs),
        }

    torn: list[object] = []
    seen: set[int] = set()
    done = threading.Event()

    def ask(client: Client) -> None:
        while not done.is_set():
            values = client.get_all({"targetingKey": "u"})
            odd = values["left"]
            if values["right"] is not odd or values["object"] != {
                "a": "on" if odd else "off",
                "b": [int(odd)],
            }:
                torn.append(values)
            details = client.get_boolean_details("right", not odd)
            version = details.flag_metadata["snapshot_version"]
            seen.add(version)
            if details.value is not bool(version % 2) or details.error_code:
                torn.append(details)

    publish(server, flags(1287))
    with client_of(server, poll_interval=0.001) as client:
        client.wait_until_ready(10)
        threads = [threading.Thread(target=ask, args=(client,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for version in range(1288, 1300):
            publish(server, flags(version), version=version)
            eventually(lambda version=version: client.status().snapshot_version == version)
        done.set()
        for thread in threads:
            thread.join()
    assert not torn
    assert len(seen) > 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_fork_in_the_middle_of_polls_and_questions_leaves_a_child_that_works(server):
    """Whatever the parent's threads were about, with whatever lock held: every child polls and answers."""
    with client_of(server, poll_interval=0.001) as client:
        client.wait_until_ready(10)
        done = threading.Event()

        def ask() -> None:
            while not done.is_set():
                client.get_all({"targetingKey": "u"})
                client.wait_until_ready(0.001)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        children = []
        for version in range(1288, 1296):
            publish(server, {"banner": a_flag(default=ON)}, version=version)
            child = os.fork()
            if child == 0:
                code = 1
                try:
                    deadline = time.monotonic() + 20
                    while client.status().snapshot_version != 1296 and time.monotonic() < deadline:
                        time.sleep(0.01)
                    right = client.get_boolean_value("banner", True) is False
                    code = 0 if right and client.wait_until_ready(0) else 2
                    client.close()
                finally:
                    os._exit(code)
            children.append(child)
        publish(server, {"banner": a_flag()}, version=1296)
        codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
        done.set()
        for thread in threads:
            thread.join()
    assert codes == [0] * 8
