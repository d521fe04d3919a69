"""Rate limits: a bucket for each key and address, 429 with whole seconds, and no limit that hurts polling."""

import pytest

from config.checks import rates_are_numbers
from distribution.read_plane import ReadPlane, limits
from distribution.read_plane.limits import Buckets, Rates
from distribution.read_plane.refresher import Refresher

from .client import Client
from .conftest import eventually
from .publisher import CLIENT_KEY, SERVER_KEY

BULK = "/ofrep/v1/evaluate/flags"
SNAPSHOT = "/sdk/v1/snapshot"


class Clock:
    """The one thing that is not real here: time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(limits, "time", made)
    return made


@pytest.fixture
def limited(holder, store, publisher, clock):
    """A read plane with 2 requests a second for a key, and 10 for an address."""
    made = []

    def build(**rates):
        plane = ReadPlane(
            holder,
            Refresher(holder, [("database", store)], interval=0.02),
            next_app=None,
            rates=Rates(**{"key": 2, "address": 10, **rates}),
        )
        store.publish(publisher)
        plane.start()
        eventually(plane.refresher.in_contact)
        made.append(plane)
        return plane

    yield build
    for plane in made:
        plane.stop()


def ask(plane, key, *, address="192.0.2.1", path=BULK, method="POST", forwarded=None, **headers):
    async def app(scope, receive, send):
        scope["client"] = (address, 50000)
        await plane(scope, receive, send)

    client = Client(app, key)
    if forwarded:
        headers["x_forwarded_for"] = forwarded
    return client.post(path, {}, **headers) if method == "POST" else client.get(path, **headers)


def test_a_bucket_holds_two_seconds_worth_and_fills_up_again(clock):
    buckets = Buckets(5)
    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") == pytest.approx(0.2)
    assert buckets.take("b") == 0
    clock.now += 0.2
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    clock.now += 3600
    assert [buckets.take("a") for _ in range(10)] == [0.0] * 10
    assert buckets.take("a") > 0


def test_what_is_refused_costs_nothing(clock):
    buckets = Buckets(1)
    for _ in range(100):
        waiting = buckets.take("a")
    clock.now += waiting
    assert buckets.take("a") == 0


def test_however_many_names_there_are_memory_is_bounded(clock, monkeypatch):
    monkeypatch.setattr(limits, "_MOST", 100)
    buckets = Buckets(1)
    for number in range(1000):
        buckets.take(str(number))
        assert len(buckets._full_at) + len(buckets._earlier) <= 200
    assert buckets.take("999") == 0
    assert buckets.take("999") > 0, "who came lately is still known"


@pytest.mark.parametrize("path", [BULK, f"{BULK}/banner"])
def test_too_many_requests_with_a_key_are_429_in_the_protocol_s_form(limited, clock, path):
    plane = limited()
    assert [ask(plane, SERVER_KEY, path=path).status for _ in range(4)] == [200] * 4
    reply = ask(plane, SERVER_KEY, path=path)
    assert (reply.status, reply.json["errorCode"]) == (429, "GENERAL")
    assert "key-1" in reply.json["errorDetails"]
    assert SERVER_KEY not in reply.body.decode()
    assert reply.headers["retry-after"] == "1"
    clock.now += int(reply.headers["retry-after"])
    assert ask(plane, SERVER_KEY, path=path).status == 200


def test_one_key_does_not_use_up_another_s(limited):
    plane = limited()
    while ask(plane, SERVER_KEY).status == 200:
        pass
    assert ask(plane, CLIENT_KEY).status == 200


def test_a_client_side_key_is_limited_for_each_address_because_strangers_know_it(limited):
    plane = limited()
    assert [ask(plane, CLIENT_KEY).status for _ in range(21)] == [200] * 20 + [429]
    assert ask(plane, CLIENT_KEY, address="192.0.2.2").status == 200


def test_addresses_of_one_ipv6_network_count_as_one(limited):
    plane = limited()
    replies = [ask(plane, CLIENT_KEY, address=f"2001:db8:0:1::{number:x}").status for number in range(21)]
    assert replies == [200] * 20 + [429]
    assert ask(plane, CLIENT_KEY, address="2001:db8:0:2::1").status == 200


def test_an_ipv4_address_is_its_own_however_it_is_written(limited):
    plane = limited(behind_proxy=True)
    assert [ask(plane, CLIENT_KEY, address="::ffff:192.0.2.1").status for _ in range(21)][-2:] == [200, 429]
    assert ask(plane, CLIENT_KEY, address="::ffff:192.0.2.2").status == 200
    replies = [ask(plane, CLIENT_KEY, forwarded=f"198.51.100.7:{port}").status for port in range(1000, 1021)]
    assert replies == [200] * 20 + [429]


def test_behind_a_proxy_the_address_is_the_one_that_the_proxy_saw(limited):
    plane = limited(behind_proxy=True)
    for number in range(20):
        assert ask(plane, CLIENT_KEY, forwarded=f"10.9.9.{number}, 198.51.100.7").status == 200
    assert ask(plane, CLIENT_KEY, forwarded="10.1.1.1, 198.51.100.7").status == 429
    assert ask(plane, CLIENT_KEY, forwarded="198.51.100.8").status == 200


def test_without_a_proxy_nobody_chooses_an_address_by_a_header(limited):
    plane = limited()
    replies = [ask(plane, CLIENT_KEY, forwarded=f"198.51.100.{number}").status for number in range(21)]
    assert replies == [200] * 20 + [429]


@pytest.mark.parametrize("key", [None, "cs_server_guess"])
@pytest.mark.parametrize("path", [BULK, SNAPSHOT])
def test_guessing_keys_is_slowed_for_each_address(limited, clock, key, path):
    plane = limited()
    method = "POST" if path == BULK else "GET"
    guesses = [ask(plane, key, path=path, method=method).status for _ in range(4)]
    assert guesses == [401, 401, 429, 429]
    reply = ask(plane, key, path=path, method=method)
    assert int(reply.headers["retry-after"]) == 1
    assert ask(plane, key, path=path, method=method, address="192.0.2.2").status == 401
    assert ask(plane, SERVER_KEY).status == 200, "who has a key is not hurt by a neighbour that guesses"
    clock.now += 1
    assert ask(plane, key, path=path, method=method).status == 401


def test_polling_a_snapshot_is_never_limited(limited, store, publisher, holder):
    plane = limited()
    etag = ask(plane, SERVER_KEY, path=SNAPSHOT, method="GET").headers["etag"]
    for _ in range(50):
        assert ask(plane, SERVER_KEY, path=SNAPSHOT, method="GET", if_none_match=etag).status == 304
    store.publish(publisher, 2)
    eventually(lambda: holder.version("shop/production", "snapshot") == 2)
    for _ in range(50):  # as many processes as share the key fetch a new version at once
        assert ask(plane, SERVER_KEY, path=SNAPSHOT, method="GET", if_none_match=etag).status == 200


def test_fetching_a_snapshot_again_and_again_without_asking_whether_it_is_new_is_limited(limited):
    plane = limited()
    replies = [ask(plane, SERVER_KEY, path=SNAPSHOT, method="GET") for _ in range(5)]
    assert [reply.status for reply in replies] == [200] * 4 + [429]
    assert replies[-1].headers["content-type"] == "application/problem+json"
    assert replies[-1].headers["retry-after"] == "1"


def test_a_rate_of_nothing_is_no_limit(limited):
    plane = limited(key=0, address=0)
    assert {ask(plane, SERVER_KEY).status for _ in range(50)} == {200}
    assert {ask(plane, CLIENT_KEY).status for _ in range(50)} == {200}
    assert {ask(plane, "guess").status for _ in range(50)} == {401}


@pytest.mark.parametrize("text", ["", "many", "-1", "1.5", "1000001", "99999999999999999999", "\u0663"])
def test_a_rate_that_is_no_number_is_said_by_a_check(settings, text):
    assert rates_are_numbers() == []
    settings.KEY_RATE = text
    [message] = rates_are_numbers()
    assert (message.id, "COUNTERSIGN_KEY_RATE" in message.msg) == ("config.E008", True)


def test_health_is_never_limited(limited):
    plane = limited()
    assert {ask(plane, None, path="/readyz", method="GET").status for _ in range(50)} == {200}
