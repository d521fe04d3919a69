"""The database as a source of the read plane, polled by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from distribution.models import Keyring, Snapshot
from flags.models import Environment

Result = TypeVar("Result")
Row = TypeVar("Row", Snapshot, Keyring)


class DatabaseStore:
    """The read plane's `Store` protocol over the newest rows. Each call gives its connection back."""

    def versions(self) -> Mapping[str, tuple[int, int]]:
        """`{"project/environment": (snapshot version, keyring version)}`, 0 for none."""
        return _returning_connection(_versions)

    def get_snapshot(self, environment: str) -> bytes | None:
        def newest() -> bytes | None:
            row = _of(Snapshot.objects.all(), environment).first()
            return row.raw if row else None

        return _returning_connection(newest)

    def get_keyring(self, environment: str) -> bytes | None:
        def newest() -> bytes | None:
            row = _of(Keyring.objects.all(), environment).first()
            return bytes(row.raw) if row else None

        return _returning_connection(newest)


def _versions() -> dict[str, tuple[int, int]]:
    # Twice a second in every web process: a look into an index per environment, however many versions there were.
    rows = (
        Environment.objects.order_by()
        .annotate(snapshot=_newest(Snapshot), keyring=_newest(Keyring))
        .exclude(snapshot=0, keyring=0)
        .values_list("project__key", "key", "snapshot", "keyring")
    )
    return {f"{project}/{key}": (snapshot, keyring) for project, key, snapshot, keyring in rows}


def _newest(model: type[Snapshot] | type[Keyring]) -> Coalesce:
    versions = (
        model._default_manager.filter(environment=OuterRef("pk")).order_by("-version").values("version")
    )
    return Coalesce(Subquery(versions[:1]), 0)


def _of(rows: QuerySet[Row], environment: str) -> QuerySet[Row]:
    project, _, key = environment.partition("/")
    return rows.filter(environment__project__key=project, environment__key=key).order_by("-version")


def _returning_connection(read: Callable[[], Result]) -> Result:
    try:
        return read()
    finally:
        connection.close()
