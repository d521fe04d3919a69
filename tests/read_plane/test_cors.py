"""Pages of other origins: allowed by the key they present, and by nothing else."""

import pytest

from .client import Client
from .conftest import eventually
from .publisher import CLIENT_KEY, KEYS, PRODUCTION, SERVER_KEY, STAGING

BULK = "/ofrep/v1/evaluate/flags"
APP = "https://app.example.com"
OTHER = "https://other.example.com"


@pytest.fixture
def opened(serving, store, publisher, holder):
    """The client-side key of production is opened to pages of APP, one of staging to pages of OTHER."""
    store.put(PRODUCTION, "keyring", 2, publisher.keyring(2, origins={"key-2": [APP]}))
    store.publish(publisher, 1, environment=STAGING, keys=[("f" * 64, "key-9", "client")])
    store.put(
        STAGING,
        "keyring",
        2,
        publisher.keyring(
            2, environment=STAGING, keys=[("f" * 64, "key-9", "client")], origins={"key-9": [OTHER]}
        ),
    )
    eventually(lambda: holder.allows(APP) and holder.allows(OTHER))
    return serving


def preflight(app, origin, path=BULK):
    fields = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,if-none-match",
    }
    return Client(app).request("OPTIONS", path, headers=fields)


def cors(reply):
    return {name for name in reply.headers if name.startswith("access-control-")}


@pytest.mark.parametrize("path", [BULK, f"{BULK}/banner"])
@pytest.mark.parametrize("origin", [APP, OTHER])
def test_a_preflight_passes_where_any_client_side_key_allows_the_origin(opened, path, origin):
    reply = preflight(opened, origin, path)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers["access-control-allow-origin"] == origin
    assert reply.headers["access-control-allow-methods"] == "POST"
    allowed = reply.headers["access-control-allow-headers"].lower().split(", ")
    assert set(allowed) == {"authorization", "x-api-key", "content-type", "if-none-match"}
    assert int(reply.headers["access-control-max-age"]) > 0
    assert reply.headers["vary"] == "Origin"
    assert "content-length" not in reply.headers


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://app.example.com", f"{APP}:8443", f"{APP}.evil.example", "null", "*", ""],
)
def test_a_preflight_of_any_other_origin_is_refused_and_says_what_to_do(opened, origin):
    reply = preflight(opened, origin)
    assert reply.status == 403
    assert not cors(reply)
    assert "allowed origins" in reply.json["errorDetails"]


def test_without_any_origin_listed_nothing_is_allowed(serving, browser):
    assert preflight(serving, APP).status == 403
    reply = browser.post(BULK, {}, origin=APP)
    assert (reply.status, cors(reply)) == (200, set())


def test_the_answer_may_be_read_by_pages_that_the_key_allows(opened):
    reply = Client(opened, CLIENT_KEY).post(BULK, {}, origin=APP)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == APP
    assert reply.headers["access-control-expose-headers"] == "ETag, Retry-After"
    assert "Origin" in reply.headers["vary"].split(", ")
    again = Client(opened, CLIENT_KEY).post(BULK, {}, origin=APP, if_none_match=reply.headers["etag"])
    assert (again.status, again.headers["access-control-allow-origin"]) == (304, APP)


def test_an_origin_of_another_key_does_not_count(opened):
    reply = Client(opened, CLIENT_KEY).post(BULK, {}, origin=OTHER)
    assert (reply.status, cors(reply)) == (200, set())
    assert "Origin" in reply.headers["vary"].split(", ")


def test_a_server_side_key_is_for_no_page_at_all(opened):
    reply = Client(opened, SERVER_KEY).post(BULK, {}, origin=APP)
    assert (reply.status, cors(reply)) == (200, set())


def test_errors_can_be_read_too(opened):
    client = Client(opened, CLIENT_KEY)
    for reply in (
        client.post(f"{BULK}/limit", {}, origin=APP),
        client.post(BULK, b"{", origin=APP),
        client.post(BULK, {}, origin=APP, content_type="text/plain"),
    ):
        assert reply.status in (400, 404, 415)
        assert reply.headers["access-control-allow-origin"] == APP


def test_a_page_learns_that_its_key_was_revoked(opened, store, publisher, holder):
    store.put(PRODUCTION, "keyring", 3, publisher.keyring(3, keys=KEYS[:1]))
    eventually(lambda: holder.version(PRODUCTION, "keyring") == 3)
    assert not holder.allows(APP)
    reply = Client(opened, CLIENT_KEY).post(BULK, {}, origin=OTHER)
    assert (reply.status, reply.headers["access-control-allow-origin"]) == (401, OTHER)
    assert not cors(Client(opened, CLIENT_KEY).post(BULK, {}, origin=APP))


def test_a_key_for_every_origin_answers_each_by_its_name(opened, store, publisher, holder):
    store.put(PRODUCTION, "keyring", 3, publisher.keyring(3, origins={"key-2": ["*"]}))
    eventually(lambda: holder.version(PRODUCTION, "keyring") == 3)
    origin = "https://anything.example"
    assert preflight(opened, origin).headers["access-control-allow-origin"] == origin
    reply = Client(opened, CLIENT_KEY).post(BULK, {}, origin=origin)
    assert reply.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in reply.headers


def test_outside_of_a_browser_nothing_is_added(opened):
    assert not cors(Client(opened, CLIENT_KEY).post(BULK, {}))


@pytest.mark.parametrize("path", ["/sdk/v1/snapshot", "/livez", "/readyz"])
def test_what_is_not_for_browsers_has_no_preflight(opened, path):
    reply = preflight(opened, APP, path)
    assert (reply.status, cors(reply)) == (405, set())
    reply = Client(opened, SERVER_KEY).get(path, origin=APP)
    assert (reply.status, cors(reply)) == (200, set())
