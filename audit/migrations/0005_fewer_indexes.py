import django.db.models.deletion
from django.db import migrations, models

# Indexes on the foreign key alone, of which a unique constraint on the same table already begins with it.
REDUNDANT = (("audit_event", "log_id"), ("audit_disclosure", "event_id"))


def drop(apps, schema_editor):
    """By name and at once: through the model, SQLite would copy the table and lose its triggers."""
    connection = schema_editor.connection
    for table, column in REDUNDANT:
        with connection.cursor() as cursor:
            found = connection.introspection.get_constraints(cursor, table)
        for name, constraint in found.items():
            if constraint["index"] and not constraint["unique"] and constraint["columns"] == [column]:
                schema_editor.execute(f"DROP INDEX {schema_editor.quote_name(name)}")


def create(apps, schema_editor):
    for table, column in REDUNDANT:
        schema_editor.execute(f"CREATE INDEX {table}_{column}_again ON {table} ({column})")


class Migration(migrations.Migration):
    dependencies = [("audit", "0004_tiles")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunPython(drop, create)],
            state_operations=[
                migrations.AlterField(
                    model_name="event",
                    name="log",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="events",
                        to="audit.log",
                    ),
                ),
                migrations.AlterField(
                    model_name="disclosure",
                    name="event",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="disclosures",
                        to="audit.event",
                    ),
                ),
            ],
        ),
    ]
