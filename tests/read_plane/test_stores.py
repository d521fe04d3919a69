"""What every store must do: one suite, run for each of them."""

import pytest

from distribution.read_plane.directory_store import DirectoryStore
from distribution.read_plane.redis_store import RedisStore

from .publisher import PRODUCTION, STAGING, MemoryStore


class _Directory(DirectoryStore):
    def put(self, environment, kind, version, raw):
        (self.put_snapshot if kind == "snapshot" else self.put_keyring)(environment, raw)


class _Redis(RedisStore):
    def put(self, environment, kind, version, raw):
        (self.put_snapshot if kind == "snapshot" else self.put_keyring)(environment, version, raw)


@pytest.fixture(params=["memory", "directory", "redis"])
def any_store(request, tmp_path):
    if request.param == "memory":
        yield MemoryStore()
    elif request.param == "directory":
        yield _Directory(tmp_path / "kept")
    else:
        store = _Redis(request.getfixturevalue("redis_server").url)
        yield store
        store.close()


def test_an_empty_store_answers_that_it_has_nothing(any_store):
    assert dict(any_store.versions()) == {}
    assert any_store.get_snapshot(PRODUCTION) is None
    assert any_store.get_keyring(PRODUCTION) is None


def test_documents_come_back_byte_for_byte(any_store, publisher):
    snapshot, keyring = publisher.snapshot(5), publisher.keyring(2)
    any_store.put(PRODUCTION, "snapshot", 5, snapshot)
    any_store.put(PRODUCTION, "keyring", 2, keyring)
    assert any_store.get_snapshot(PRODUCTION) == snapshot
    assert any_store.get_keyring(PRODUCTION) == keyring
    assert dict(any_store.versions()) == {PRODUCTION: (5, 2)}


def test_what_is_missing_has_version_zero(any_store, publisher):
    any_store.put(PRODUCTION, "snapshot", 5, publisher.snapshot(5))
    any_store.put(STAGING, "keyring", 2, publisher.keyring(2, environment=STAGING))
    assert dict(any_store.versions()) == {PRODUCTION: (5, 0), STAGING: (0, 2)}
    assert any_store.get_keyring(PRODUCTION) is None
    assert any_store.get_snapshot(STAGING) is None


def test_newer_takes_the_place_of_older(any_store, publisher):
    for version in (5, 6):
        any_store.put(PRODUCTION, "snapshot", version, publisher.snapshot(version))
    assert dict(any_store.versions()) == {PRODUCTION: (6, 0)}
    assert b"version 6\n" in any_store.get_snapshot(PRODUCTION)


def test_keys_with_dots_dashes_and_full_length_are_names_too(any_store, publisher):
    name = "A1._-" + "x" * 123 + "/" + "9.snapshot"
    any_store.put(name, "snapshot", 1, publisher.snapshot(environment=name))
    assert dict(any_store.versions()) == {name: (1, 0)}
