"""How often the API may be asked, and what the ledger hears of those who are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client

from access import refusals
from access.api.rates import Rates, rates
from access.models import ApiToken, Refusals
from access.permissions import system_actor
from access.tasks import record_refusals
from audit.models import Event
from tests.api.conftest import Api


@pytest.fixture(autouse=True)
def nothing_counted_yet() -> None:
    refusals._counted.clear()
    rates.cache_clear()


def unknown() -> dict[str, str]:
    return {"Authorization": f"Bearer {ApiToken.new_secret()}"}


def test_a_token_is_told_to_wait_and_others_are_not(api: Api, settings: Any) -> None:
    api.token("author"), api.token("viewer")
    settings.API_RATE = 1
    answers = [api.get("author", "me") for _ in range(3)]
    assert [each.status for each in answers] == [200, 200, 429]
    assert answers[-1].body["type"] == "/api/problems/throttled"
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 2
    elsewhere = Client(REMOTE_ADDR="192.0.2.1", headers={"Authorization": f"Bearer {api.token('author')}"})
    assert elsewhere.get("/api/v1/me").status_code == 429, "the token, from wherever it comes"
    assert api.get("viewer", "me").status == 200


def test_an_address_that_guesses_is_not_looked_at_any_more(api: Api, settings: Any) -> None:
    api.token("author")
    settings.API_RATE = 10
    answers = [api.get(None, "me", **unknown()).status for _ in range(4)]
    assert answers == [401, 401, 429, 429]
    assert api.get("author", "me").status == 429, "nor is what might be a right guess"
    elsewhere = Client(REMOTE_ADDR="192.0.2.1", headers={"Authorization": f"Bearer {api.token('author')}"})
    assert elsewhere.get("/api/v1/me").status_code == 200


def test_addresses_do_not_fill_the_memory() -> None:
    limits = Rates(10)
    for number in range(50_000):
        limits._unknown.take(str(number))
    assert len(limits._unknown._full_at) + len(limits._unknown._earlier) <= 40_000


def test_refused_access_is_told_in_sums_and_never_more_than_one_event_a_kind(api: Api) -> None:
    for _ in range(30):
        assert api.post("viewer", "projects", {"key": "mine", "name": "Mine"}).status == 403
        assert api.get(None, "me", **unknown()).status == 401
    before = Event.objects.count()
    assert not Event.objects.filter(type="access.v1.refused").exists(), "no request writes it"
    refusals.keep()
    record_refusals()
    record_refusals()
    events = Event.objects.filter(type="access.v1.refused").order_by("index")
    assert Event.objects.count() - before == len(events) == 2
    forbidden, unauthenticated = (json.loads(each.line)["data"] for each in events)
    assert (forbidden["kind"], forbidden["count"]) == ("forbidden", 30)
    assert forbidden["actors"] == [{"id": api.cast.users["viewer"].pseudonym, "count": 30}]
    assert (unauthenticated["kind"], unauthenticated["count"], unauthenticated["actors"]) == (
        "unauthenticated",
        30,
        [],
    )
    assert set(Refusals.objects.values_list("count", flat=True)) == {0}


def test_a_page_or_download_that_is_refused_is_counted_once(api: Api) -> None:
    client = Client(headers={"Host": "localhost"})
    client.force_login(api.cast.users["viewer"])
    refused = (
        client.get("/admin/audit/report.csv"),
        client.get("/admin/sessions/?who=author"),
        client.post("/admin/p/shop/people/", {"who": "outsider", "role": "viewer"}),
    )
    assert [answer.status_code for answer in refused] == [403, 403, 403]
    assert refusals._counted == {("forbidden", api.cast.users["viewer"].pseudonym): 3}


def test_however_many_are_refused_the_count_stays_small(db: None) -> None:
    for number in range(2_000):
        refusals.count("forbidden", f"user:{number}")
    assert len(refusals._counted) <= refusals.MOST_ACTORS + 1
    assert sum(refusals._counted.values()) == 2_000
    refusals.keep()
    refusals.tell(system_actor("refusals"))
    data = json.loads(Event.objects.get(type="access.v1.refused").line)["data"]
    assert data["count"] == 2_000
    assert len(data["actors"]) == refusals.SAMPLE
