"""A process killed at any moment between approval and snapshot: all of it or nothing, and then all."""

from __future__ import annotations

import os
import signal
from typing import Any

from django.db import connection, connections
from django.db.models import Count, Max

from access.permissions import system_actor
from approvals.models import CarriedOut, ChangeRequest
from approvals.tasks import carry_out_due
from audit.checkpoints import sign_current
from audit.models import Event
from countersign.snapshot import Snapshot as Parsed
from distribution.models import Snapshot
from distribution.publish import publish_due
from flags.models import Environment, FlagConfiguration
from tests.cast import OFF, Cast, split

# Statements between two crashes; SQLite's process costs less to start and to lose.
STRIDE = {"sqlite": 1, "postgresql": 5}


def in_a_child_killed_before(statement: int, cast: Cast, request: ChangeRequest) -> bool:
    """Approve, apply and publish in a process that dies before its n-th statement; whether it did die."""
    connections.close_all()
    if hasattr(connection, "close_pool"):
        connection.close_pool()  # no connection, and no thread that minds one, is shared with the child
    child = os.fork()
    if child == 0:
        left = [statement]

        def count(execute: Any, *rest: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return execute(*rest)

        code = 1
        try:
            with connection.execute_wrapper(count):
                cast.approve(request)
                publish_due()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def is_recorded_as_it_stands(request: ChangeRequest) -> None:
    """Row, history, event, claim, state and revision say the same: nothing happened, or everything did."""
    configuration = FlagConfiguration.objects.get(environment__key="production")
    applied = request.state == ChangeRequest.State.APPLIED
    assert (configuration.change_id == request.change_id) is applied
    events = Event.objects.filter(change_id=request.change_id, type="flags.v1.configuration.updated")
    assert events.count() == applied
    assert CarriedOut.objects.filter(request=request).count() == applied
    assert FlagConfiguration.history.filter(event__in=events).count() == applied
    assert configuration.version == FlagConfiguration.history.count()
    assert Environment.objects.get(key="production").revision == 1 + configuration.version
    sign_current()  # refuses a head that is not the tree of its events


def test_a_process_killed_between_approval_and_snapshot_leaves_all_or_nothing(committed_cast: Cast) -> None:
    cast = committed_cast
    cast.flag()
    cast.approve(cast.propose(OFF))
    publish_due()
    statement, outcomes, died = 1, set(), True
    while died:
        request = cast.propose(split(statement % 100))
        died = in_a_child_killed_before(statement, cast, request)
        request.refresh_from_db()
        published = Snapshot.objects.filter(environment=cast.production).aggregate(Max("version"))
        revision = Environment.objects.get(key="production").revision
        outcomes.add((request.state, published["version__max"] == revision))
        is_recorded_as_it_stands(request)

        if request.state == ChangeRequest.State.IN_REVIEW:
            request = cast.approve(request)
        carry_out_due()
        publish_due()
        request.refresh_from_db()
        assert request.state == ChangeRequest.State.APPLIED
        is_recorded_as_it_stands(request)
        assert list(ChangeRequest.objects.filter(state=ChangeRequest.State.APPROVED)) == []
        row = Snapshot.objects.filter(environment=cast.production).latest("version")
        assert row.version == Environment.objects.get(key="production").revision
        answer = Parsed.parse(row.raw).evaluate("banner", {"targetingKey": "u"})
        assert answer.metadata["change"] == request.change_id
        statement += STRIDE[connection.vendor]
    assert statement > 50, "the child did all of its work, so there were moments to be killed at"
    # Before the approval, between approval and change, between change and snapshot, and after all.
    assert outcomes == {("in_review", True), ("approved", True), ("applied", False), ("applied", True)}
    twice = Snapshot.objects.values("environment", "version").annotate(n=Count("pk")).filter(n__gt=1)
    assert not twice.exists()
    assert system_actor("scheduler").id in set(Event.objects.values_list("actor", flat=True))
