"""Policies belong to projects and are documents; those of single environments are carried over."""

import django.db.models.deletion
from django.db import migrations, models


def carry_over(apps, schema_editor):
    environments = apps.get_model("flags", "Environment")
    for name in ("ApprovalPolicy", "HistoricalApprovalPolicy"):
        for row in apps.get_model("approvals", name)._base_manager.all():
            environment = environments._base_manager.get(pk=row.environment_id)
            row.project_id, row.key = environment.project_id, environment.key
            document = {
                "name": environment.name,
                "environments": [environment.key],
                "approvals": row.required_approvals,
                "rationale": row.require_rationale,
                "ticket": row.require_ticket,
            }
            row.document = {member: value for member, value in document.items() if value}
            row.version = 1
            row.save()


_KEY = {"max_length": 128, "default": ""}


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0002_lapsed_requests"),
        ("flags", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            "approvalpolicy",
            "project",
            models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="policies",
                to="flags.project",
            ),
        ),
        migrations.AddField("approvalpolicy", "key", models.CharField(**_KEY)),
        migrations.AddField("approvalpolicy", "document", models.JSONField(default=dict)),
        migrations.AddField("approvalpolicy", "version", models.PositiveIntegerField(default=0)),
        migrations.AddField(
            "historicalapprovalpolicy",
            "project",
            models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="flags.project",
            ),
        ),
        migrations.AddField("historicalapprovalpolicy", "key", models.CharField(**_KEY)),
        migrations.AddField("historicalapprovalpolicy", "document", models.JSONField(default=dict)),
        migrations.AddField("historicalapprovalpolicy", "version", models.PositiveIntegerField(default=0)),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
    ]
