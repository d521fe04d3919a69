"""A warning, never a refusal, where personal data is about to stay in the ledger for good."""

from __future__ import annotations

import json

import pytest

from approvals import workflow
from approvals.models import ChangeRequest
from flags.personal import addresses_in
from tests.cast import ON, Cast
from tests.ui.conftest import Browser
from tests.ui.pages import SWITCH, switch_form

WARNED = "looks like an e-mail address"


@pytest.fixture(autouse=True)
def flag(cast: Cast) -> None:
    cast.flag()


def test_the_switch_warns_before_anything_is_asked_and_asks_all_the_same(
    cast: Cast, browser: Browser
) -> None:
    client = browser("author")
    named = json.dumps({**ON, "targets": {"on": ["ann@example.com", "user-1"]}})
    form = switch_form(0, document=named, rationale="planned")
    preview = client.post(SWITCH, {**form, "preview": "1"}, headers={"X-Requested-With": "countersign"})
    assert f"1 value {WARNED}" in preview.content.decode()
    assert WARNED not in client.get(SWITCH).content.decode()
    client.post(SWITCH, form)
    request = ChangeRequest.objects.latest("pk")
    assert request.change["operations"][0]["after"]["targets"] == {"on": ["ann@example.com", "user-1"]}
    page = browser("reviewer").get(f"/admin/p/shop/requests/{request.pk}/").content.decode()
    assert f"1 value {WARNED}" in page


def test_a_name_in_the_reason_is_warned_of_on_the_request(cast: Cast, browser: Browser) -> None:
    request = cast.propose(ON, rationale="As bob@example.com and ann@example.com asked")
    page = browser("reviewer").get(f"/admin/p/shop/requests/{request.pk}/").content.decode()
    assert "2 values look like e-mail addresses" in page
    assert "no names or addresses" in browser("author").get(SWITCH).content.decode()


def test_a_segment_that_names_people_by_address_says_so(cast: Cast, browser: Browser) -> None:
    for key, included in (("beta", ["ann@example.com"]), ("gamma", ["user-1"])):
        operation = {"subject": f"project/shop/segment/{key}", "after": {"included": included}}
        workflow.change(cast.actor("author"), cast.project, [operation], title=key)
    assert WARNED in browser("viewer").get("/admin/p/shop/segments/beta/").content.decode()
    assert WARNED not in browser("viewer").get("/admin/p/shop/segments/gamma/").content.decode()


@pytest.mark.parametrize(
    ("document", "count"),
    [
        ({"targets": {"on": ["a@b.example", "A@B.example"]}}, 1),
        ({"rules": [{"constraints": [{"values": ["x.y+z@mail.example.org"]}]}]}, 1),
        ({"rules": [{"constraints": [{"operator": "ends_with", "values": ["@example.com"]}]}]}, 0),
        ({"variants": {"on": "support@example.com"}}, 0),  # what is served, not who is named
        (None, 0),
    ],
)
def test_what_counts_is_who_is_named(document: object, count: int) -> None:
    assert addresses_in([document]) == count
