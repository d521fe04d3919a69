"""Redis: versions never go back, announcements arrive, and a Redis that is away or silent is soon known."""

import socket
import threading

import pytest
import redis

from distribution.read_plane.redis_store import CHANNEL, RedisStore

from .conftest import eventually, free_port
from .publisher import PRODUCTION, STAGING


@pytest.fixture
def store(redis_server):
    made = RedisStore(redis_server.url)
    yield made
    made.close()


def test_an_older_document_does_not_replace_a_newer_one(store):
    assert store.put_snapshot(PRODUCTION, 10, b"ten")
    assert not store.put_snapshot(PRODUCTION, 9, b"nine")
    assert store.get_snapshot(PRODUCTION) == b"ten"
    assert store.versions() == {PRODUCTION: (10, 0)}


def test_versions_are_compared_as_numbers(store):
    store.put_keyring(PRODUCTION, 9, b"nine")
    assert store.put_keyring(PRODUCTION, 10, b"ten")
    assert store.versions() == {PRODUCTION: (0, 10)}


def test_publishing_the_same_version_again_repairs_a_lost_document(store, redis_server):
    store.put_snapshot(PRODUCTION, 3, b"three")
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.delete(f"countersign:snapshot:{PRODUCTION}")
    assert store.put_snapshot(PRODUCTION, 3, b"three")
    assert store.get_snapshot(PRODUCTION) == b"three"


def test_of_many_publishers_at_once_the_newest_wins(store):
    versions = [(number * 37) % 101 for number in range(101)]

    def publish(part):
        for version in part:
            store.put_snapshot(PRODUCTION, version, str(version).encode())

    threads = [threading.Thread(target=publish, args=(versions[start::4],)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.versions()[PRODUCTION][0] == 100
    assert store.get_snapshot(PRODUCTION) == b"100"


def test_rubbish_among_the_versions_is_left_out(store, redis_server):
    store.put_snapshot(PRODUCTION, 3, b"three")
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.hset("countersign:versions", mapping={"snapshot:a/b": "x", "other:a/c": "1", b"\xff": "2"})
    assert {name: pair for name, pair in store.versions().items() if pair != (0, 0)} == {PRODUCTION: (3, 0)}


def test_announcements_are_heard_and_unreadable_ones_mean_look_at_everything(store, redis_server):
    heard: list[str | None] = []
    stop = threading.Event()
    thread = threading.Thread(target=store.listen, args=(heard.append, stop))
    thread.start()
    try:
        eventually(lambda: heard == [None])
        store.put_snapshot(STAGING, 4, b"four")
        store.announce(STAGING)
        eventually(lambda: heard == [None, STAGING])
        with redis.Redis.from_url(redis_server.url) as connection:
            for rubbish in (b"\xff", b"[]", b'{"environment":3}'):
                connection.publish(CHANNEL, rubbish)
        eventually(lambda: heard == [None, STAGING, None, None, None])
    finally:
        stop.set()
        thread.join(5)
    assert not thread.is_alive()


def test_an_announcement_names_the_versions(store, redis_server):
    store.put_snapshot(STAGING, 4, b"four")
    store.put_keyring(STAGING, 2, b"two")
    with redis.Redis.from_url(redis_server.url) as connection, connection.pubsub() as subscription:
        subscription.subscribe(CHANNEL)
        assert subscription.get_message(timeout=5)["type"] == "subscribe"
        store.announce(STAGING)
        message = subscription.get_message(timeout=5)
    assert message["data"] == b'{"environment": "shop/staging", "snapshot": 4, "keyring": 2}'


def test_a_redis_that_is_away_is_known_at_once():
    with pytest.raises(redis.ConnectionError):
        RedisStore(f"redis://127.0.0.1:{free_port()}/0").versions()


def test_a_redis_that_accepts_and_stays_silent_is_given_up():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        store = RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        with pytest.raises(redis.TimeoutError):
            store.versions()
