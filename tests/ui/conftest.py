"""Browsers signed in as the members of the cast."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db.models import QuerySet
from django.test import Client

from flags.models import Flag
from tests.cast import BANNER, Cast

Browser = Callable[[str], Client]


def ten_thousand_flags(cast: Cast) -> None:
    """Past the gate, because the gate would take an hour; what is read is the same."""
    flags = [
        Flag(
            project=cast.project, key=f"flag-{number:05}", name=f"Flag {number}", variants=BANNER["variants"]
        )
        for number in range(10_000)
    ]
    QuerySet(Flag).bulk_create(flags, batch_size=500)


@pytest.fixture
def browser(cast: Cast) -> Browser:
    """`browser("author")`: a client with that person's session."""

    def sign_in(name: str) -> Client:
        client = Client(headers={"Host": "localhost"})
        client.force_login(cast.users[name])
        return client

    return sign_in
