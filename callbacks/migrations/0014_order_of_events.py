"""Why a delivery is skipped: also because a newer one replaced it, or the affiliate is not approved. And until when a
callback is held.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("callbacks", "0013_encrypted_secrets"),
    ]

    operations = [
        migrations.AddField(
            model_name="callbacksetting",
            name="held_until",
            field=models.DateTimeField(
                editable=False, help_text="Nothing is sent before, because the tracker asked for it.", null=True
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="skip_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", ""),
                    ("paused", "The callback was paused when this happened."),
                    (
                        "filtered",
                        "The callback is for certain statuses only, and the order did not come to one of them.",
                    ),
                    ("affiliate_blocked", "The affiliate is blocked, so nothing is sent to their tracker."),
                    ("affiliate_pending", "The affiliate is not approved yet, so nothing is sent to their tracker."),
                    ("superseded", "A newer event of the same order replaced it before it was delivered."),
                    ("setting_deleted", "The callback was deleted before this could be sent."),
                ],
                default="",
                max_length=32,
            ),
        ),
    ]
