"""What the database answers, kept while several checks of one request ask the same."""

from __future__ import annotations

from typing import Any, TypeVar

from django.core.exceptions import EmptyResultSet
from django.db.models import Model, QuerySet

Row = TypeVar("Row", bound=Model)


class Reads:
    """Each query is asked once. For reading only: everybody gets the same rows."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, tuple[Any, ...]], list[Any]] = {}

    def rows(self, query: QuerySet[Row]) -> list[Row]:
        """What the query finds, or found when it was first asked."""
        try:
            asked = query.query.sql_with_params()
        except EmptyResultSet:
            return []
        if asked not in self._found:
            self._found[asked] = list(query)
        return self._found[asked]
