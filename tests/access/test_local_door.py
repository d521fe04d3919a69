"""A password beside the providers: it works when they are down, and is seen."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from access.models import IdentityProvider
from access.notifications import delivering
from audit.models import Event
from tests.access.openid_provider import OpenIdProvider
from tests.cast import PASSWORD, Cast

USED = "access.v1.account.signed_in_locally"


def enter(name: str, password: str = PASSWORD) -> Client:
    client = Client(headers={"Host": "localhost"})
    client.post("/admin/login/", {"username": name, "password": password})
    return client


def test_a_local_sign_in_beside_a_provider_is_recorded_and_told_to_the_administrators(
    cast: Cast, acme: IdentityProvider, openid: OpenIdProvider, mailoutbox: Any
) -> None:
    openid.down = True
    assert enter("administrator").get("/api/v1/me").status_code == 200
    event = Event.objects.get(type=USED)
    assert event.subject == f"access/{cast.users['administrator'].pseudonym}"
    delivering.deliver_due()
    [mail] = mailoutbox
    assert mail.to == ["root@example.com"]
    assert "signed in past the identity providers" in mail.subject


def test_a_wrong_password_and_an_installation_without_providers_alarm_nobody(
    cast: Cast, mailoutbox: Any
) -> None:
    enter("administrator")
    enter("administrator", PASSWORD[::-1])
    assert not Event.objects.filter(type=USED).exists()
    assert mailoutbox == []


def test_nobody_gets_in_unseen_when_the_ledger_cannot_append(
    cast: Cast, acme: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise RuntimeError("no ledger")

    monkeypatch.setattr("audit.ledger.append", refuse)
    client = Client(headers={"Host": "localhost"}, raise_request_exception=False)
    answer = client.post("/admin/login/", {"username": "administrator", "password": PASSWORD})
    assert answer.status_code == 500
    assert client.get("/api/v1/me").status_code == 401
