"""Schemathesis, in a few seconds and always with the same cases; `make prove` has the long run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings

from tests.api.conftest import Api
from tests.cast import OFF, ON

CONFIG = Path(__file__).parents[1] / "prove" / "schemathesis.toml"
EXAMPLES = 1
QUICK = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def one_connection() -> Iterator[None]:
    """A request does not close the connection, whose transaction the test takes back: as Django's client."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.usefixtures("one_connection")
def test_nothing_that_is_sent_breaks_the_api(api: Api, subtests: Any) -> None:
    api.cast.propose(OFF, environment="development")
    api.cast.propose(ON)
    schema = schemathesis.openapi.from_wsgi(
        "/api/schema/",
        WSGIHandler(),
        config=schemathesis.Config.from_path(CONFIG),
        headers={"Accept": "application/vnd.oai.openapi+json", "Host": "localhost"},
    )
    # In turn: what is right by one and what is wrong by the next; the long run has all by all.
    roles = cycle(["administrator", "author", "viewer"])
    positive, negative = schemathesis.GenerationMode
    for operation in schema.get_all_operations():
        for mode, role in zip((positive, negative), roles, strict=False):
            headers = {"Authorization": f"Bearer {api.token(role)}", "Host": "localhost"}
            with subtests.test(operation.ok().label, mode=mode.value, role=role):
                send(operation.ok(), mode, headers)


def send(operation: Any, mode: schemathesis.GenerationMode, headers: dict[str, str]) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @QUICK
    def each(case: schemathesis.Case) -> None:
        case.call_and_validate(headers=headers)

    each()
