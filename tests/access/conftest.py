"""An identity provider, and its row here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from access.models import IdentityProvider
from access.signin import providers
from tests.access.authenticator import App
from tests.access.openid_provider import SECRET, OpenIdProvider
from tests.cast import Cast
from tests.gate.conftest import later as later


@pytest.fixture
def openid(settings: Any) -> Iterator[OpenIdProvider]:
    provider = OpenIdProvider()
    settings.PRIVATE_ISSUERS = [provider.issuer]
    yield provider
    provider.stop()


@pytest.fixture
def acme(cast: Cast, openid: OpenIdProvider) -> IdentityProvider:
    members = {"name": "Acme", "issuer": openid.issuer, "client_id": "countersign"}
    return providers.save_provider(cast.actor("root"), "acme", members, secret=SECRET)


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    return App(monkeypatch)
