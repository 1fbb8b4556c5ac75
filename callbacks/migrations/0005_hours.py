from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("callbacks", "0004_unsuccessful")]

    operations = [
        migrations.CreateModel(
            name="Counted",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "attempt_id",
                    models.BigIntegerField(
                        default=0, help_text="The primary key of the last attempt that is in its hour."
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Hour",
            fields=[
                ("begins_at", models.DateTimeField(primary_key=True, serialize=False)),
                ("delivered", models.PositiveIntegerField(default=0, help_text="Answered 2xx.")),
                ("refused", models.PositiveIntegerField(default=0, help_text="Answered, but not 2xx.")),
                (
                    "unanswered",
                    models.PositiveIntegerField(
                        default=0, help_text="No complete answer came, or nothing could be sent."
                    ),
                ),
            ],
        ),
    ]
