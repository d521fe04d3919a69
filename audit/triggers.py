"""Append-only tables: the database itself refuses UPDATE, DELETE and TRUNCATE.

SQLite has no roles, so there this is evidence, not prevention; and it drops a table's triggers when a
migration rebuilds the table, which `audit.checks` looks for.
"""

from __future__ import annotations

from typing import Any

APPEND_ONLY = ("audit_event", "audit_checkpoint", "audit_blob", "audit_tile")


def trigger_names(vendor: str, table: str) -> list[str]:
    """The names of the triggers that keep `table` append-only."""
    verbs = ("update", "delete") if vendor == "sqlite" else ("change", "truncate")
    return [f"{table}_refuse_{verb}" for verb in verbs]


def install(schema_editor: Any, *tables: str) -> None:
    """Create the triggers on `tables`. For migrations."""
    vendor = schema_editor.connection.vendor
    if vendor == "postgresql":
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '%% is append-only', TG_TABLE_NAME; END $$",
            params=(),  # with parameters, so that the doubled sign stands for one
        )
    for table in tables:
        first, second = trigger_names(vendor, table)
        if vendor == "sqlite":
            for verb, name in (("UPDATE", first), ("DELETE", second)):
                schema_editor.execute(
                    f"CREATE TRIGGER {name} BEFORE {verb} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        else:
            schema_editor.execute(
                f"CREATE TRIGGER {first} BEFORE UPDATE OR DELETE ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
            )
            schema_editor.execute(
                f"CREATE TRIGGER {second} BEFORE TRUNCATE ON {table} "
                "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()"
            )


def remove(schema_editor: Any, *tables: str) -> None:
    """Drop the triggers again: only for unapplying the migration that made them."""
    vendor = schema_editor.connection.vendor
    for table in tables:
        for name in trigger_names(vendor, table):
            on = "" if vendor == "sqlite" else f" ON {table}"
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}{on}")


def missing(connection: Any) -> list[str]:
    """The triggers that should be there and are not."""
    expected = [
        name
        for table in APPEND_ONLY
        if table in connection.introspection.table_names()
        for name in trigger_names(connection.vendor, table)
    ]
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'trigger'"
        if connection.vendor == "sqlite"
        else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'"
    )
    with connection.cursor() as cursor:
        cursor.execute(query)
        present = {row[0] for row in cursor.fetchall()}
    return [name for name in expected if name not in present]
