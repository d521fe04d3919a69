"""What policies of single environments were; a migration of its own, for PostgreSQL has their rows pending."""

import django.db.models.deletion
from django.db import migrations, models

import flags.models

_OLD = ("environment", "required_approvals", "require_rationale", "require_ticket")


class Migration(migrations.Migration):
    dependencies = [
        ("approvals", "0003_policies_as_documents"),
    ]

    operations = [
        *(
            migrations.RemoveField(model, name)
            for model in ("approvalpolicy", "historicalapprovalpolicy")
            for name in _OLD
        ),
        migrations.AlterField(
            "approvalpolicy",
            "project",
            models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="policies", to="flags.project"
            ),
        ),
        *(
            migrations.AlterField(
                model, "key", models.CharField(max_length=128, validators=[flags.models.validate_key])
            )
            for model in ("approvalpolicy", "historicalapprovalpolicy")
        ),
        *(
            migrations.AlterField(model, "document", models.JSONField())
            for model in ("approvalpolicy", "historicalapprovalpolicy")
        ),
        migrations.AddConstraint(
            "approvalpolicy",
            models.UniqueConstraint(fields=("project", "key"), name="policy_key_once"),
        ),
    ]
