from django.db import migrations, models

import affiliates.models
import orders.models


class Migration(migrations.Migration):
    """After the constraints that take the place of this one."""

    dependencies = [("orders", "0008_order_number_per_shop")]

    operations = [
        migrations.AlterField(
            model_name="order",
            name="number",
            field=models.CharField(
                help_text="As your shop shows it, such as #100001.",
                max_length=100,
                validators=[affiliates.models.validate_text, orders.models.validate_number],
                verbose_name="number",
            ),
        ),
    ]
