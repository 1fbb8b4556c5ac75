"""What is known of callbacks that fail. A callback may be a webhook to the merchant's own systems: without an affiliate."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("affiliates", "0002_affiliatealias"),
        ("callbacks", "0017_what_is_kept"),
    ]

    operations = [
        migrations.CreateModel(
            name="EndpointHealth",
            fields=[
                (
                    "setting",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="endpoint_health",
                        serialize=False,
                        to="callbacks.callbacksetting",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        blank=True,
                        choices=[("", "nothing was told"), ("failing", "failing"), ("paused", "paused by itself")],
                        db_default="",
                        default="",
                        max_length=8,
                    ),
                ),
                ("since", models.DateTimeField(help_text="When what is told began; empty if nothing is.", null=True)),
                ("last_success_at", models.DateTimeField(null=True)),
                ("first_failure_at", models.DateTimeField(null=True)),
                ("last_failure_at", models.DateTimeField(null=True)),
                ("failures", models.PositiveIntegerField(db_default=0, default=0)),
                ("last_status_code", models.PositiveSmallIntegerField(null=True)),
                ("last_error_kind", models.CharField(blank=True, db_default="", default="", max_length=32)),
                ("paused_at", models.DateTimeField(help_text="When it was last paused by itself.", null=True)),
                ("resumed_at", models.DateTimeField(help_text="When that ended.", null=True)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.AlterField(
            model_name="callbacksetting",
            name="pause_reason",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "not paused"),
                    ("person", "paused by hand"),
                    ("gone", "the tracker answered 410 Gone, and again an hour later"),
                    ("failing", "no postback succeeded for days"),
                ],
                default="",
                editable=False,
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="settingchange",
            name="action",
            field=models.CharField(
                choices=[
                    ("created", "set up"),
                    ("changed", "changed"),
                    ("paused", "paused"),
                    ("resumed", "resumed"),
                    ("rotated", "rotated the signing secret of"),
                    ("removed", "deleted"),
                    ("gone", "paused automatically"),
                    ("failing", "paused automatically"),
                    ("passed", "resumed automatically"),
                ],
                max_length=8,
            ),
        ),
        migrations.RemoveConstraint(
            model_name="callbacksetting",
            name="callback_event",
        ),
        migrations.AlterField(
            model_name="callbacksetting",
            name="affiliate",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="callback_settings",
                to="affiliates.affiliate",
            ),
        ),
        migrations.AlterField(
            model_name="callbacksetting",
            name="event",
            field=models.CharField(
                choices=[("order.created", "Order created"), ("order.updated", "Order updated"), ("system", "Webhook")],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="delivery",
            name="event",
            field=models.CharField(
                choices=[("order.created", "Order created"), ("order.updated", "Order updated"), ("system", "Webhook")],
                max_length=16,
            ),
        ),
        migrations.AddConstraint(
            model_name="callbacksetting",
            constraint=models.CheckConstraint(
                condition=models.Q(("event__in", ["order.created", "order.updated", "system"])), name="callback_event"
            ),
        ),
    ]
