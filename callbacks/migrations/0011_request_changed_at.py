"""Since when callbacks send what they send now. Of those that were there before, it stays unknown."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("callbacks", "0010_resend_permission"),
    ]

    operations = [
        migrations.AddField(
            model_name="callbacksetting",
            name="request_changed_at",
            field=models.DateTimeField(
                editable=False, help_text="When `request` was last another; empty if it never was.", null=True
            ),
        ),
    ]
