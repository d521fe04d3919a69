"""What every tracked row shares: before and after in a history table, tied to the event that says why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from django.db import models
from django.db.models import Count, Subquery
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.db.models.signals import pre_delete, pre_save
from django.dispatch import receiver
from simple_history.models import HistoricalRecords
from simple_history.signals import pre_create_historical_record

from audit import recording
from audit.models import Event


class HistoryRow(models.Model):
    """Base of the history tables: the event must exist when the transaction commits."""

    event = models.ForeignKey(Event, on_delete=models.PROTECT, related_name="+")

    class Meta:
        abstract = True


def history(**options: Any) -> HistoricalRecords:
    """simple-history's records, with the pseudonymous actor instead of a user and the event beside it."""
    return HistoricalRecords(
        bases=[HistoryRow],
        history_user_id_field=models.CharField(max_length=128),
        history_user_getter=lambda row: row.history_user_id,
        history_user_setter=lambda row, user: None,
        get_user=lambda **_: None,
        **options,
    )


class TrackedQuerySet(models.QuerySet[Any]):
    """Refuses the verbs that write rows without telling history or the ledger."""

    def _refuse(self, verb: str) -> NoReturn:
        raise recording.UnrecordedWriteError(
            f"{self.model._meta.label}.{verb}() would leave no trace: "
            "change one row at a time, through its verb in approvals.workflow."
        )

    def update(self, **kwargs: Any) -> NoReturn:
        self._refuse("update")

    def delete(self) -> NoReturn:
        self._refuse("delete")

    def bulk_create(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("bulk_create")

    def bulk_update(self, *args: Any, **kwargs: Any) -> NoReturn:
        self._refuse("bulk_update")

    def _raw_delete(self, using: str | None) -> NoReturn:
        self._refuse("delete")


TrackedManager = models.Manager.from_queryset(TrackedQuerySet)


class Tracked(models.Model):
    """A row that is only written inside `audit.recording(actor)`, under an event for its `ledger_subject`."""

    objects = TrackedManager()

    class Meta:
        abstract = True
        # Also for related and reverse managers, so that no path reaches a plain queryset.
        base_manager_name = "objects"
        default_manager_name = "objects"

    @property
    def ledger_subject(self) -> str:
        """The subject of the events about this row (ledger-bundle section 6)."""
        raise NotImplementedError


class OutdatedBaseError(Exception):
    """A write was based on another version than the one that stands, or named none (`expected` None)."""

    def __init__(self, subject: str, expected: int | None, found: int) -> None:
        based = "names no version as its base" if expected is None else f"was made for version {expected}"
        super().__init__(
            f"{subject} is at version {found}, this change {based}. "
            f"Nothing was overwritten: look at what stands there, then send the change with the base {found}."
        )
        self.subject, self.expected, self.found = subject, expected, found


def version_of(row: Any) -> int:
    """How often a tracked row was written; 0 where it has not been. For rows without a version of their own."""
    return int(row.history.count()) if row.pk else 0


def version_subquery(model: type[Tracked], **row: Any) -> Combinable:
    """The same for the rows of a list: `row` says which rows of the history belong to one."""
    rows = model.history.model._default_manager.filter(**row).order_by()  # type: ignore[attr-defined]
    grouped = rows.values(*row).annotate(written=Count("pk")).values("written")
    return Coalesce(Subquery(grouped, output_field=models.IntegerField()), 0)


def require_base(row: Any, base: Mapping[str, int] | None) -> None:
    """Raise `OutdatedBaseError` unless `base` names, by subject, the version at which the row stands.

    None: whatever stands there. Called with the row, or what holds it, locked.
    """
    if base is not None:
        require_version(row, base.get(row.ledger_subject))


def require_version(row: Any, expected: int | None) -> None:
    """The same for a row whose subject only the ledger knows; `expected` None: no version was named."""
    if expected != (found := version_of(row)):
        raise OutdatedBaseError(row.ledger_subject, expected, found)


@receiver(pre_save)
@receiver(pre_delete)
def refuse_unrecorded(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    """Stop a write of a tracked row before the row exists: simple-history's own signal comes after."""
    if isinstance(instance, Tracked):
        recording.current().event_for(instance.ledger_subject)


@receiver(pre_create_historical_record)
def name_the_event(instance: Any, history_instance: Any, **_: Any) -> None:
    """Tie the history row to its event and its actor."""
    if isinstance(instance, Tracked):
        record = recording.current()
        history_instance.event_id = record.event_for(instance.ledger_subject)
        history_instance.history_user_id = record.actor.id
