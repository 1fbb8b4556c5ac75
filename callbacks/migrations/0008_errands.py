import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("affiliates", "0001_initial"),
        ("callbacks", "0007_ids_by_time"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Errand",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("token", models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ("kind", models.CharField(choices=[("resend", "Resend"), ("backfill", "Backfill")], max_length=8)),
                ("user_name", models.CharField(blank=True, max_length=320)),
                ("chosen", models.JSONField(default=dict, help_text="The filter, or the days, as in an address.")),
                (
                    "words",
                    models.TextField(help_text="The same as a person reads it, as it was when this was started."),
                ),
                ("first", models.BigIntegerField()),
                ("last", models.BigIntegerField()),
                ("position", models.BigIntegerField()),
                (
                    "total",
                    models.PositiveBigIntegerField(default=0, help_text="What was counted when it was confirmed."),
                ),
                (
                    "is_counted",
                    models.BooleanField(
                        default=True, help_text="False if there was more than there was time to count."
                    ),
                ),
                (
                    "left_out",
                    models.JSONField(
                        default=dict, help_text="What was not to be sent, counted: a sentence and a number."
                    ),
                ),
                ("done", models.PositiveBigIntegerField(default=0)),
                (
                    "refused",
                    models.JSONField(
                        default=dict, help_text="What could not be sent, counted: a sentence and a number."
                    ),
                ),
                (
                    "refused_first",
                    models.JSONField(default=list, help_text="The first of them: a delivery's key and a sentence."),
                ),
                ("rate", models.PositiveSmallIntegerField(default=50, help_text="Postbacks a second, at most.")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("stopped", "Stopped"),
                            ("finished", "Finished"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=8,
                    ),
                ),
                ("note", models.TextField(blank=True, default="", help_text="Why it stopped by itself.")),
                ("paid_until", models.DateTimeField(help_text="Up to when the rate allowed what is done.", null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("started_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "affiliate",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="affiliates.affiliate",
                    ),
                ),
                (
                    "setting",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="callbacks.callbacksetting",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "verbose_name": "resend or backfill",
                "verbose_name_plural": "resends and backfills",
                "ordering": ["-pk"],
                "default_permissions": (),
                "indexes": [
                    models.Index(
                        condition=models.Q(("state__in", ["waiting", "running"])), fields=["id"], name="errand_active"
                    )
                ],
                "constraints": [
                    models.CheckConstraint(condition=models.Q(("rate__gte", 1)), name="errand_rate_positive"),
                    models.CheckConstraint(
                        condition=models.Q(("state__in", ["waiting", "running", "stopped", "finished", "failed"])),
                        name="errand_state_known",
                    ),
                ],
            },
        ),
    ]
