"""Browsers signed in as the members of the cast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.cast import Cast

Browser = Callable[[str], Client]


@pytest.fixture
def browser(cast: Cast) -> Browser:
    """`browser("author")`: a client with that person's session."""

    def sign_in(name: str) -> Client:
        client = Client(headers={"Host": "localhost"})
        client.force_login(cast.users[name])
        return client

    return sign_in
