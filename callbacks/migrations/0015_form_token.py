"""Which form made a callback, so that the same form sent twice makes one. Of those that are there, it stays unknown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("callbacks", "0014_order_of_events"),
    ]

    operations = [
        migrations.AddField(
            model_name="callbacksetting",
            name="form_token",
            field=models.UUIDField(
                editable=False,
                help_text="Of the form that made it, so that sending it twice makes one.",
                null=True,
                unique=True,
            ),
        ),
    ]
