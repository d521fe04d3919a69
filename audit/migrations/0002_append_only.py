from django.db import migrations

from audit import triggers

# Spelled out: what a later version of the list says must not change this migration.
TABLES = ("audit_event", "audit_checkpoint", "audit_blob")


def install(apps, schema_editor):
    triggers.install(schema_editor, *TABLES)


def remove(apps, schema_editor):
    triggers.remove(schema_editor, *TABLES)


class Migration(migrations.Migration):
    dependencies = [("audit", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
