"""Every way around the gate: nothing changes, and the refusal says what to do instead."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import DatabaseError, connection, transaction

from audit.models import Event
from audit.recording import UnrecordedWriteError, recording
from flags.models import Flag, FlagConfiguration
from tests.cast import OFF, Cast


@pytest.fixture
def applied(cast: Cast, banner: None) -> Cast:
    cast.approve(cast.propose())
    return cast


def document() -> object:
    return FlagConfiguration.objects.get().document


DOORS: dict[str, Callable[[], object]] = {
    "update": lambda: FlagConfiguration.objects.update(document=OFF),
    "base manager": lambda: FlagConfiguration._base_manager.update(document=OFF),
    "related manager": lambda: Flag.objects.get().configurations.update(document=OFF),
    "bulk_update": lambda: FlagConfiguration.objects.bulk_update(
        [FlagConfiguration.objects.get()], ["document"]
    ),
    "bulk_create": lambda: FlagConfiguration.objects.bulk_create([FlagConfiguration()]),
    "queryset delete": lambda: FlagConfiguration.objects.all().delete(),
    "instance delete": lambda: FlagConfiguration.objects.get().delete(),
    "update_or_create": lambda: FlagConfiguration.objects.update_or_create(pk=1, defaults={"document": OFF}),
}


@pytest.mark.parametrize("door", DOORS)
def test_a_write_without_an_actor_changes_no_row(applied: Cast, door: str) -> None:
    before, history = document(), FlagConfiguration.history.count()
    with pytest.raises(UnrecordedWriteError), transaction.atomic():
        DOORS[door]()
    assert document() == before
    assert FlagConfiguration.history.count() == history


def test_a_shell_write_with_an_actor_but_no_event_changes_no_row(applied: Cast) -> None:
    before, events = document(), Event.objects.count()
    configuration = FlagConfiguration.objects.get()
    configuration.document = OFF
    with (
        pytest.raises(UnrecordedWriteError, match="no event was declared"),
        recording(applied.actor("administrator", "cli")),
    ):
        configuration.save()
    assert document() == before
    assert Event.objects.count() == events


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_event SET line = '{}'",
        "DELETE FROM audit_event",
        "UPDATE audit_checkpoint SET size = 1",
        "DELETE FROM audit_blob",
    ],
)
def test_the_database_itself_refuses_to_change_the_ledger(applied: Cast, statement: str) -> None:
    from audit.checkpoints import sign_current
    from audit.models import Blob

    sign_current()
    Blob.objects.create(digest="sha256:0", content="{}")
    lines = list(Event.objects.order_by("index").values_list("line", flat=True))
    with (
        pytest.raises(DatabaseError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
    assert list(Event.objects.order_by("index").values_list("line", flat=True)) == lines


def test_a_history_row_without_its_event_cannot_be_committed(applied: Cast) -> None:
    import uuid

    row = FlagConfiguration.history.first()
    row.pk, row.event_id = None, uuid.uuid4()

    def commit() -> None:
        row.save(force_insert=True)
        connection.check_constraints()

    with pytest.raises(DatabaseError), transaction.atomic():
        commit()
