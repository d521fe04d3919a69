"""What verbs wrote once, written again by its rows: the cast costs each test milliseconds, not a second.

The first test that asks has the rows made by the verbs, as in the product; the next ones get copies of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.apps import apps
from django.db import connection

Row = tuple[Any, ...]
Tables = dict[str, dict[Any, Row]]


class Replay:
    """Rows that `make` wrote in a transaction of a test that was rolled back since."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make
        self._columns: dict[str, list[str]] = {}
        self._new: dict[str, list[Row]] | None = None
        self._changed: dict[str, list[Row]] = {}

    def write(self) -> None:
        """Let the rows stand in the test's transaction."""
        if self._new is None:
            before = self._tables()
            self._make()
            after = self._tables()
            self._new = {
                table: [row for key, row in rows.items() if key not in before[table]]
                for table, rows in after.items()
            }
            self._changed = {
                table: [row for key, row in rows.items() if before[table].get(key, row) != row]
                for table, rows in after.items()
            }
            return
        with connection.cursor() as cursor:
            for table, rows in self._new.items():
                if rows:
                    marks = ", ".join(["%s"] * len(rows[0]))
                    names = ", ".join(f'"{name}"' for name in self._columns[table])
                    cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)
            for table, rows in self._changed.items():
                key, *others = self._columns[table]
                names = ", ".join(f'"{name}" = %s' for name in others)
                for row in rows:
                    cursor.execute(
                        f'UPDATE "{table}" SET {names} WHERE "{key}" = %s',
                        [*row[1:], row[0]],
                    )

    def _tables(self) -> Tables:
        """Every row of every table, by its primary key, which comes first."""
        found: Tables = {}
        with connection.cursor() as cursor:
            for model in apps.get_models(include_auto_created=True):
                table, key = model._meta.db_table, model._meta.pk.column
                fields = [field.column for field in model._meta.concrete_fields]
                self._columns[table] = [key, *(name for name in fields if name != key)]
                names = ", ".join(f'"{name}"' for name in self._columns[table])
                cursor.execute(f'SELECT {names} FROM "{table}" ORDER BY "{key}"')
                found[table] = {row[0]: tuple(row) for row in cursor.fetchall()}
        return found
