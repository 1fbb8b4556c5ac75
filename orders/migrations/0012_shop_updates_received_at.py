from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0011_message_received"),
    ]

    operations = [
        migrations.AddField(
            model_name="shop",
            name="updates_received_at",
            field=models.DateTimeField(
                editable=False, help_text="A message orders/updated of Shopify, to the day.", null=True
            ),
        ),
    ]
