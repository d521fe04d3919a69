"""GET /sdk/v1/snapshot: the published bytes to those who may have them."""

import asyncio

import pytest

from .client import Client
from .conftest import eventually
from .publisher import CLIENT_KEY, PRODUCTION, SERVER_KEY, STAGING

PATH = "/sdk/v1/snapshot"


def test_a_server_key_gets_the_bytes_as_published(server, store):
    reply = server.get(PATH)
    assert reply.status == 200
    assert reply.body == store.get_snapshot(PRODUCTION)
    assert reply.headers["content-type"] == "application/vnd.countersign.snapshot"
    assert reply.headers["content-length"] == str(len(reply.body))
    assert reply.headers["cache-control"] == "private, no-cache"
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["etag"].startswith('"1-')


def test_head_tells_the_same_without_the_bytes(server):
    reply = server.request("HEAD", PATH)
    whole = server.get(PATH)
    assert (reply.status, reply.headers, reply.body) == (200, whole.headers, b"")


@pytest.mark.parametrize("form", ["{}", "W/{}", '"1-other", {}', '"a,b" , W/{} ,"z"', "*", " * "])
def test_who_has_it_already_gets_304(server, form):
    etag = server.get(PATH).headers["etag"]
    reply = server.get(PATH, if_none_match=form.format(etag))
    assert (reply.status, reply.body) == (304, b"")
    assert reply.headers["etag"] == etag
    assert "content-type" not in reply.headers


@pytest.mark.parametrize("form", ['"1-0000000000000000"', "garbage", "", '"', "**"])
def test_who_has_another_one_gets_it(server, form):
    assert server.get(PATH, if_none_match=form).status == 200


def test_a_new_version_has_a_new_etag(server, store, publisher, holder):
    etag = server.get(PATH).headers["etag"]
    store.publish(publisher, 2)
    eventually(lambda: holder.version(PRODUCTION, "snapshot") == 2)
    assert server.get(PATH, if_none_match=etag).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {SERVER_KEY}"},
        {"authorization": f"Bearer {SERVER_KEY} x"},
        {"authorization": f"Bearer {SERVER_KEY}x"},
        {"authorization": "Bearer \xff\xfe"},
        {"authorization": "Bearer " + "x" * 100_000},
        {"x-api-key": SERVER_KEY},
    ],
)
def test_without_a_known_key_401(serving, headers):
    reply = Client(serving).request("GET", PATH, headers=headers)
    assert reply.status == 401
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json["status"] == 401
    assert reply.json["detail"].startswith("SDK key:")


def test_two_authorization_fields_are_garbled(serving):
    fields = [("authorization", f"Bearer {SERVER_KEY}"), ("authorization", f"Bearer {CLIENT_KEY}")]
    assert Client(serving).request("GET", PATH, headers=fields).status == 401


def test_the_scheme_is_read_in_any_case(serving):
    assert Client(serving).get(PATH, authorization=f"bEARER  {SERVER_KEY}").status == 200


def test_a_client_side_key_is_told_why_not(browser):
    reply = browser.get(PATH)
    assert reply.status == 403
    assert "client-side key" in reply.json["detail"]
    assert "/ofrep/v1/evaluate/flags" in reply.json["detail"]


def test_a_revoked_key_gets_401(server, store, publisher):
    store.put(PRODUCTION, "keyring", 2, publisher.keyring(2, keys=[]))
    eventually(lambda: server.get(PATH).status == 401)


def test_before_the_first_snapshot_503(plane, store, publisher):
    store.put(PRODUCTION, "keyring", 1, publisher.keyring())
    plane.start()
    eventually(plane.refresher.in_contact)
    reply = Client(plane, SERVER_KEY).get(PATH)
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    assert PRODUCTION in reply.json["detail"]


def test_before_any_contact_a_key_is_not_called_unknown(plane):
    reply = Client(plane, SERVER_KEY).get(PATH)
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0
    assert Client(plane).get(PATH).status == 401


def test_each_key_gets_its_own_environment(serving, store, publisher, holder):
    store.publish(publisher, 3, environment=STAGING, keys=[("0" * 64, "k", "server")])
    eventually(lambda: holder.version(STAGING, "snapshot") == 3)
    assert Client(serving, SERVER_KEY).get(PATH).body == store.get_snapshot(PRODUCTION)


def test_all_stores_away_and_the_thread_stopped_it_still_answers(server, store, plane):
    store.failure = ConnectionError("away")
    plane.stop()
    assert server.get(PATH).status == 200
    assert server.evaluate("limit").json["value"] == 3


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_refused_with_allow(server, method):
    reply = server.request(method, PATH)
    assert reply.status == 405
    assert reply.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/sdk/", "/sdk/v2/snapshot", "/sdk/v1/snapshot/", "/ofrep/", "/ofrep/v1/evaluate/flags/"]
)
def test_unknown_paths_of_ours_are_problems(server, path):
    reply = server.get(path)
    assert reply.status == 404
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/admin/", "/api/v1/flags", "/sdk", "/livez/", "/metrics"])
def test_everything_else_is_passed_on(server, path):
    reply = server.get(path)
    assert (reply.status, reply.body) == (299, f"http {path}".encode())


@pytest.mark.parametrize("kind", ["lifespan", "websocket"])
def test_so_are_lifespan_and_websockets(plane, kind):
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(plane({"type": kind, "path": PATH}, None, send))
    assert sent[1]["body"].startswith(kind.encode())


def test_a_client_that_left_before_the_answer_is_no_error(serving, caplog):
    async def send(message):
        raise OSError("connection closed")

    scope = {"type": "http", "method": "GET", "path": PATH, "headers": []}
    asyncio.run(serving(scope, None, send))
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
