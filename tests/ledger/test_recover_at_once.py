"""Recovering while people go on working: what they do is in one ledger or the other, whole, or did not happen."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connections

from access import grants
from access.permissions import system_actor
from access.roles import Role
from approvals import workflow
from approvals.models import ChangeRequest, Emergency
from approvals.workflow import GateError
from audit import ledger, recording
from audit.checkpoints import sign_current
from audit.export import export_bundle
from audit.ledger import LedgerError, current_log
from audit.models import Log
from config import recovery
from countersign.bundle import Trust, verify_bundle
from distribution import keys
from flags.subjects import Subject
from tests.cast import ON, Cast, split


@pytest.fixture
def shop(committed_cast: Cast, own_keys: Path) -> Cast:
    committed_cast.flag()
    committed_cast.approve(committed_cast.propose(ON))
    workflow.kill(
        committed_cast.actor("on_call"),
        Subject.parse(committed_cast.subject()),
        committed_cast.project,
    )
    committed_cast.propose(split(5))
    sign_current()
    return committed_cast


def apply(cast: Cast) -> Any:
    return cast.approve(ChangeRequest.objects.get(state=ChangeRequest.State.IN_REVIEW))


def propose(cast: Cast) -> Any:
    return cast.propose(split(6))


def give_a_role(cast: Cast) -> Any:
    outsider = cast.users["outsider"].pseudonym
    return grants.grant(cast.actor("administrator"), cast.project, outsider, Role.VIEWER)


def issue_a_key(cast: Cast) -> Any:
    return keys.issue(cast.actor("administrator"), cast.production, "checkout-api", "server")


def review_a_kill(cast: Cast) -> Any:
    return workflow.review_emergency(cast.actor("reviewer"), Emergency.objects.get())


def tell_one_person(cast: Cast) -> Any:
    with recording.recording(cast.actor("administrator")) as record:
        record.event("access.v1.noted", "access/noted", {})


VERBS = [apply, propose, give_a_role, issue_a_key, review_a_kill, tell_one_person]


def recover() -> None:
    recovery.recover(system_actor("command-line", "cli"), recovery.examine())


def run(verb: Callable[[], Any], problems: list[Exception]) -> threading.Thread:
    def act() -> None:
        try:
            verb()
        except (DatabaseError, GateError, LedgerError) as error:
            problems.append(error)
        finally:
            connections.close_all()

    thread = threading.Thread(target=act)
    thread.start()
    return thread


def require_two_whole_ledgers(cast: Cast, directory: Path) -> None:
    old, new = Log.objects.order_by("pk")
    continues = json.loads(new.events.get(index=0).line)["data"]["continues"]
    assert continues["size"] == old.size == old.events.count(), "nothing came after the end that was signed"
    export_bundle(cast.actor("auditor"), directory)
    policy = {"accept_log_vouched": True, "review_required": ["project/shop/environment/production/"]}
    trust = Trust.parse(json.dumps({**ledger.trusted_log(), **policy}).encode())
    verify_bundle(directory, trust)


def test_what_waits_while_a_new_ledger_is_opened_is_in_the_new_one_or_did_not_happen(
    shop: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_open = threading.Event()
    open_next = ledger.open_next

    def slow(*arguments: Any) -> Log:
        log = open_next(*arguments)
        is_open.set()
        time.sleep(0.5)
        return log

    monkeypatch.setattr(ledger, "open_next", slow)
    problems: list[Exception] = []
    recovering = run(recover, problems)
    assert is_open.wait(timeout=10)
    refused: list[Exception] = []
    acting = [run(partial(verb, shop), refused) for verb in VERBS]
    for thread in (recovering, *acting):
        thread.join()
    assert problems == []
    assert not any(isinstance(each, DatabaseError) for each in refused), refused
    require_two_whole_ledgers(shop, tmp_path / "new")


@pytest.mark.parametrize("verb", [apply, issue_a_key, review_a_kill])
def test_what_is_under_way_when_somebody_recovers_is_finished_first_or_did_not_happen(
    shop: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: Callable[[Cast], Any]
) -> None:
    is_about_to_append = threading.Event()
    append = ledger.append

    def slow(pending: Any) -> None:
        if pending[0].type != "ledger.v1.created" and not is_about_to_append.is_set():
            is_about_to_append.set()
            time.sleep(0.5)
        append(pending)

    monkeypatch.setattr(ledger, "append", slow)
    refused: list[Exception] = []
    acting = run(lambda: verb(shop), refused)
    assert is_about_to_append.wait(timeout=10)
    recovering = run(recover, problems := [])
    acting.join()
    recovering.join()
    assert (problems, [each for each in refused if isinstance(each, DatabaseError)]) == ([], [])
    require_two_whole_ledgers(shop, tmp_path / "new")
    assert current_log().origin.endswith("/2")
