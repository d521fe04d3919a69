"""A ledger that cannot append stops a change asked for by a page, and the page says so."""

from __future__ import annotations

from typing import Any

import pytest

from audit import ledger
from audit.models import Event
from flags.models import Environment, FlagConfiguration
from tests.cast import Cast
from tests.ui.conftest import Browser

SWITCH = "/admin/p/shop/flags/banner/in/development/"
PAGES = {
    SWITCH: {"base": "0", "state": "on", "serve": "keep", "when": "soon"},
    "/admin/p/shop/environments/development/edit/": {
        "base": "1",
        "name": "Renamed",
        "kind": "development",
        "position": "0",
        "regions": "",
        "bucketing": "murmur3",
    },
}


@pytest.fixture
def refusing(cast: Cast, banner: None, monkeypatch: pytest.MonkeyPatch) -> Cast:

    def refuse(_pending: Any) -> None:
        raise ledger.LedgerError("There is no ledger yet.")

    monkeypatch.setattr(ledger, "append", refuse)
    return cast


@pytest.mark.parametrize("page", PAGES)
def test_nothing_changes_and_the_reason_is_told(refusing: Cast, browser: Browser, page: str) -> None:
    events = Event.objects.count()
    answer = browser("administrator").post(page, PAGES[page], follow=True)
    assert answer.status_code == 200
    assert "Nothing was changed. There is no ledger yet." in answer.content.decode()
    assert not FlagConfiguration.objects.exists()
    assert not Environment.objects.filter(name="Renamed").exists()
    assert Event.objects.count() == events


def test_a_dialog_is_sent_to_the_page_that_says_so(refusing: Cast, browser: Browser) -> None:
    answer = browser("author").post(SWITCH, PAGES[SWITCH], headers={"X-Requested-With": "countersign"})
    assert (answer.status_code, answer.headers["X-Location"]) == (204, SWITCH)
