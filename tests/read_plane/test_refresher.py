"""Staying fresh from any source, and staying quiet and alive when all of them fail."""

import logging
import signal
import threading
import time

import pytest
import redis as client

from distribution.read_plane import holder as holder_module
from distribution.read_plane import refresher as refresher_module
from distribution.read_plane.directory_store import DirectoryStore
from distribution.read_plane.holder import Holder
from distribution.read_plane.keyring import hash_of
from distribution.read_plane.redis_store import RedisStore
from distribution.read_plane.refresher import Refresher

from .conftest import eventually
from .publisher import ORIGIN, PRODUCTION, SERVER_KEY, STAGING, MemoryStore, Publisher


@pytest.fixture
def start(holder):
    """Start a refresher over sources; all of them are stopped at the end."""
    started: list[Refresher] = []

    def _start(*sources, holder=holder, interval=0.02, **members):
        refresher = Refresher(holder, list(sources), interval=interval, **members)
        refresher.start()
        started.append(refresher)
        return refresher

    yield _start
    for refresher in started:
        refresher.stop()


def _status(refresher):
    return {dependency.name: dependency.describe() for dependency in refresher.dependencies()}


def test_what_is_published_later_is_taken(start, holder, store, publisher):
    refresher = start(("database", store))
    eventually(refresher.in_contact)
    store.publish(publisher, 4)
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 4 == holder.version(PRODUCTION, "keyring"))


def test_what_is_held_is_not_fetched_again(start, holder, store, publisher):
    store.publish(publisher)
    start(("database", store))
    eventually(lambda: holder.version(PRODUCTION, "snapshot"))
    time.sleep(0.2)
    assert store.fetched == 2


def test_an_announcement_saves_the_interval(start, holder, store, publisher):
    refresher = start(("database", store), interval=60)
    eventually(refresher.in_contact)
    store.publish(publisher, 4)
    refresher.announce(PRODUCTION)
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 4)


def test_many_announcements_do_not_make_it_ask_without_end(start, store):
    asked: list[float] = []
    store.versions = lambda: asked.append(time.monotonic()) or {}
    refresher = start(("database", store), interval=60)
    eventually(lambda: asked)
    for _ in range(5):
        refresher.announce(PRODUCTION)
    eventually(lambda: len(asked) > 1)
    time.sleep(0.1)
    assert len(asked) <= 6


def test_a_revoked_key_stops_working(start, holder, store, publisher):
    store.publish(publisher)
    start(("database", store))
    eventually(lambda: holder.find_key(SERVER_KEY))
    store.put(PRODUCTION, "keyring", 2, publisher.keyring(2, keys=[]))
    eventually(lambda: holder.find_key(SERVER_KEY) is None)


def test_one_source_that_fails_does_not_matter_while_another_answers(start, holder, store, publisher):
    broken = MemoryStore()
    broken.failure = ValueError("odd")
    store.publish(publisher, 2)
    refresher = start(("redis", broken), ("database", store))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
    eventually(lambda: _status(refresher)["redis"]["status"] == "failing")
    assert _status(refresher)["redis"]["error"] == "ValueError"
    eventually(lambda: _status(refresher)["database"]["status"] == "ok")


def test_one_source_that_hangs_does_not_hold_up_another(start, holder, store, publisher):
    release = threading.Event()

    class Hanging(MemoryStore):
        def versions(self):
            release.wait(30)
            return {}

    try:
        refresher = start(("redis", Hanging()), ("database", store))
        store.publish(publisher, 2)
        eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
        eventually(lambda: _status(refresher)["redis"].get("error") == "no answer")
    finally:
        release.set()


def test_a_source_that_comes_back_is_used_again(start, holder, store, publisher, caplog):
    caplog.set_level(logging.INFO)
    store.failure = ConnectionError("postgres://user:hunter2@db.internal/flags is away")
    refresher = start(("database", store))
    eventually(lambda: _status(refresher)["database"]["status"] == "failing")
    time.sleep(0.3)
    store.failure = None
    store.publish(publisher)
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 1)
    eventually(lambda: _status(refresher)["database"]["status"] == "ok")
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("database")]
    assert len(told) == 2, "once when it failed, once when it came back"
    assert "hunter2" not in caplog.text


def test_the_status_tells_strangers_neither_addresses_nor_secrets(start, store):
    store.failure = ConnectionError("postgres://user:hunter2@db.internal/flags is away")
    refresher = start(("database", store))
    eventually(lambda: _status(refresher)["database"]["status"] == "failing")
    assert _status(refresher)["database"]["error"] == "no connection"


@pytest.mark.parametrize("wrong", ["foreign", "damaged", "other environment", "older than claimed"])
def test_what_cannot_be_verified_is_refused_and_the_old_stays(start, holder, store, publisher, wrong, caplog):
    store.publish(publisher, 5)
    start(("database", store))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 5)
    raw = {
        "foreign": Publisher().snapshot(6),
        "damaged": publisher.snapshot(6)[:-2],
        "other environment": publisher.snapshot(6, environment=STAGING),
        "older than claimed": publisher.snapshot(4),
    }[wrong]
    store.put(PRODUCTION, "snapshot", 6, raw)
    eventually(lambda: holder.environments()[PRODUCTION].refusal)
    time.sleep(0.2)
    assert holder.version(PRODUCTION, "snapshot") == 5
    assert sum("refused" in record.getMessage() for record in caplog.records) == 1, (
        "told once, not at every poll"
    )
    store.put(PRODUCTION, "snapshot", 7, publisher.snapshot(7))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 7)


def test_a_refused_document_is_not_fetched_at_every_poll(start, holder, store, publisher, monkeypatch):
    monkeypatch.setattr(refresher_module, "_REFUSED_AGAIN", 3600.0)
    store.put(PRODUCTION, "snapshot", 6, Publisher().snapshot(6))
    polls: list[int] = []
    versions = store.versions
    store.versions = lambda: polls.append(1) or versions()
    start(("database", store))
    eventually(lambda: len(polls) > 5)
    assert store.fetched == 1


@pytest.mark.parametrize("kind", ["snapshot", "keyring"])
def test_a_store_that_was_restored_from_a_backup_is_told_of(start, holder, store, publisher, kind, caplog):
    store.publish(publisher, 5)
    holder.accept(PRODUCTION, kind, getattr(publisher, kind)(9), source="last known good")
    refresher = start(("database", store))
    eventually(refresher.older)
    assert refresher.older() == {PRODUCTION: {kind: 5}}
    polls: list[int] = []
    versions = store.versions
    store.versions = lambda: polls.append(1) or versions()
    eventually(lambda: len(polls) > 3)
    told = [record.getMessage() for record in caplog.records if "manage.py recover" in record.getMessage()]
    assert len(told) == 1, "once, not at every poll"
    store.publish(publisher, 10)
    eventually(lambda: not refresher.older())
    assert holder.version(PRODUCTION, kind) == 10


def test_a_store_that_is_only_late_is_not_told_of(start, holder, store, publisher):
    store.publish(publisher, 9)
    late = MemoryStore()
    late.publish(publisher, 8)
    refresher = start(("database", store))
    eventually(lambda: holder.confirmed_age(PRODUCTION, "snapshot") is not None)
    second = start(("redis", late))
    eventually(second.in_contact)
    assert not refresher.older()


def test_a_store_that_names_ever_other_environments_is_not_remembered(start, holder, monkeypatch, publisher):
    monkeypatch.setattr(holder_module, "_MOST_REMEMBERED", 5)

    class Inventive(MemoryStore):
        named = 0

        def versions(self):
            self.named += 1
            self.documents = {(f"shop/e{self.named}", "snapshot"): (1, b"x")}
            return super().versions()

    store = Inventive()
    refresher = start(("redis", store))
    eventually(lambda: store.named > 20)
    assert len(holder.environments()) <= 5
    assert len(refresher._pollers[0]._refused) <= 2, "of this pass, and of the one before"
    assert holder.accept(PRODUCTION, "snapshot", publisher.snapshot(), source="test")


def test_a_store_s_odd_names_are_ignored(start, holder, store, publisher):
    store.put("../../etc", "snapshot", 9, b"x")
    store.publish(publisher)
    refresher = start(("database", store))
    eventually(refresher.published)
    assert set(holder.environments()) == {PRODUCTION} == refresher.published()


def test_an_older_store_is_no_confirmation(start, holder, store, publisher):
    store.publish(publisher, 5)
    older = MemoryStore()
    older.publish(publisher, 4)
    holder.accept(PRODUCTION, "snapshot", publisher.snapshot(5), source="test")
    refresher = start(("redis", older))
    eventually(refresher.in_contact)
    assert holder.confirmed_age(PRODUCTION, "snapshot") is None
    assert holder.version(PRODUCTION, "snapshot") == 5


def test_after_a_restart_without_any_store_the_last_known_good_serves(start, store, publisher, tmp_path):
    directory = DirectoryStore(tmp_path / "kept")
    store.publish(publisher, 8)
    first = start(("database", store), last_known_good=directory)
    eventually(lambda: directory.versions() == {PRODUCTION: (8, 8)})
    first.stop()

    store.failure = ConnectionError("away")
    holder = Holder(origin=ORIGIN, verify=[publisher.vkey])
    second = start(("database", store), holder=holder, last_known_good=directory)
    assert second.in_contact(), "before any store could answer"
    assert holder.find_key(SERVER_KEY)[1].version == 8


def test_the_last_known_good_is_a_floor(start, holder, store, publisher, tmp_path):
    directory = DirectoryStore(tmp_path / "kept")
    directory.put_snapshot(PRODUCTION, publisher.snapshot(8))
    store.publish(publisher, 7)
    refresher = start(("database", store), last_known_good=directory)
    eventually(lambda: holder.version(PRODUCTION, "keyring") == 7)
    assert holder.version(PRODUCTION, "snapshot") == 8
    assert refresher.in_contact()


def test_a_tampered_last_known_good_costs_one_environment_and_is_repaired(
    start, holder, store, publisher, tmp_path
):
    directory = DirectoryStore(tmp_path / "kept")
    directory.put_snapshot(PRODUCTION, Publisher().snapshot(999))
    directory.put_snapshot(STAGING, publisher.snapshot(3, environment=STAGING))
    start(("database", store), last_known_good=directory)
    assert holder.version(PRODUCTION, "snapshot") == 0
    assert holder.version(STAGING, "snapshot") == 3
    store.publish(publisher, 4)
    eventually(lambda: directory.versions()[PRODUCTION] == (4, 4))


def test_a_disk_that_cannot_be_written_fails_alone(start, holder, store, publisher, tmp_path):
    (tmp_path / "kept").write_bytes(b"a file where the directory should be")
    store.publish(publisher)
    refresher = start(("database", store), last_known_good=DirectoryStore(tmp_path / "kept"))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 1)
    eventually(lambda: _status(refresher)["last known good"]["status"] == "failing")
    eventually(lambda: _status(refresher)["database"]["status"] == "ok")


def test_stopping_ends_the_threads(start, store, tmp_path):
    refresher = start(("database", store), interval=60, last_known_good=DirectoryStore(tmp_path / "kept"))
    refresher.stop()
    assert not any(thread.is_alive() for thread in refresher._threads)


def test_redis_goes_and_comes_back(start, holder, publisher, redis_server):
    store = RedisStore(redis_server.url)
    refresher = start(("redis", store), announcer=store, interval=60)
    eventually(lambda: _status(refresher)["announcements"]["status"] == "ok")
    store.put_keyring(PRODUCTION, 1, publisher.keyring())
    store.put_snapshot(PRODUCTION, 1, publisher.snapshot())
    store.announce(PRODUCTION)
    eventually(lambda: holder.find_key(SERVER_KEY) and holder.find_key(SERVER_KEY)[1])

    redis_server.stop()
    eventually(lambda: _status(refresher)["announcements"]["status"] == "failing")
    refresher.announce(PRODUCTION)
    eventually(lambda: _status(refresher)["redis"]["status"] == "failing")
    assert holder.find_key(SERVER_KEY)[1].version == 1

    redis_server.start()
    store.put_keyring(PRODUCTION, 2, publisher.keyring(2, keys=[(hash_of("new"), "k3", "server")]))
    eventually(lambda: holder.find_key("new"))
    assert holder.find_key(SERVER_KEY) is None
    eventually(lambda: {status["status"] for status in _status(refresher).values()} == {"ok"})


def test_a_redis_that_freezes_is_noticed_and_forgiven(start, holder, publisher, redis_server):
    store = RedisStore(redis_server.url)
    store.put_keyring(PRODUCTION, 1, publisher.keyring())
    store.put_snapshot(PRODUCTION, 1, publisher.snapshot())
    refresher = start(("redis", store))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 1)
    redis_server.signal(signal.SIGSTOP)
    try:
        eventually(lambda: _status(refresher)["redis"]["status"] == "failing")
        assert _status(refresher)["redis"]["error"] == "no answer in time"
        assert holder.find_key(SERVER_KEY)
    finally:
        redis_server.signal(signal.SIGCONT)
    store.put_snapshot(PRODUCTION, 2, publisher.snapshot(2))
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)


def test_a_redis_that_is_emptied_is_not_missed(start, holder, store, publisher, redis_server):
    redis = RedisStore(redis_server.url)
    redis.put_keyring(PRODUCTION, 1, publisher.keyring())
    redis.put_snapshot(PRODUCTION, 1, publisher.snapshot())
    store.publish(publisher)
    refresher = start(("redis", redis), ("database", store))
    eventually(lambda: holder.find_key(SERVER_KEY) and holder.find_key(SERVER_KEY)[1])
    with client.Redis.from_url(redis_server.url) as connection:
        connection.flushall()
    refresher.announce(PRODUCTION)
    # Who starts now finds it in the database; who held it keeps it, and hears of the next one.
    anew = Holder(origin=ORIGIN, verify=[publisher.vkey])
    start(("redis", redis), ("database", store), holder=anew)
    eventually(lambda: anew.version(PRODUCTION, "snapshot") == 1)
    assert holder.find_key(SERVER_KEY)[1].version == 1
    store.publish(publisher, 2)
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2 == anew.version(PRODUCTION, "snapshot"))
    assert {status["status"] for status in _status(refresher).values()} == {"ok"}
