"""/livez and /readyz: whether it runs, whether it can serve, and what is wrong."""

import pytest

from .client import Client
from .conftest import eventually
from .publisher import PRODUCTION, STAGING, Publisher


@pytest.fixture
def operator(plane):
    """Somebody without any key."""
    return Client(plane)


def test_live_means_running(operator):
    reply = operator.get("/livez")
    assert (reply.status, reply.json) == (200, {"status": "ok"})


def test_not_ready_before_any_contact(operator):
    reply = operator.get("/readyz")
    assert reply.status == 503
    assert reply.json["status"] == "starting"
    assert reply.json["dependencies"][0]["status"] == "starting"


def test_not_ready_while_no_store_answers(operator, plane, store):
    store.failure = ConnectionError("away")
    plane.start()
    eventually(lambda: operator.get("/readyz").json["dependencies"][0]["status"] == "failing")
    reply = operator.get("/readyz")
    assert reply.status == 503
    assert reply.json["dependencies"][0]["error"] == "no connection"
    assert reply.json["dependencies"][0]["since"].endswith("Z")


def test_ready_when_no_environment_exists_yet(operator, plane):
    plane.start()
    eventually(lambda: operator.get("/readyz").status == 200)
    assert operator.get("/readyz").json["environments"] == {}


def test_ready_names_each_environment_with_version_and_age(operator, serving):
    eventually(
        lambda: operator.get("/readyz").json["environments"][PRODUCTION]["confirmed_seconds_ago"] is not None
    )
    document = operator.get("/readyz").json
    assert document["status"] == "ok"
    environment = document["environments"][PRODUCTION]
    assert (environment["snapshot"], environment["keyring"]) == (1, 1)
    assert 0 <= environment["age_seconds"] < 60
    assert 0 <= environment["confirmed_seconds_ago"] < 60


def test_an_environment_without_a_published_snapshot_is_not_waited_for(operator, serving, store, publisher):
    store.put(STAGING, "keyring", 1, publisher.keyring(environment=STAGING, keys=[]))
    eventually(lambda: STAGING in operator.get("/readyz").json["environments"])
    assert operator.get("/readyz").json["status"] == "ok"


def test_a_failing_store_degrades_but_serves(operator, serving, store):
    store.failure = ConnectionError("away")
    eventually(lambda: operator.get("/readyz").json["status"] == "degraded")
    assert operator.get("/readyz").status == 200


def test_one_environment_that_cannot_be_loaded_does_not_take_the_others_down(operator, serving, store):
    store.put(STAGING, "snapshot", 1, Publisher().snapshot(environment=STAGING))
    eventually(lambda: operator.get("/readyz").json["status"] == "degraded")
    reply = operator.get("/readyz")
    assert reply.status == 200
    assert reply.json["environments"][STAGING]["refused"]["what"] == "snapshot"
    assert reply.json["environments"][STAGING]["refused"]["from"] == "database"


def test_a_store_restored_from_a_backup_degrades_and_is_named(operator, plane, store, publisher):
    store.publish(publisher, 5)
    for kind in ("snapshot", "keyring"):
        plane.holder.accept(PRODUCTION, kind, getattr(publisher, kind)(9), source="last known good")
    plane.start()
    eventually(lambda: operator.get("/readyz").json["status"] == "degraded")
    reply = operator.get("/readyz")
    assert reply.status == 200
    assert reply.json["environments"][PRODUCTION]["older_in_store"] == {"snapshot": 5, "keyring": 5}


def test_when_nothing_published_can_be_loaded_it_is_not_ready(operator, plane, store):
    store.put(PRODUCTION, "snapshot", 1, Publisher().snapshot())
    plane.start()
    eventually(plane.refresher.in_contact)
    reply = operator.get("/readyz")
    assert (reply.status, reply.json["status"]) == (503, "unavailable")


def test_only_reading_is_allowed(operator):
    for path in ("/livez", "/readyz"):
        reply = operator.request("POST", path)
        assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
        assert operator.request("HEAD", path).body == b""
