"""System checks of the ledger."""

from typing import Any

from django.core.checks import Error, Tags, register
from django.db import connections

from audit import triggers


@register(Tags.database)
def ledger_is_append_only(databases: Any = None, **_: Any) -> list[Error]:
    """audit.E001: the append-only triggers are in the database (SQLite drops them on a table rebuild)."""
    errors = []
    for alias in databases or ():
        gone = triggers.missing(connections[alias])
        if gone:
            errors.append(
                Error(
                    f"The append-only triggers {', '.join(gone)} are missing from database '{alias}'.",
                    hint="A migration that rebuilt a table dropped them; add one that calls "
                    "audit.triggers.install.",
                    id="audit.E001",
                )
            )
    return errors
