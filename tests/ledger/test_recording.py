"""`audit.recording`: all or nothing, the ledger last, and nobody's name in an event."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from datetime import timedelta
from typing import Any

import pytest
import rfc8785
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.utils import timezone

from access.models import Membership
from approvals import workflow
from approvals.models import ChangeRequest
from audit import blobs, ledger
from audit.ledger import EVENT_LIMIT, LedgerError
from audit.models import Blob, Disclosure, Event, Log
from audit.recording import UnrecordedWriteError, current, recording
from flags.models import Environment, FlagConfiguration, Project
from tests.cast import ON, Cast


def project_of(cast: Cast, record: Any, key: str) -> Project:
    project = Project(key=key, name=key)
    record.event("flags.v1.project.created", project.ledger_subject, before=None, after=project.document)
    project.save()
    return project


def failing(cast: Cast, *keys: str) -> None:
    """Record each project inside the recording of the one before, and fail at the end of the outermost."""
    with recording(cast.actor("root")) as record:
        project_of(cast, record, keys[0])
        for key in keys[1:]:
            with recording(cast.actor("root")) as inner:
                project_of(cast, inner, key)
        raise ZeroDivisionError


def test_an_inner_recording_joins_the_outer_and_the_outermost_appends(cast: Cast) -> None:
    root, size = cast.actor("root"), Event.objects.count()
    with recording(root) as outer:
        project_of(cast, outer, "one")
        with recording(cast.actor("administrator")) as inner:
            project_of(cast, inner, "two")
        assert Event.objects.count() == size
        assert current() is outer
    first, second = Event.objects.filter(index__gte=size).order_by("index")
    assert (first.actor, second.actor) == (root.id, cast.users["administrator"].pseudonym)


def test_an_inner_failure_takes_its_rows_and_events_with_it_and_the_outer_goes_on(cast: Cast) -> None:
    root, size = cast.actor("root"), Event.objects.count()
    with recording(root) as outer:
        project_of(cast, outer, "one")
        with pytest.raises(ZeroDivisionError):
            failing(cast, "two")
        project_of(cast, outer, "three")
    recorded = Event.objects.filter(index__gte=size).order_by("index").values_list("project", flat=True)
    assert list(recorded) == ["one", "three"]
    assert set(Project.objects.values_list("key", flat=True)) == {"shop", "other", "one", "three"}


def test_a_failure_of_the_outer_leaves_nothing(cast: Cast) -> None:
    size = Event.objects.count()
    history = Project.history.count()
    with pytest.raises(ZeroDivisionError):
        failing(cast, "one", "two")
    assert Event.objects.count() == size
    assert Project.objects.count() == 2
    assert Project.history.count() == history
    with pytest.raises(UnrecordedWriteError):
        current()


def test_a_recording_inside_somebody_elses_transaction_is_refused(cast: Cast) -> None:
    """It could not promise that what it recorded is kept, or that the append comes last."""
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"), recording(cast.actor("root")):
        pass


# --- a ledger that cannot append -----------------------------------------------------------------


def nothing_changed(request: ChangeRequest, size: int) -> None:
    request.refresh_from_db()
    assert request.state == ChangeRequest.State.APPROVED
    assert not FlagConfiguration.objects.exists()
    assert FlagConfiguration.history.count() == 0
    assert not request.carried_out.exists()
    assert Event.objects.count() == size


@pytest.fixture
def approved(cast: Cast, banner: None) -> ChangeRequest:
    return cast.approve(cast.propose(scheduled_at=None))


def test_without_a_ledger_nothing_changes_and_the_refusal_says_so(
    cast: Cast, approved: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Event.objects.count()
    with monkeypatch.context() as patch:
        patch.setattr(ledger.Log, "objects", Log.objects.none())
        with pytest.raises(LedgerError, match="There is no ledger"):
            workflow.apply(cast.actor("author"), approved)
    nothing_changed(approved, size)
    workflow.apply(cast.actor("author"), approved)


def test_an_event_that_is_too_large_stops_the_change(
    cast: Cast, approved: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Event.objects.count()
    monkeypatch.setattr(ledger, "EVENT_LIMIT", 100)
    with pytest.raises(LedgerError, match="more than 100"):
        workflow.apply(cast.actor("author"), approved)
    nothing_changed(approved, size)


def test_a_database_that_refuses_the_event_stops_the_change(
    cast: Cast, approved: ChangeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = Event.objects.count()

    def refuse(execute: Any, sql: str, *rest: Any) -> Any:
        if "INSERT INTO" in sql and '"audit_event"' in sql:
            raise DatabaseError("disk I/O error")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse), pytest.raises(DatabaseError, match="disk I/O"):
        workflow.apply(cast.actor("author"), approved)
    nothing_changed(approved, size)


def test_an_event_has_at_most_65535_bytes(cast: Cast) -> None:
    size = Event.objects.count()
    with recording(cast.actor("root")) as record:
        record.event("test.v1.large", data={"text": "x" * (EVENT_LIMIT - 700)})
    assert len(Event.objects.get(index=size).line.encode()) <= EVENT_LIMIT
    with pytest.raises(LedgerError, match="65535"), recording(cast.actor("root")) as record:
        record.event("test.v1.large", data={"text": "x" * EVENT_LIMIT})
    assert Event.objects.count() == size + 1


# --- what an event says --------------------------------------------------------------------------


def test_nobody_is_named_in_an_event_but_by_pseudonym(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose())
    everything = "\n".join(Event.objects.values_list("line", flat=True))
    for user in cast.users.values():
        for clear in (user.username + "@", user.email, str(user)):
            assert f'"{clear}' not in everything
    disclosed = Disclosure.objects.select_related("event")
    assert {row.value for row in disclosed} >= {"Author", "Reviewer"}
    for row in disclosed:
        salted = hashlib.sha256(rfc8785.dumps([row.salt, row.name, row.value])).digest()
        expected = base64.urlsafe_b64encode(salted).decode().rstrip("=")
        assert json.loads(row.event.line)["data"]["personal"][row.name] == expected
        assert len(base64.urlsafe_b64decode(row.salt + "==")) >= 16
    assert len({row.salt for row in disclosed}) == len(disclosed)


def test_an_erased_disclosure_leaves_the_event_as_it_was(cast: Cast) -> None:
    lines = list(Event.objects.order_by("index").values_list("line", flat=True))
    Disclosure.objects.all().delete()
    assert list(Event.objects.order_by("index").values_list("line", flat=True)) == lines


def test_time_never_goes_back_when_the_clock_does(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    past = timezone.now() - timedelta(days=1)
    with monkeypatch.context() as patch:
        patch.setattr(timezone, "now", lambda: past)
        cast.flag()
    cast.flag("other")
    times = [json.loads(event.line)["time"] for event in Event.objects.order_by("index")]
    assert times == sorted(times)


def test_a_history_row_names_its_event_and_its_actor(cast: Cast) -> None:
    cast.flag()
    cast.approve(cast.propose())
    cast.settings("production", name="Live")
    row = FlagConfiguration.history.get()
    event = Event.objects.get(type="flags.v1.configuration.updated")
    assert (row.event_id, row.history_user_id) == (event.id, cast.users["reviewer"].pseudonym)
    assert row.document == ON
    for model in (Project, Environment, Membership, FlagConfiguration):
        for row in model.history.select_related("event"):
            assert row.history_user_id == row.event.actor
            assert row.event.subject


def test_large_values_are_kept_only_with_the_event_that_names_them(cast: Cast) -> None:
    def fail(after: Any) -> None:
        with recording(cast.actor("root")) as record:
            record.event("test.v1.large", "project/shop/x", before=None, after=after)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail({"text": "x" * 9_000})
    assert not Blob.objects.exists()
    value = {"text": "x" * (8_192 - len('{"text":""}'))}
    assert blobs.event_value(value) is value
    assert set(blobs.event_value({"text": value["text"] + "x"})) == {"blob", "size"}


def test_the_log_leads_from_a_request_to_its_events(
    cast: Cast, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    client.force_login(cast.users["administrator"])
    with caplog.at_level(logging.INFO, "audit.recording"):
        for given in ("req-7", "two\nlines"):
            client.post(
                "/api/v1/tokens", {"name": "laptop"}, "application/json", headers={"X-Request-Id": given}
            )
    assert [record.getMessage().rpartition(" ")[2] for record in caplog.records] == ["req-7", "-"]
    assert Event.objects.latest("index").id.hex in caplog.text.replace("-", "")
