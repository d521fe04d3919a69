"""Whatever people do, in whatever order: what is served was allowed, is recorded, and can be shown."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from approvals import tasks, workflow
from approvals.workflow.basis import Basis
from audit.models import Event
from tests.cast import Cast
from tests.gate.machine import Gate
from tests.gate.oracle import Oracle

# `tests/prove` asks for more, and then for others each time.
EXAMPLES = int(os.environ.get("GATE_EXAMPLES", "0"))


@pytest.fixture
def machine(cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> type[Gate]:
    now = [timezone.now()]

    def move(by: timedelta) -> datetime:
        now[0] += by
        return now[0]

    def fail(text: str, *arguments: Any) -> None:
        raise AssertionError(text % arguments)

    monkeypatch.setattr(timezone, "now", lambda: now[0])
    monkeypatch.setattr(tasks.logger, "exception", fail)  # our tasks go on after what they did not expect
    members = {"cast": cast, "clock": staticmethod(move), "directory": tmp_path, "seen": set()}
    return type("Gate", (Gate,), members)


def test_whatever_people_do_what_is_served_was_allowed(machine: type[Gate]) -> None:
    expected = {"flags.v1.configuration.updated", "approvals.v1.change_request.approved"}
    if EXAMPLES:
        expected |= {
            "flags.v1.configuration.killed",
            "flags.v1.rollout_plan.updated",
            "approvals.v1.change_request.reverted",
            "approvals.v1.emergency.reviewed",
            "approvals.v1.freeze.created",
            "access.v1.membership.changed",
            "there and back",
            "restored at once",
        }
    # What is rare may not come up among so many; then there are more of them.
    for _ in range(4 if EXAMPLES else 1):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=EXAMPLES or 3,
                stateful_step_count=60 if EXAMPLES else 30,
                derandomize=not EXAMPLES,
                database=None,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                print_blob=bool(EXAMPLES),
            ),
        )
        if expected <= machine.seen:
            return
    raise AssertionError(
        f"it did too little to show anything: no {', '.join(sorted(expected - machine.seen))}"
    )


def test_the_second_reading_notices_what_nobody_approved(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    cast.flag()
    monkeypatch.setattr(Basis, "missing", [])
    workflow.apply(cast.actor("author"), cast.propose())
    with pytest.raises(AssertionError, match="has 0 of 1 approvals"):
        Oracle().read(list(Event.objects.order_by("index").values_list("line", flat=True)))
