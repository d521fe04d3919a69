"""The database as a source of the read plane, polled by a thread of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from django.db import connection
from django.db.models import Max, QuerySet

from distribution.models import Keyring, Snapshot

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
    newest: dict[str, list[int]] = {}
    for place, model in enumerate((Snapshot, Keyring)):
        rows = (
            model._default_manager.values_list("environment__project__key", "environment__key")
            .annotate(newest=Max("version"))
            .order_by()
        )
        for project, environment, version in rows:
            newest.setdefault(f"{project}/{environment}", [0, 0])[place] = version
    return {environment: (pair[0], pair[1]) for environment, pair in newest.items()}


def _of(rows: QuerySet[Row], environment: str) -> QuerySet[Row]:
    project, _, key = environment.partition("/")
    return rows.filter(environment__project__key=project, environment__key=key).order_by("-version")


def _returning_connection(read: Callable[[], Result]) -> Result:
    try:
        return read()
    finally:
        connection.close()
