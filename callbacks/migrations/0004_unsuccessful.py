from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("callbacks", "0003_settings_by_name")]

    operations = [
        migrations.AddIndex(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(("status", "failed"), ("status", "skipped"), _connector="OR"),
                fields=["status", "-id"],
                name="delivery_unsuccessful",
            ),
        ),
    ]
