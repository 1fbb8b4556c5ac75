from django.db import migrations, models

import affiliates.models
import orders.models


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial"), ("affiliates", "0002_affiliatealias")]

    operations = [
        migrations.AddField(
            model_name="order",
            name="commission_rate",
            field=models.DecimalField(
                decimal_places=6,
                editable=False,
                help_text="The affiliate's rate when the order became theirs; empty in rows from before it was kept.",
                max_digits=7,
                null=True,
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="no_affiliate_reason",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="A value of NoAffiliate.",
                max_length=32,
            ),
        ),
        migrations.AddField(
            model_name="order",
            name="referral_given",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                editable=False,
                help_text="The link or code that came with an order of no affiliate, as far as it can be kept.",
                max_length=2000,
            ),
        ),
        # The same columns; only what is read from text, and what is refused, is another.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="order",
                    name="amount",
                    field=affiliates.models.PlainDecimalField(
                        decimal_places=4,
                        error_messages={"null": "A new order needs an amount."},
                        max_digits=19,
                    ),
                ),
                migrations.AlterField(
                    model_name="order",
                    name="commission",
                    field=affiliates.models.PlainDecimalField(
                        blank=True,
                        decimal_places=4,
                        help_text="Leave empty to take the affiliate's rate of the amount.",
                        max_digits=19,
                    ),
                ),
                migrations.AlterField(
                    model_name="order",
                    name="number",
                    field=models.CharField(
                        error_messages={"unique": "There is an order with this number already."},
                        help_text="As the shop shows it, such as #100001.",
                        max_length=100,
                        unique=True,
                        validators=[affiliates.models.validate_text, orders.models.validate_number],
                    ),
                ),
            ]
        ),
    ]
