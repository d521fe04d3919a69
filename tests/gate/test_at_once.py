"""Verbs of one project at the same time: they wait for each other, and never lock each other out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connections

from access import grants
from access.roles import Role
from approvals import rollouts, workflow
from approvals.workflow import GateError
from flags import changes
from flags.models import Environment, Flag, FlagConfiguration
from flags.subjects import Subject
from tests.cast import OFF, ON, Cast, split

STAGES = [{"weights": [["on", 10], ["off", 90]], "hold": 0}]


@pytest.fixture
def shop(committed_cast: Cast) -> Cast:
    committed_cast.flag()
    committed_cast.propose(environment="development")
    committed_cast.approve(committed_cast.propose())
    return committed_cast


def kill(cast: Cast) -> Any:
    subject = Subject.parse(cast.subject(environment="development"))
    return workflow.kill(cast.actor("on_call"), subject, cast.project)


def propose_plan(cast: Cast) -> Any:
    flag = Flag.objects.select_related("project").get(key="banner")
    where = Environment.objects.select_related("project").get(pk=cast.development.pk)
    return rollouts.propose_plan(cast.actor("author"), flag, where, STAGES, title="plan", rationale="planned")


def in_between(
    monkeypatch: pytest.MonkeyPatch, first: Callable[[], Any], second: Callable[[], Any]
) -> list[Exception]:
    """Run `second` while `first` has locked its rows and has yet to write them; return what was raised."""
    problems: list[Exception] = []
    is_locked = threading.Event()
    write = changes.write

    def slow(*arguments: Any) -> Any:
        is_locked.set()
        time.sleep(0.5)
        return write(*arguments)

    def run(verb: Callable[[], Any]) -> None:
        try:
            verb()
        except (DatabaseError, GateError) as error:
            problems.append(error)
        finally:
            connections.close_all()

    monkeypatch.setattr(changes, "write", slow)
    threads = [threading.Thread(target=run, args=(verb,)) for verb in (first, second)]
    threads[0].start()
    assert is_locked.wait(timeout=10)
    threads[1].start()
    for thread in threads:
        thread.join()
    return problems


@pytest.mark.parametrize(
    "second",
    [
        lambda cast: cast.propose(split(50)),
        lambda cast: cast.propose(split(50), scheduled_at=None),
        propose_plan,
        lambda cast: cast.settings("development", name="Dev"),
        lambda cast: grants.grant(
            cast.actor("administrator"), cast.project, cast.users["outsider"].pseudonym, Role.VIEWER
        ),
    ],
    ids=["propose", "propose for later", "propose a plan", "change an environment", "give a role"],
)
def test_a_kill_gets_through_whatever_else_happens_to_the_project(
    shop: Cast, monkeypatch: pytest.MonkeyPatch, second: Callable[[Cast], Any]
) -> None:
    assert in_between(monkeypatch, lambda: kill(shop), lambda: second(shop)) == []
    document = FlagConfiguration.objects.get(environment=shop.development).document
    assert document == {**ON, "killed": True}


def test_two_switches_at_once_are_both_turned(shop: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.flag("other")
    problems = in_between(
        monkeypatch,
        lambda: shop.propose(OFF, environment="development"),
        lambda: shop.propose(ON, key="other", environment="development"),
    )
    assert problems == []
    rows = FlagConfiguration.objects.filter(environment=shop.development)
    assert {row.flag.key: row.document["enabled"] for row in rows} == {"banner": False, "other": True}
