"""Whether the last answer of a delivery is 2xx and reads like a refusal. Older rows stay unknown: nobody checked them."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("callbacks", "0019_paused_before")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="is_soft_failure",
            field=models.BooleanField(
                editable=False,
                help_text="The last answer is 2xx and reads like a refusal; empty if never checked.",
                null=True,
            ),
        ),
    ]
