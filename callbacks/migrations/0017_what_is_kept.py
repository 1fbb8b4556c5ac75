"""What is remembered of pruned and forgotten rows; and PostgreSQL cleans the tables that change most sooner."""

from typing import Any

import django.db.models.deletion
from django.db import migrations, models

# By default a table is vacuumed when a fifth of it is dead: a fifth of millions of deliveries, of which each changes at
# least twice. The lock that this takes keeps out neither readers nor writers.
OFTEN = {
    "autovacuum_vacuum_scale_factor": "0.01",
    "autovacuum_vacuum_threshold": "1000",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_vacuum_cost_limit": "2000",
}
SMALL = {"autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_threshold": "200"}
TABLES = {
    "callbacks_delivery": OFTEN,
    "callbacks_attempt": OFTEN,
    "callbacks_hour": SMALL,
    "callbacks_troubledhost": SMALL,
}


def clean_sooner(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table, values in TABLES.items():
            written = ", ".join(f"{name} = {value}" for name, value in values.items())
            schema_editor.execute(f"ALTER TABLE {table} SET ({written})")


def clean_as_usual(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table, values in TABLES.items():
            schema_editor.execute(f"ALTER TABLE {table} RESET ({', '.join(values)})")


class Migration(migrations.Migration):
    dependencies = [
        ("affiliates", "0002_affiliatealias"),
        ("callbacks", "0016_request_id"),
    ]

    operations = [
        migrations.CreateModel(
            name="Pruned",
            fields=[
                ("kind", models.CharField(max_length=64, primary_key=True, serialize=False)),
                ("before", models.DateTimeField(null=True)),
                ("position", models.BigIntegerField(db_default=0, default=0)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.CreateModel(
            name="KeptOrders",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("month", models.CharField(help_text="As in `KeptResult`.", max_length=7)),
                ("currency", models.CharField(max_length=3)),
                ("orders", models.BigIntegerField(default=0)),
                ("amount", models.DecimalField(decimal_places=4, default=0, max_digits=25)),
                ("commission", models.DecimalField(decimal_places=4, default=0, max_digits=25)),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="affiliates.affiliate"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(fields=("affiliate", "month", "currency"), name="kept_orders_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="KeptResult",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "month",
                    models.CharField(
                        help_text="Of the order, such as 2026-03, in the installation's zone.", max_length=7
                    ),
                ),
                ("event", models.CharField(max_length=16)),
                ("setting_key", models.BigIntegerField()),
                ("status", models.CharField(max_length=16)),
                ("orders", models.BigIntegerField(default=0)),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="affiliates.affiliate"
                    ),
                ),
            ],
            options={
                "default_permissions": (),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("affiliate", "month", "event", "setting_key", "status"), name="kept_result_once"
                    )
                ],
            },
        ),
        migrations.RunPython(clean_sooner, clean_as_usual),
    ]
