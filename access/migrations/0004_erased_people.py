from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("access", "0003_stored_answers")]
    operations = [
        migrations.AddField(
            model_name="user",
            name="erased_at",
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
