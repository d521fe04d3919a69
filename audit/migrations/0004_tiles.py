import django.db.models.deletion
from django.db import migrations, models

from audit import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor, "audit_tile")


def remove(apps, schema_editor):
    triggers.remove(schema_editor, "audit_tile")


class Migration(migrations.Migration):
    dependencies = [("audit", "0003_signing_keys")]

    operations = [
        migrations.CreateModel(
            name="Tile",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("level", models.PositiveSmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("root", models.BinaryField(max_length=32)),
                (
                    "log",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="audit.log",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("log", "level", "index"), name="tile_once")],
            },
        ),
        migrations.RunPython(install, remove),
    ]
