from django.db import migrations, models

from config.migration_operations import AddIndexConcurrently, AddUniqueConcurrently


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("orders", "0007_shops")]

    operations = [
        AddIndexConcurrently(
            model_name="order",
            index=models.Index(fields=["number"], name="order_number", opclasses=["varchar_pattern_ops"]),
        ),
        AddUniqueConcurrently(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("shop", None)),
                fields=("number",),
                name="order_number_once",
                violation_error_code="unique",
                violation_error_message="An order with this number already exists.",
            ),
        ),
        AddUniqueConcurrently(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("shop__isnull", False)),
                fields=("shop", "number"),
                name="order_number_once_per_shop",
                violation_error_code="unique",
                violation_error_message="An order with this number already exists.",
            ),
        ),
        AddUniqueConcurrently(
            model_name="order",
            constraint=models.UniqueConstraint(
                condition=models.Q(("external_id", ""), _negated=True),
                fields=("shop", "external_id"),
                name="order_external_id_once",
                violation_error_code="unique",
                violation_error_message="An order with this ID already exists.",
            ),
        ),
    ]
