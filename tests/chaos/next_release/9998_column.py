"""A migration as ARCHITECTURE.md wants it, of a release that does not exist: tests apply it under load."""

from pathlib import Path

from django.db import migrations, models

import callbacks.migrations

LAST = max(path.stem for path in Path(callbacks.migrations.__path__[0]).glob("0*.py"))


class Migration(migrations.Migration):
    dependencies = [("callbacks", LAST)]

    operations = [
        migrations.AddField("delivery", "of_next_release", models.IntegerField(default=0, db_default=0)),
        migrations.AddField("attempt", "of_next_release", models.TextField(null=True)),
    ]
