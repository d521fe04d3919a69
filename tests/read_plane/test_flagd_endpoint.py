"""GET /flagd/v1/flags: flag definitions from memory, to those who may have the rules."""

import pytest

from countersign.flagd import export
from countersign.snapshot import Snapshot

from .client import Client
from .conftest import eventually
from .publisher import PRODUCTION, SERVER_KEY

PATH = "/flagd/v1/flags"


def served(store) -> Snapshot:
    return Snapshot.parse(store.get_snapshot(PRODUCTION))


def test_a_server_key_gets_the_definitions_of_its_environment(server, store):
    reply = server.get(PATH)
    assert reply.status == 200
    assert reply.body == export(served(store)).document
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "private, no-cache"
    assert reply.json["metadata"]["environment"] == PRODUCTION
    assert "limit" in reply.json["flags"]
    assert "unreadable" not in reply.json["flags"]
    assert "unreadable" in reply.json["metadata"]["left_out"]


def test_a_client_names_its_hash(server, store):
    reply = server.get(f"{PATH}?hash=murmur3-cbor")
    assert reply.body == export(served(store), "murmur3-cbor").document
    assert reply.headers["etag"] != server.get(PATH).headers["etag"]


def test_another_hash_is_refused_by_name(server):
    reply = server.get(f"{PATH}?hash=unleash")
    assert reply.status == 400
    assert reply.json["detail"].startswith("hash: 'unleash'")


def test_who_has_it_already_gets_304(server):
    etag = server.get(PATH).headers["etag"]
    reply = server.get(PATH, if_none_match=etag)
    assert (reply.status, reply.body, reply.headers["etag"]) == (304, b"", etag)


def test_a_new_version_has_a_new_etag(server, store, publisher, holder):
    etag = server.get(PATH).headers["etag"]
    store.publish(publisher, 2)
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
    reply = server.get(PATH, if_none_match=etag)
    assert reply.status == 200
    assert reply.json["metadata"]["snapshot_version"] == 2


def test_a_client_side_key_is_told_why_not(browser):
    reply = browser.get(PATH)
    assert reply.status == 403
    assert "client-side key" in reply.json["detail"]


@pytest.mark.parametrize("key", [None, SERVER_KEY + "x"])
def test_without_a_known_key_401(serving, key):
    assert Client(serving, key).get(PATH).status == 401


def test_all_stores_away_and_the_thread_stopped_it_still_answers(server, store, plane):
    store.failure = ConnectionError("away")
    plane.stop()
    assert server.get(PATH).status == 200


def test_other_methods_are_refused_with_allow(server):
    assert server.request("POST", PATH).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/flagd/", "/flagd/v1/flags/", "/flagd/v2/flags"])
def test_unknown_paths_are_problems(server, path):
    assert server.get(path).status == 404
