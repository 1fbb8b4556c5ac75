"""PostgreSQL cleans the tables sooner that every process updates every few seconds."""

from typing import Any

from django.db import migrations

VALUES = {"autovacuum_vacuum_scale_factor": "0.01", "autovacuum_vacuum_threshold": "200"}
TABLES = ("config_process", "config_countedsample")


def clean_sooner(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        written = ", ".join(f"{name} = {value}" for name, value in VALUES.items())
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} SET ({written})")


def clean_as_usual(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "postgresql":
        for table in TABLES:
            schema_editor.execute(f"ALTER TABLE {table} RESET ({', '.join(VALUES)})")


class Migration(migrations.Migration):
    dependencies = [("config", "0002_processes")]

    operations = [migrations.RunPython(clean_sooner, clean_as_usual)]
