from decimal import Decimal

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import affiliates.models


class Migration(migrations.Migration):
    dependencies = [("affiliates", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="AffiliateAlias",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("code", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "affiliate",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="aliases", to="affiliates.affiliate"
                    ),
                ),
            ],
            options={"verbose_name": "earlier code", "default_permissions": ()},
        ),
        # The same column; only what is read from text is another.
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.AlterField(
                    model_name="affiliate",
                    name="commission_rate",
                    field=affiliates.models.PlainDecimalField(
                        decimal_places=6,
                        default=Decimal(0),
                        help_text="The share of an order's amount, as a fraction: 0.15 is 15 %.",
                        max_digits=7,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal(0)),
                            django.core.validators.MaxValueValidator(Decimal(1)),
                        ],
                    ),
                )
            ]
        ),
    ]
