"""As its neighbour."""

from django.db import migrations, models

from config.migration_operations import AddConstraintNotValid, AddIndexConcurrently, ValidateConstraint


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("callbacks", "9998_column")]

    operations = [
        AddIndexConcurrently("delivery", models.Index("of_next_release", "id", name="delivery_next_release")),
        AddConstraintNotValid(
            "delivery", models.CheckConstraint(condition=models.Q(of_next_release__gte=0), name="delivery_not_negative")
        ),
        ValidateConstraint("delivery", "delivery_not_negative"),
        AddIndexConcurrently("attempt", models.Index("status_code", name="attempt_next_release")),
    ]
