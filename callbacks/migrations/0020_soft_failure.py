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
        migrations.AlterField(  # a sentence in other words
            model_name="delivery",
            name="skip_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", ""),
                    ("paused", "The callback was paused at the time of the event."),
                    (
                        "filtered",
                        "The callback is limited to certain statuses, and the order does not have one of them.",
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
