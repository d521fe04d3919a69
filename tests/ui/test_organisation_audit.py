"""The ledger's events of no project: accounts, roles of the organisation, sign-in; for who may see them there."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from access import accounts, grants
from access.models import User
from access.roles import OrganisationRole
from access.signin.factor_policy import set_factor_policy
from audit.checkpoints import sign_current
from audit.models import Event
from tests.cast import Cast
from tests.ui.conftest import Browser

PAGE = "/admin/organisation/audit/"


@pytest.fixture
def governed(cast: Cast) -> Cast:
    root = cast.actor("root")
    grants.appoint(root, cast.users["second_reviewer"].pseudonym, OrganisationRole.ORGANISATION_AUDITOR)
    accounts.create_account(root, None, username="nadja", first_name="Nadja")
    cast.flag()
    return cast


def shown(browser: Browser, query: str = "") -> str:
    return browser("second_reviewer").get(PAGE + query).content.decode()


def test_events_of_the_organisation_are_told_by_name_and_no_others(governed: Cast, browser: Browser) -> None:
    set_factor_policy(
        governed.actor("root"), {"roles": [], "fresh_minutes": 15}, base={"access/factor-policy": 0}
    )
    html = shown(browser)
    for text in ("Account made", "Nadja", "Role of the organisation given or taken", "fresh minutes: 0 → 15"):
        assert text in html
    assert "Flag created" not in html
    assert (
        "Events of the organisation"
        in browser("second_reviewer").get("/admin/p/shop/audit/").content.decode()
    )


def test_type_person_and_date_narrow_down(governed: Cast, browser: Browser) -> None:
    root = governed.users["root"].pseudonym
    for query, count in (
        ("?type=access.v1.account.created", 1),
        (f"?type=access.v1.account.created&actor={root}", 1),
        ("?actor=user:nobody", 0),
        ("?from=2099-01-01", 0),
    ):
        assert shown(browser, query).count('class="cs-event"') == count, query
    assert "is no date" in shown(browser, "?from=yesterday")


def test_an_event_has_a_permanent_address_with_its_proof(governed: Cast, browser: Browser) -> None:
    event = Event.objects.get(type="access.v1.account.created")
    sign_current()
    address = f"{PAGE}{event.pk}/"
    assert address in shown(browser, "?type=access.v1.account.created")
    assert event.line.splitlines()[0] in browser("second_reviewer").get(f"{address}line").content.decode()
    assert f"{address}proof" in browser("second_reviewer").get(address).content.decode()
    proof = browser("second_reviewer").get(f"{address}proof").content.decode()
    assert proof.startswith("c2sp.org/tlog-proof")


def test_it_does_not_exist_for_others(governed: Cast, browser: Browser) -> None:
    mine = Event.objects.get(type="access.v1.account.created").pk
    flags = Event.objects.filter(project="shop")[0].pk
    for name in ("auditor", "administrator", "viewer", "outsider"):
        for each in ("", f"{mine}/", f"{mine}/line", f"{mine}/proof"):
            assert browser(name).get(PAGE + each).status_code == 404, (name, each)
    for each in (f"{flags}/", f"{flags}/line", f"{flags}/proof"):
        assert browser("second_reviewer").get(PAGE + each).status_code == 404
    assert browser("auditor").get(f"/admin/p/shop/audit/{mine}/line").status_code == 404
    assert "Events of the organisation" not in browser("auditor").get("/admin/p/shop/audit/").content.decode()


def test_it_costs_the_same_however_many_events_there_are(governed: Cast, browser: Browser) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            shown(browser)
        return len(asked)

    browser("second_reviewer").get(PAGE)
    few = cost()
    for number in range(12):
        accounts.create_account(governed.actor("root"), None, username=f"somebody-{number}")
    assert User.objects.count() > 12
    assert cost() == few
